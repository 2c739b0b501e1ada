# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given, settings

from tests.label_maps import assert_apart, covered, fields, inside, labels_of, scenes
from timo.errors import LabelError, OutputError, SpecError
from timo.series.labels import NOT_LABELLED, read_labels
from timo.series.sampling import chip_windows, split_blocks
from timo.series.series import open_series


@settings(deadline=None, max_examples=60)
@given(scenes())
def test_no_label_of_one_part_lies_in_a_chip_of_the_other(scene):
    labels, chip, seed = scene
    try:
        split = split_blocks(labels, chip=chip, fraction=0.25, seed=seed)
    except LabelError as error:
        assert error.code == "too_few_labels"
        assert labels.counts.sum() < 12 or min(labels.map.shape) < 6
        return
    assert_apart(split)
    assert np.count_nonzero(split.counts("train")) >= 2
    assert split.counts("validation").any()


@settings(deadline=None, max_examples=25)
@given(scenes())
def test_the_windows_are_all_that_may_be_drawn_within_the_grid(scene):
    labels, chip, _ = scene
    own, other = labels.map == 0, labels.map == 1
    windows = {tuple(window) for window in chip_windows(own, other, chip).tolist()}
    height, width = own.shape
    for row in range(height - chip + 1):
        for col in range(width - chip + 1):
            allowed = inside(own, (row, col), chip).any() and not inside(other, (row, col), chip).any()
            assert ((row, col) in windows) == allowed


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("chip", [32, 64])
def test_every_class_is_in_both_parts_of_a_small_scene(seed, chip):
    split = split_blocks(labels_of(fields(np.random.default_rng(seed))), chip=chip, fraction=0.25, seed=seed)
    assert_apart(split)
    assert split.lost.sum() <= 0.05 * split.labels.counts.sum()
    for part in split.parts:
        assert (split.counts(part) > 0).all()
    share = split.counts("validation").sum() / split.labels.counts.sum()
    assert 0.1 < share < 0.5


def test_a_rare_class_in_one_cluster_is_parted_too():
    indices = np.zeros((60, 101), np.uint8)
    indices[:, 50:] = 1
    indices[20:25, 70:75] = 2
    split = split_blocks(labels_of(indices), chip=32, fraction=0.25, seed=0)
    assert split.counts("train")[2] > 0
    assert split.counts("validation")[2] > 0


def test_the_same_seed_gives_the_same_split_and_chips():
    labels = labels_of(fields(np.random.default_rng(0)))
    one, two, other = (split_blocks(labels, chip=32, fraction=0.25, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.train, two.train)
    assert (one.train != other.train).any()
    drawn = [split.sample("train", 30, np.random.default_rng(9)) for split in (one, two)]
    np.testing.assert_array_equal(*drawn)
    assert (one.sample("train", 30, np.random.default_rng(8)) != drawn[0]).any()


def test_chips_stay_in_the_grid_where_no_label_asks_for_more():
    indices = np.full((100, 100), NOT_LABELLED, np.uint8)
    indices[40:46, 10:16], indices[40:46, 80:86] = 0, 1
    indices[60:66, 10:16], indices[60:66, 80:86] = 1, 0
    split = split_blocks(labels_of(indices), chip=32, fraction=0.5, seed=0)
    for part in split.parts:
        windows = split.windows(part)
        assert windows.min() >= 0
        assert windows.max() <= 68


def test_an_epoch_holds_every_label_and_rare_classes_as_often():
    indices = np.zeros((128, 128), np.uint8)
    indices[:, 64:] = 1
    indices[10:13, 10:13] = indices[100:103, 100:103] = 2
    split = split_blocks(labels_of(indices), chip=32, fraction=0.25, seed=1)
    for seed in range(5):
        drawn = split.sample("train", None, np.random.default_rng(seed))
        assert covered(split.train, drawn, 32)[split.train].all()
        held = [
            sum((inside(split.target("train"), window, 32) == k).any() for window in drawn) for k in range(3)
        ]
        assert held[2] >= len(drawn) / 4 / 3
    assert len(split.sample("train", 7, np.random.default_rng(0))) == 7
    assert len(split.sample("validation", 1, np.random.default_rng(0))) == 1


def test_few_tiles_hold_a_fully_labelled_scene():
    indices = np.zeros((128, 128), np.uint8)
    indices[:, 64:] = 1
    split = split_blocks(labels_of(indices), chip=32, fraction=0.25, seed=0)
    tiles = len(split.tiles("train")) + len(split.tiles("validation"))
    assert tiles <= 2 * (128 / 32) ** 2
    np.testing.assert_array_equal(split.tiles("train"), split.tiles("train"))


def test_a_large_raster_is_split_on_coarser_cells(monkeypatch):
    monkeypatch.setattr("timo.series.sampling._MOST_CELLS", 3000)
    labels = labels_of(fields(np.random.default_rng(3), side=203))
    split = split_blocks(labels, chip=32, fraction=0.25, seed=0)
    assert split.cell == 4
    assert_apart(split)
    assert (split.windows("train") % 4 == 0).all()
    assert (split.counts("train") > 0).all()
    assert (split.counts("validation") > 0).all()


def test_labels_too_few_to_split_are_refused():
    indices = np.full((50, 50), NOT_LABELLED, np.uint8)
    indices[3, 3], indices[4, 4] = 0, 1
    with pytest.raises(LabelError) as caught:
        split_blocks(labels_of(indices), chip=32, fraction=0.25, seed=0)
    assert caught.value.code == "too_few_labels"
    assert "labels.gpkg" in caught.value.message


def test_a_class_that_one_part_lacks_is_told():
    indices = np.full((80, 80), NOT_LABELLED, np.uint8)
    indices[:, :20], indices[:, 60:] = 0, 1
    indices[40, 40] = 2
    split = split_blocks(labels_of(indices), chip=16, fraction=0.25, seed=0)
    assert split.counts("train")[2] == 1
    assert split.problems == ("The validation part has no label of class class 3.",)


def test_the_split_is_saved_as_blocks_in_their_place(tmp_path):
    labels = labels_of(fields(np.random.default_rng(0)))
    split = split_blocks(labels, chip=32, fraction=0.25, seed=0)
    path = tmp_path / "split.gpkg"
    split.save(path)
    split.save(path)  # replaces it
    assert [file.name for file in tmp_path.iterdir()] == ["split.gpkg"]
    meta, _, wkb, (parts, labelled, buffer) = pyogrio.raw.read(path)
    assert meta["crs"] == "EPSG:32631"
    assert meta["fields"].tolist() == ["part", "labelled", "buffer"]
    blocks = shapely.from_wkb(wkb)
    for part in split.parts:
        assert labelled[parts == part].sum() == split.mask(part).sum()
        for row, col in np.argwhere(split.mask(part))[::40]:
            centre = shapely.Point(*labels.grid.point(col + 0.5, row + 0.5))
            assert parts[shapely.contains(blocks, centre)].tolist() == [part]
    assert buffer.sum() == split.lost.sum()


def test_a_split_that_cannot_be_written_leaves_nothing(tmp_path):
    split = split_blocks(labels_of(fields(np.random.default_rng(0))), chip=32, fraction=0.25, seed=0)
    with pytest.raises(OutputError, match=r"split\.gpkg"):
        split.save(tmp_path / "nowhere" / "split.gpkg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("chip", [32, 64, 96])
def test_the_crop_map_is_parted_with_every_class(real, chip):
    folder = real("crops_belgium")
    labels = read_labels(folder / "labels.tif", open_series(folder).grid)
    split = split_blocks(labels, chip=chip, fraction=0.25, seed=0)
    assert_apart(split)
    assert (split.counts("train") > 0).all()
    assert (split.counts("validation") > 0).all()


@settings(deadline=None, max_examples=15)
@given(scenes())
def test_a_test_part_is_as_far_from_the_others(scene):
    labels, chip, seed = scene
    try:
        split = split_blocks(labels, chip=chip, fraction=0.25, seed=seed, test=0.2)
    except LabelError as error:
        assert error.code == "too_few_labels"
        return
    assert split.parts == ("train", "validation", "test")
    assert_apart(split)
    assert np.count_nonzero(split.counts("train")) >= 2
    assert split.counts("validation").any()
    assert split.counts("test").any()


@pytest.mark.parametrize("seed", range(3))
def test_every_class_is_in_all_three_parts_of_a_small_scene(seed):
    labels = labels_of(fields(np.random.default_rng(seed), side=160, count=100))
    split = split_blocks(labels, chip=32, fraction=0.2, seed=seed, test=0.2)
    assert_apart(split)
    for part in split.parts:
        assert (split.counts(part) > 0).all()
    for part in ("validation", "test"):
        assert 0.08 < split.counts(part).sum() / split.labels.counts.sum() < 0.4
    assert not any("no label of class" in problem for problem in split.problems)


def test_without_a_wanted_test_part_there_is_none():
    split = split_blocks(labels_of(fields(np.random.default_rng(0))), chip=32, fraction=0.25, seed=0)
    assert split.parts == ("train", "validation")
    assert not split.mask("test").any()


def test_shares_that_leave_nothing_to_train_on_are_refused():
    labels = labels_of(fields(np.random.default_rng(0)))
    with pytest.raises(SpecError, match=r"0\.5 for validation and 0\.5 for testing"):
        split_blocks(labels, chip=32, fraction=0.5, seed=0, test=0.5)


def test_labels_too_few_for_three_parts_are_refused():
    indices = np.full((50, 50), NOT_LABELLED, np.uint8)
    indices[3, 3], indices[40, 40], indices[3, 40] = 0, 1, 1
    with pytest.raises(LabelError, match=r"labels\.gpkg .* training, validation and test"):
        split_blocks(labels_of(indices), chip=32, fraction=0.25, seed=0, test=0.2)


def test_the_crop_map_is_parted_into_three_with_every_class(real):
    folder = real("crops_belgium")
    labels = read_labels(folder / "labels.tif", open_series(folder).grid)
    split = split_blocks(labels, chip=32, fraction=0.2, seed=0, test=0.2)
    assert_apart(split)
    for part in split.parts:
        assert (split.counts(part) > 0).all()
    assert split.lost.sum() < 0.05 * labels.counts.sum()
