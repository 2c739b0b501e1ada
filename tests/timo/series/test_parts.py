# SPDX-License-Identifier: GPL-3.0-or-later
"""A split that the analyst gives: a field of the labels, or a layer of parts such as ours is saved to."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import transform_geom
from shapely.geometry import Point, box, mapping, shape

from tests.label_maps import assert_apart, fields, labels_of, scenes
from timo.errors import LabelError
from timo.series.grid import Grid
from timo.series.labels import NOT_LABELLED, read_labels
from timo.series.parts import NO_PART, PARTS, Parts, read_parts
from timo.series.sampling import given_split, split_blocks


def assert_same(split, again):
    assert again.parts == split.parts
    for part in split.parts:
        np.testing.assert_array_equal(again.mask(part), split.mask(part))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("splits")


@settings(deadline=None, max_examples=15)
@given(scene=scenes(), test=st.sampled_from([0.0, 0.2]))
def test_a_saved_split_that_is_given_back_is_the_same(folder, scene, test):
    labels, chip, seed = scene
    try:
        split = split_blocks(labels, chip=chip, fraction=0.25, seed=seed, test=test)
    except LabelError:
        return
    split.save(folder / "split.gpkg")
    parts = read_parts(folder / "split.gpkg", labels.grid)
    assert parts.problems == ()
    again = given_split(labels, parts, chip=chip)
    assert_same(split, again)
    assert_apart(again)
    again.save(folder / "again.gpkg")
    assert_same(split, given_split(labels, read_parts(folder / "again.gpkg", labels.grid), chip=chip))


@st.composite
def given_parts(draw):
    """Any way to part a scene: large blocks, small ones, single pixels, with places of no part."""
    labels, chip, seed = draw(scenes())
    random = np.random.default_rng(seed)
    side = draw(st.sampled_from([1, 4, 20, 40]))
    codes = random.integers(draw(st.sampled_from([NO_PART, 0])), draw(st.sampled_from([2, 3])), (60, 60))
    height, width = labels.map.shape
    found = codes.repeat(side, 0).repeat(side, 1)[:height, :width].astype(np.int8)
    return labels, Parts(found, "mine.gpkg"), chip


@settings(deadline=None, max_examples=60)
@given(given_parts())
def test_no_label_of_a_given_part_lies_in_a_chip_of_another(scene):
    labels, parts, chip = scene
    try:
        split = given_split(labels, parts, chip=chip)
    except LabelError as error:
        assert "mine.gpkg" in error.message
        return
    assert_apart(split)
    for code, part in enumerate(split.parts):
        assert (parts.map[split.mask(part)] == code).all()


def test_a_large_raster_is_split_as_given_on_coarser_cells(monkeypatch, tmp_path):
    monkeypatch.setattr("timo.series.sampling._MOST_CELLS", 3000)
    labels = labels_of(fields(np.random.default_rng(3), side=203, count=120))
    split = split_blocks(labels, chip=32, fraction=0.2, seed=0, test=0.2)
    assert split.cell == 4
    assert_apart(split)
    split.save(tmp_path / "split.gpkg")
    again = given_split(labels, read_parts(tmp_path / "split.gpkg", labels.grid), chip=32)
    assert_same(split, again)


def test_a_split_of_a_scene_without_coordinate_system_is_given_back(tmp_path):
    labels = labels_of(fields(np.random.default_rng(0)), crs=None)
    split = split_blocks(labels, chip=32, fraction=0.25, seed=0)
    split.save(tmp_path / "split.gpkg")
    assert_same(split, given_split(labels, read_parts(tmp_path / "split.gpkg", labels.grid), chip=32))


def square(grid, row, col, height, width):
    left, top = grid.point(col, row)
    right, bottom = grid.point(col + width, row + height)
    return box(left, bottom, right, top)


@pytest.fixture
def wide():
    return Grid("EPSG:32631", Affine(10, 0, 500_000, 0, -10, 5_600_000), 200, 60)


PLACES = [(10, 5), (30, 5), (10, 95), (30, 95), (10, 185), (30, 185)]
SPELT = ["Train", "training", "val", "VALIDATION", "test", " testing "]


@pytest.fixture
def labelled(tmp_path, write_layer, wide):
    """Six parcels of two crops, whose field 'use' says which part they are of."""
    shapes = [square(wide, row, col, 8, 8) for row, col in PLACES]
    return write_layer(tmp_path / "parcels.gpkg", shapes, crop=["wheat", "maize"] * 3, use=SPELT)


def test_a_field_of_the_labels_parts_them(labelled, wide):
    labels = read_labels(labelled, wide, "crop")
    split = given_split(labels, read_parts(labelled, wide, "use"), chip=32)
    assert split.parts == PARTS
    assert split.problems == ()
    for part, places in zip(PARTS, (PLACES[:2], PLACES[2:4], PLACES[4:])):
        expected = np.zeros(wide.shape, bool)
        for row, col in places:
            expected[row : row + 8, col : col + 8] = True
        np.testing.assert_array_equal(split.mask(part), expected)
    assert_apart(split)


def test_polygons_of_another_system_part_label_points(tmp_path, write_layer, wide):
    points = [Point(wide.point(col + 4.5, row + 4.5)) for row, col in PLACES]
    trees = write_layer(tmp_path / "trees.gpkg", points, kind=["oak", "beech"] * 3)

    halves = [square(wide, 0, 0, 60, 60), square(wide, 0, 70, 60, 130)]
    moved = [shape(transform_geom("EPSG:32631", "EPSG:4326", mapping(half))) for half in halves]
    mine = write_layer(tmp_path / "mine.geojson", moved, crs="EPSG:4326", part=["train", "val"])
    labels = read_labels(trees, wide, "kind")
    split = given_split(labels, read_parts(mine, wide), chip=32)
    assert split.parts == ("train", "validation")
    np.testing.assert_array_equal(split.counts("train"), [1, 1])
    np.testing.assert_array_equal(split.counts("validation"), [2, 2])


def test_labels_of_no_part_and_pixels_of_two_are_told(tmp_path, write_layer, labelled, wide):
    shapes = [square(wide, 0, 0, 60, 80), square(wide, 0, 70, 60, 40), square(wide, 0, 170, 60, 30)]
    mine = write_layer(tmp_path / "mine.gpkg", shapes, part=["train", "validation", None])
    labels = read_labels(labelled, wide, "crop")
    split = given_split(labels, read_parts(mine, wide), chip=32)
    assert split.problems == (
        "1 feature of mine.gpkg has no part in 'part': not used.",
        "600 pixels of mine.gpkg are given to two parts: they are in none.",
        "128 of 384 labelled pixels are given to no part: not used.",
    )


def test_parts_that_touch_share_no_chip():
    indices = np.zeros((64, 64), np.uint8)
    indices[:, 32:] = 1
    codes = np.zeros((64, 64), np.int8)
    codes[32:] = 1
    split = given_split(labels_of(indices), Parts(codes, "mine.gpkg"), chip=16)
    assert_apart(split)


def test_a_part_within_another_that_no_chip_can_hold_is_refused():
    indices = np.zeros((64, 64), np.uint8)
    indices[:, 32:] = 1
    codes = np.zeros((64, 64), np.int8)
    codes[30:34, 30:34] = 1
    with pytest.raises(LabelError, match=r"Every label that mine\.gpkg gives to validation lies closer"):
        given_split(labels_of(indices), Parts(codes, "mine.gpkg"), chip=16)


def test_a_given_split_that_loses_most_labels_says_what_to_do():
    indices = np.zeros((64, 64), np.uint8)
    indices[:, ::2] = 1
    rows, cols = np.indices(indices.shape)
    codes = ((rows + cols) % 2).astype(np.int8)  # neighbours are in different parts, but for two corners
    codes[:16, :32], codes[48:, :32] = 0, 1
    split = given_split(labels_of(indices), Parts(codes, "mine.gpkg"), chip=16)
    assert_apart(split)
    assert split.lost.sum() > 0.5 * split.labels.counts.sum()
    assert "With smaller chips" in split.problems[-1]


CODES = np.zeros((40, 40), np.int8)
CODES[:, 30:] = 1


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (np.zeros_like(CODES), "mine.gpkg gives no label of labels.gpkg to validation"),
        (np.ones_like(CODES), "mine.gpkg gives no label of labels.gpkg to training"),
        (np.full_like(CODES, NO_PART), "mine.gpkg gives no label of labels.gpkg to training"),
        (CODES, "The training part of mine.gpkg has labels of class class 1 alone"),
    ],
)
def test_a_given_split_that_cannot_be_trained_on_is_refused(codes, said):
    indices = np.full((40, 40), NOT_LABELLED, np.uint8)
    indices[:, :8], indices[:, 32:] = 0, 1
    with pytest.raises(LabelError) as caught:
        given_split(labels_of(indices), Parts(codes, "mine.gpkg"), chip=16)
    assert said in caught.value.message
    assert caught.value.action


@pytest.mark.parametrize(
    ("columns", "field", "said"),
    [
        ({"part": ["train", "holdout"]}, "part", "Field 'part' of mine.gpkg has the value 'holdout'"),
        ({"part": ["train", "val"]}, "use", "mine.gpkg has no field 'use'; mine.gpkg has the fields part"),
        ({"part": [0, 1]}, "part", "Field 'part' of mine.gpkg has the value '0'"),
        ({"part": [0.5, 1.5]}, "part", "Field 'part' of mine.gpkg doesn't say which part"),
        ({"part": ["", None]}, "part", "Field 'part' of mine.gpkg doesn't say which part"),
    ],
)
def test_a_layer_that_gives_no_parts_is_refused(tmp_path, write_layer, wide, columns, field, said):
    shapes = [square(wide, 0, 0, 20, 20), square(wide, 0, 40, 20, 20)]
    mine = write_layer(tmp_path / "mine.gpkg", shapes, **columns)
    with pytest.raises(LabelError) as caught:
        read_parts(mine, wide, field)
    assert said in caught.value.message
    assert "train, validation or test" in caught.value.action


def test_a_split_that_is_not_there_or_no_vector_file_is_refused(tmp_path, write_raster, wide):
    with pytest.raises(LabelError, match=r"nowhere\.gpkg does not exist"):
        read_parts(tmp_path / "nowhere.gpkg", wide)
    raster = write_raster(tmp_path / "parts.tif", np.zeros((4, 4), np.uint8))
    with pytest.raises(LabelError, match=r"parts\.tif can't be read as polygons or points"):
        read_parts(raster, wide)
