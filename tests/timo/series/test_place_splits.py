# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pyogrio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.timo.series.test_sampling import inside, labels_of
from timo.errors import LabelError
from timo.series.labels import NOT_LABELLED
from timo.series.place_splits import split_places

OTHER = {"train": "validation", "validation": "train"}


def one_scheme(maps):
    """Labels of several places, all of the first one's scheme."""
    everything = labels_of(np.concatenate([m.ravel() for m in maps])[None])
    found = []
    for one in maps:
        labels = labels_of(one)
        labels.scheme = everything.scheme
        labels.counts = np.bincount(one.ravel(), minlength=256)[: len(everything.scheme)]
        found.append(labels)
    return found


@st.composite
def places(draw):
    """Two to seven places of up to four classes, some without any label."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    maps = []
    for _ in range(draw(st.integers(2, 7))):
        shape = random.integers(10, 50, 2)
        one = random.integers(0, 4, shape).astype(np.uint8)
        one[random.random(shape) < draw(st.sampled_from([0.0, 0.5, 0.95, 1.0]))] = NOT_LABELLED
        maps.append(one)
    return maps


@settings(max_examples=40, deadline=None)
@given(maps=places(), chip=st.sampled_from([8, 16, 32]), seed=st.integers(0, 9))
def test_a_place_is_of_one_part_and_its_chips_hold_all_its_labels(maps, chip, seed):
    labels = one_scheme(maps)
    try:
        split = split_places(labels, chip=chip, fraction=0.3, seed=seed, names=["p"] * len(maps))
    except LabelError:
        assert sum((one != NOT_LABELLED).any() for one in maps) < 3  # too few places to part
        return
    total = split.counts("train") + split.counts("validation")
    np.testing.assert_array_equal(total, sum(one.counts for one in labels))
    assert split.counts("train").any()
    assert split.counts("validation").any()
    for part in ("train", "validation"):
        drawn = split.sample(part, 12, np.random.default_rng(0))
        assert drawn.shape == (12, 3)
        for place, *window in [*drawn.tolist(), *split.tiles(part).tolist()]:
            assert inside(split.splits[place].mask(part), window, chip).any()
            assert not split.splits[place].counts(OTHER[part]).any()
        seen = [np.zeros(one.shape, bool) for one in maps]
        for place, *window in split.tiles(part).tolist():
            inside(seen[place], window, chip)[...] = True
        for one, cover in zip(split.splits, seen, strict=True):
            assert cover[one.mask(part)].all()


def test_a_rare_class_is_in_both_parts_where_it_is_in_several_places():
    maps = [np.zeros((20, 20), np.uint8) for _ in range(8)]
    for place in (2, 5):
        maps[place][:5] = 1
    split = split_places(one_scheme(maps), chip=8, fraction=0.25, seed=0, names=list("abcdefgh"))
    assert split.counts("train")[1] == split.counts("validation")[1] == 100
    assert split.problems == ()


def test_a_class_that_is_in_one_place_alone_is_learnt_and_that_none_checks_it_is_told():
    maps = [np.zeros((20, 20), np.uint8) for _ in range(6)]
    maps[3][:5] = 1
    maps[3][5:] = 0
    split = split_places(one_scheme(maps), chip=8, fraction=0.25, seed=0, names=list("abcdef"))
    assert split.counts("train")[1] == 100
    assert split.problems == ("The validation places have no label of class class 2.",)


def test_rare_classes_are_drawn_more_often_than_they_occur():
    maps = [np.zeros((64, 64), np.uint8) for _ in range(4)]
    maps[0][:2, :2] = 1
    maps[1][:2, :2] = 1
    split = split_places(one_scheme(maps), chip=8, fraction=0.5, seed=0, names=list("abcd"))
    drawn = split.sample("train", 400, np.random.default_rng(0))
    with_rare = [(inside(split.splits[p].labels.map, w, 8) == 1).any() for p, *w in drawn.tolist()]
    assert np.mean(with_rare) > 0.1


def test_the_places_of_a_split_are_saved_as_boxes(tmp_path):
    maps = [np.indices((20, 20))[0].astype(np.uint8) // 10 for _ in range(4)]
    split = split_places(one_scheme(maps), chip=8, fraction=0.25, seed=0, names=list("abcd"))
    assert split.save(tmp_path / "split.gpkg")
    meta, _, _, fields = pyogrio.raw.read(tmp_path / "split.gpkg")
    rows = dict(zip(meta["fields"], fields))
    assert rows["place"].tolist() == list("abcd")
    assert sorted(rows["part"].tolist()) == ["train", "train", "train", "validation"]
    assert meta["crs"] == "EPSG:4326"


def test_one_place_alone_with_labels_is_too_few():
    maps = [np.indices((20, 20))[0].astype(np.uint8) // 10, np.full((20, 20), NOT_LABELLED, np.uint8)]
    with pytest.raises(LabelError, match="too few"):
        split_places(one_scheme(maps), chip=8, fraction=0.25, seed=0, names=["a", "b"])
