# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import rasterio
from affine import Affine

from timo.errors import LabelError
from timo.series.grid import Grid
from timo.series.labels import NOT_LABELLED, read_labels

VALUES = np.full((30, 40), 255, np.uint8)
VALUES[2:6, 3:9] = 1
VALUES[10:20, 10:20] = 7
VALUES[20:22, 30:33] = 0


def classes(labels):
    return [(info.value, info.name) for info in labels.scheme.classes]


def test_values_stay_and_nodata_is_not_labelled(tmp_path, write_raster, grid):
    labels = read_labels(write_raster(tmp_path / "x.tif", VALUES, nodata=255), grid)
    assert classes(labels) == [(0, "0"), (1, "1"), (7, "7")]
    expected = np.select([VALUES == 0, VALUES == 1, VALUES == 7], [0, 1, 2], NOT_LABELLED)
    np.testing.assert_array_equal(labels.map, expected)
    np.testing.assert_array_equal(labels.counts, [6, 24, 100])


def test_an_ignored_value_is_not_labelled_either(tmp_path, write_raster, grid):
    labels = read_labels(write_raster(tmp_path / "x.tif", VALUES, nodata=255), grid, ignore=0)
    assert classes(labels) == [(1, "1"), (7, "7")]


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "float32"])
def test_any_type_of_whole_numbers_is_read(tmp_path, write_raster, grid, dtype):
    values = VALUES.astype(dtype)
    values[values == 7] = 1000
    nodata = 255
    if dtype == "float32":
        values[values == 255] = np.nan
        nodata = None
    labels = read_labels(write_raster(tmp_path / "x.tif", values, nodata=nodata), grid)
    assert classes(labels) == [(0, "0"), (1, "1"), (1000, "1000")]


def test_names_come_from_tags_and_colours_from_the_colour_table(tmp_path, write_raster, grid):
    path = write_raster(tmp_path / "x.tif", VALUES, nodata=255, tags={"1": "forest", "7": "water"})
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {1: (10, 200, 30, 255), 7: (0, 0, 250, 255)})
    labels = read_labels(path, grid, colors={"water": "#123456"})
    assert classes(labels) == [(0, "0"), (1, "forest"), (7, "water")]
    assert [info.color for info in labels.scheme.classes][1:] == ["#0ac81e", "#123456"]


def test_names_come_from_category_names_beside_the_file(tmp_path, write_raster, grid):
    path = write_raster(tmp_path / "x.tif", VALUES, nodata=255)
    names = ["bare &amp; open", "forest", "", "", "", "", "", "lake"]
    categories = "".join(f"<Category>{name}</Category>" for name in names)
    band = f'<PAMRasterBand band="1"><CategoryNames>{categories}</CategoryNames></PAMRasterBand>'
    sidecar = tmp_path / "x.tif.aux.xml"
    sidecar.write_text(f"<PAMDataset>{band}</PAMDataset>")
    assert classes(read_labels(path, grid)) == [(0, "bare & open"), (1, "forest"), (7, "lake")]
    sidecar.write_text('<!DOCTYPE x [<!ENTITY a "b">]>' + sidecar.read_text())
    assert classes(read_labels(path, grid)) == [(0, "0"), (1, "1"), (7, "7")]


def test_a_raster_of_another_extent_is_laid_in_its_place(tmp_path, write_raster, grid):
    part = write_raster(
        tmp_path / "x.tif", VALUES[5:25, 4:36], transform=Affine(10, 0, 500_040, 0, -10, 5_599_950)
    )
    labels = read_labels(part, grid, ignore=255)
    expected = np.full(grid.shape, NOT_LABELLED)
    expected[5:25, 4:36] = read_labels(write_raster(tmp_path / "y.tif", VALUES), grid, ignore=255).map[
        5:25, 4:36
    ]
    np.testing.assert_array_equal(labels.map, expected)


@pytest.mark.parametrize("nodata", [255, None])
def test_a_coarser_raster_is_taken_by_nearest_neighbour(tmp_path, write_raster, grid, nodata):
    coarse = np.uint8([[1, 2, 3], [4, 5, 6]])
    place = Affine(50, 0, 500_100, 0, -50, 5_599_900)
    labels = read_labels(write_raster(tmp_path / "x.tif", coarse, transform=place, nodata=nodata), grid)
    expected = np.full(grid.shape, NOT_LABELLED)
    expected[10:20, 10:25] = coarse.repeat(5, 0).repeat(5, 1) - 1
    np.testing.assert_array_equal(labels.map, expected)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_rasters_that_cannot_be_labels_are_refused(tmp_path, write_raster, grid):
    def refusal(code, values, **profile):
        path = write_raster(tmp_path / f"{code}.tif", values, **profile)
        with pytest.raises(LabelError) as caught:
            read_labels(path, grid)
        assert caught.value.code == code
        assert path.name in caught.value.message

    refusal("one_class", np.where(VALUES == 1, 1, 255).astype(np.uint8), nodata=255)
    refusal("no_labels", np.full((30, 40), 255, np.uint8), nodata=255)
    refusal("labels_elsewhere", VALUES, transform=Affine(10, 0, 900_000, 0, -10, 5_600_000))
    refusal("labels_decimal", np.linspace(0, 1, 1200, dtype=np.float32).reshape(30, 40))
    refusal("too_many_classes", np.arange(1200, dtype=np.uint16).reshape(30, 40))
    refusal("labels_no_crs", VALUES, crs=None)
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(LabelError, match=r"text\.tif"):
        read_labels(tmp_path / "text.tif", grid)
    bare = write_raster(tmp_path / "bare.png", VALUES, driver="PNG", crs=None, transform=None)
    pixels = Grid(None, Affine.identity(), 40, 30)
    assert read_labels(bare, pixels, ignore=255).counts.sum() == 130
    with pytest.raises(LabelError) as caught:
        read_labels(bare, Grid(None, Affine.identity(), 41, 30))
    assert caught.value.code == "labels_size"


def test_the_crop_map_is_what_its_source_says(real):
    from timo.series.series import open_series

    folder = real("crops_belgium")
    labels = read_labels(folder / "labels.tif", open_series(folder).grid)
    assert dict(zip([name for _, name in classes(labels)], labels.counts.tolist())) == {
        "not temporary cropland": 1451,
        "winter cereals": 495,
        "spring cereals": 1651,
        "maize": 26,
        "other temporary crops": 2084,
    }
    assert [value for value, _ in classes(labels)] == [1, 2, 3, 4, 5]
