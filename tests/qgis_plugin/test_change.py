# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed between two maps: where, from which class to which, and how many hectares."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal, osr

BEFORE = {1: ("wood", (0, 100, 0)), 2: ("field", (200, 200, 0)), 3: ("water", (0, 0, 200))}
AFTER = {5: ("wood", (0, 100, 0)), 6: ("field", (200, 200, 0)), 7: ("town", (255, 0, 0))}


@pytest.fixture
def compare(package, make_map, tmp_path):
    from timo_qgis.layers.change import compare
    from timo_qgis.layers.result_files import read_result

    def run(before, after, **options):
        one = read_result("map", make_map("before.tif", before, BEFORE))
        other = read_result("map", make_map("after.tif", after, AFTER))
        return compare(one, other, tmp_path / "change.tif", **options)

    return run


def maps():
    before, after = np.full((10, 20), 1), np.full((10, 20), 5)
    before[:, 10:] = 2
    after[:, 10:] = 6
    after[:2, :5] = 7  # 10 pixels wood -> town
    after[0, 10:13] = 5  # 3 pixels field -> wood
    before[9], after[9, 0] = 1, 255
    after[9, 1:] = 5
    return before, after


def test_each_change_is_told_with_its_hectares_the_largest_first(compare):
    found = compare(*maps())
    assert [(row.name, row.pixels) for row in found.rows] == [("wood → town", 10), ("field → wood", 3)]
    assert found.rows[0].hectares == pytest.approx(
        0.1 / 0.9996**2
    )  # 10 pixels of 10 m; UTM's middle shrinks them
    assert found.same_pixels == 200 - 10 - 3 - 1


def test_map_of_changes_shows_changed_pixels_alone_with_names_and_colours(compare):
    found = compare(*maps())
    dataset = gdal.Open(str(found.path))
    band = dataset.GetRasterBand(1)
    values = band.ReadAsArray()
    assert values[0, 0] == 1 and values[0, 10] == 2 and values[5, 5] == 0
    assert values[9, 0] == band.GetNoDataValue() == 255
    assert band.GetCategoryNames()[1:] == ["wood → town", "field → wood"]
    assert band.GetColorTable().GetColorEntry(1)[:3] == (178, 30, 0)  # town's red, some of wood's green
    assert dataset.GetGeoTransform()[0] == 500000


def test_layer_of_changes_draws_nothing_where_nothing_changed(compare):
    from timo_qgis.layers.result_files import read_result
    from timo_qgis.layers.results import dress, layer_of

    result = read_result("change", compare(*maps()).path)
    layer = layer_of(result, "before and after")
    dress(layer, result, "", "before and after")
    shown = [(int(c.value), c.label) for c in layer.renderer().classes()]
    assert shown == [(1, "wood → town"), (2, "field → wood")]
    block = layer.renderer().block(1, layer.extent(), 20, 10)
    assert [block.color(at, at) >> 24 for at in (5, 0)] == [0, 255]  # alpha


def test_nothing_is_left_beside_the_map(compare):
    found = compare(*maps())
    assert sorted(path.name for path in found.path.parent.glob("change*")) == [
        "change.tif",
        "change.tif.aux.xml",
    ]


def test_two_equal_maps_have_no_change(compare):
    found = compare(np.full((4, 4), 1), np.full((4, 4), 5))
    assert found.rows == () and found.same_pixels == 16
    assert not gdal.Open(str(found.path)).ReadAsArray().any()


def test_many_blocks_are_one_map(compare):
    random = np.random.default_rng(3)
    before, after = random.integers(1, 4, (1100, 1030)), random.integers(5, 8, (1100, 1030))
    found = compare(before, after)
    counts = {row.name: row.pixels for row in found.rows}
    assert counts["water → town"] == ((before == 3) & (after == 7)).sum()
    assert sum(counts.values()) + found.same_pixels == before.size
    values = gdal.Open(str(found.path)).ReadAsArray()
    for row in found.rows:
        assert (values == row.value).sum() == row.pixels


def move(path, place, epsg=32631):
    """Puts a map elsewhere, or gives it other pixels."""
    dataset = gdal.Open(str(path), gdal.GA_Update)
    dataset.SetGeoTransform(place)
    reference = osr.SpatialReference()
    if epsg:
        reference.ImportFromEPSG(epsg)
    dataset.SetProjection(reference.ExportToWkt() if epsg else "")


@pytest.fixture
def compare_moved(package, make_map, tmp_path):
    """Compares a map with one that lies at another place."""
    from timo_qgis.layers.change import compare
    from timo_qgis.layers.result_files import read_result

    def run(before, after, place, epsg=32631, nodata=True):
        paths = make_map("before.tif", before, BEFORE), make_map("after.tif", after, AFTER)
        move(paths[1], place, epsg)
        if not nodata:
            dataset = gdal.Open(str(paths[1]), gdal.GA_Update)
            dataset.GetRasterBand(1).DeleteNoDataValue()
            dataset = None
        return compare(*(read_result("map", path) for path in paths), tmp_path / "change.tif")

    return run


@pytest.mark.parametrize("nodata", [True, False])
def test_maps_of_two_years_with_other_extents_are_compared_where_both_lie(compare_moved, nodata):
    after = np.full((10, 20), 5)
    after[:, 5:10] = 7
    found = compare_moved(np.full((10, 20), 1), after, (500100, 10, 0, 4999980, 0, -10), nodata=nodata)
    assert [(row.name, row.pixels) for row in found.rows] == [("wood → town", 5 * 8)]
    assert found.same_pixels == 5 * 8 and found.share == pytest.approx(80 / 200)
    assert found.hectares == pytest.approx(0.8, rel=1e-3)
    dataset = gdal.Open(str(found.path))
    values = dataset.ReadAsArray()
    assert dataset.GetGeoTransform() == (500000, 10, 0, 5000000, 0, -10), "the earlier map's grid"
    assert (values[2:, 15:] == 1).all() and (values[2:, 10:15] == 0).all()
    assert (values[:2] == 255).all() and (values[:, :10] == 255).all()


def test_later_map_of_larger_pixels_counts_in_those_of_the_earlier(compare_moved):
    after = np.full((5, 5), 5)
    after[0, 0] = 7
    found = compare_moved(np.full((9, 9), 1), after, (500000, 30, 0, 5000000, 0, -30))
    assert [(row.name, row.pixels) for row in found.rows] == [("wood → town", 9)]
    assert found.share == 1.0 and found.same_pixels == 72


def test_later_map_of_the_next_utm_zone_is_compared_too(compare_moved, make_map):
    grid = osr.SpatialReference()
    grid.ImportFromEPSG(32631)
    other = osr.SpatialReference()
    other.ImportFromEPSG(32632)
    x, y, _ = osr.CoordinateTransformation(grid, other).TransformPoint(500000, 5000000)
    found = compare_moved(
        np.full((40, 40), 1), np.full((90, 90), 7), (x - 200, 10, 0, y + 300, 0, -10), 32632
    )
    assert found.rows[0].pixels == 1600 and found.share == 1.0


def test_on_one_grid_nothing_is_said_of_a_share(compare):
    assert compare(*maps()).share is None


@pytest.mark.parametrize(
    ("place", "epsg", "sentence"),
    [
        ((600000, 10, 0, 5000000, 0, -10), 32631, "before.tif and after.tif have data nowhere in common"),
        ((500000, 60, 0, 5000000, 0, -60), 32631, "before.tif has pixels of 10 m, and after.tif of 60 m"),
        ((500000, 2, 0, 5000000, 0, -2), 32631, "after.tif of 2 m"),
        ((500050, 10, 0, 5000000, 0, -10), 0, "after.tif has no place on earth"),
    ],
)
def test_maps_that_cannot_be_compared_are_refused_in_a_sentence(
    compare_moved, tmp_path, place, epsg, sentence
):
    from timo_qgis.layers.raster_blocks import RasterError

    with pytest.raises(RasterError, match=sentence):
        compare_moved(np.full((10, 20), 1), np.full((10, 20), 5), place, epsg)
    assert not list(tmp_path.glob("change*"))


def test_map_that_is_turned_is_refused_as_the_earlier_one(compare, package, make_map, tmp_path):
    from timo_qgis.layers.change import compare as compare_files
    from timo_qgis.layers.raster_blocks import RasterError
    from timo_qgis.layers.result_files import read_result

    turned, straight = (
        make_map(f"{name}.tif", np.full((4, 4), 1), BEFORE) for name in ("turned", "straight")
    )
    move(turned, (500000, 8, 6, 5000000, 6, -8))
    with pytest.raises(RasterError, match=r"straight.tif cannot be brought onto the grid of turned.tif"):
        compare_files(read_result("map", turned), read_result("map", straight), tmp_path / "change.tif")


def test_stopped_half_way_nothing_is_left(compare, tmp_path):
    from timo_qgis.layers.raster_blocks import StoppedError

    with pytest.raises(StoppedError):
        compare(*maps(), tick=lambda share: share < 0.5)
    assert not list(tmp_path.glob("change*"))


def test_hectares_of_a_map_in_degrees_shrink_towards_the_pole(package):
    from timo_qgis.layers.raster_blocks import hectares

    dataset = gdal.GetDriverByName("MEM").Create("", 1, 90, 1)
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(4326)
    dataset.SetSpatialRef(reference)
    dataset.SetGeoTransform((0, 1, 0, 90, 0, -1))
    area = hectares(dataset)
    assert area(89) == pytest.approx(1_236_000, rel=0.01)  # a degree square at the equator: 12,360 km²
    assert area(29) == pytest.approx(area(89) * np.cos(np.radians(60.5)), rel=0.02)
