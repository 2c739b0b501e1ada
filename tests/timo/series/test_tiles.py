# SPDX-License-Identifier: GPL-3.0-or-later
"""Several scenes on one date; extents, degrees, turned grids and coordinate systems as they come."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform as move
from rasterio.windows import Window

from timo.errors import SeriesError
from timo.series.series import open_series

UTM = "EPSG:32631"
NO_CODE = (
    'PROJCS["local",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",3.5],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def at(left, top=5_600_000, size=10):
    return Affine(size, 0, left, 0, -size, top)


def write_tile(folder, write_raster, name, left, value, *, holes=0, **more):
    values = np.full((4, 6), value, np.uint16)
    values[:holes] = 0
    return write_raster(
        folder / f"{name}.tif", values, names=("B04",), nodata=0, **{"transform": at(left), **more}
    )


def test_tiles_beside_each_other_are_one_frame(tmp_path, write_raster):
    write_tile(tmp_path, write_raster, "S2_20200801_A", 500_000, 1000)
    write_tile(tmp_path, write_raster, "S2_20200801_B", 500_060, 2000)
    series = open_series(tmp_path)
    assert (series.grid.height, series.grid.width) == (4, 12)
    frames = series.read()
    assert frames.valid.all()
    np.testing.assert_allclose(frames.values[0, 0, 0], [0.1] * 6 + [0.2] * 6, atol=1e-6)
    part = series.read(Window(4, 1, 5, 2))
    np.testing.assert_array_equal(part.values, frames.values[..., 1:3, 4:9])


def test_where_tiles_overlap_the_first_valid_pixel_counts(tmp_path, write_raster):
    write_tile(tmp_path, write_raster, "S2_20200801_A", 500_000, 1000, holes=1)
    write_tile(tmp_path, write_raster, "S2_20200801_B", 500_030, 2000)
    values = open_series(tmp_path).read().values[0, 0]
    np.testing.assert_allclose(values[0], [0, 0, 0] + [0.2] * 6, atol=1e-6)
    np.testing.assert_allclose(values[1], [0.1] * 6 + [0.2] * 3, atol=1e-6)


def test_a_date_with_one_of_two_tiles_is_valid_there_alone(tmp_path, write_raster):
    write_tile(tmp_path, write_raster, "S2_20200701_A", 500_000, 1500)
    write_tile(tmp_path, write_raster, "S2_20200801_A", 500_000, 1000)
    write_tile(tmp_path, write_raster, "S2_20200801_B", 500_060, 2000)
    frames = open_series(tmp_path).read()
    assert frames.values.shape == (2, 1, 4, 12)
    np.testing.assert_array_equal(frames.valid[0, 0], [True] * 6 + [False] * 6)
    assert frames.valid[1].all()


def test_tiles_of_neighbouring_zones_are_one_frame(tmp_path, write_raster):
    write_tile(tmp_path, write_raster, "S2_20200801_A", 700_000, 1000)
    (x,), (y,) = move(UTM, "EPSG:32632", [700_060], [5_600_000])
    write_tile(tmp_path, write_raster, "S2_20200801_B", 0, 2000, crs="EPSG:32632", transform=at(x, y))
    series = open_series(tmp_path)
    assert series.grid.crs == UTM
    assert 12 <= series.grid.width <= 15
    values = series.read().values[0, 0]
    np.testing.assert_allclose(values[:, :6].max(), 0.1, atol=1e-6)
    np.testing.assert_allclose(values[:, 7:].max(), 0.2, atol=1e-6)


def test_tiles_that_lie_far_apart_are_no_one_place(tmp_path, write_raster):
    write_tile(tmp_path, write_raster, "S2_20200801_here", 500_000, 1000)
    write_tile(tmp_path, write_raster, "S2_20200801_there", 590_000, 2000)
    with pytest.raises(SeriesError) as caught:
        open_series(tmp_path)
    assert caught.value.code == "places_apart"
    assert "S2_20200801_here.tif" in caught.value.message
    assert "S2_20200801_there.tif" in caught.value.message


@pytest.fixture(scope="module")
def masked_tiles(tmp_path_factory):
    """Two tiles that overlap, each with a coarser mask, the second in the neighbouring zone."""
    folder = tmp_path_factory.mktemp("tiles")
    random = np.random.default_rng(3)
    (x,), (y,) = move(UTM, "EPSG:32632", [700_300], [5_600_050])
    for name, crs, place in (("A", UTM, (700_000, 5_600_000)), ("B", "EPSG:32632", (x, y))):
        values = random.integers(1, 9000, (40, 50)).astype(np.uint16)
        codes = random.choice([4, 5, 8, 9, 11], (20, 25)).astype(np.uint8)
        for kind, size, pixels in (("S2", 10, values), ("SCL", 20, codes)):
            with rasterio.open(
                folder / f"{kind}_20200801_{name}.tif", "w", driver="GTiff", count=1, dtype=pixels.dtype,
                height=pixels.shape[0], width=pixels.shape[1], crs=crs, transform=at(*place, size), nodata=0,
            ) as file:  # fmt: skip
                file.write(pixels, 1)
    series = open_series(folder)
    return series, series.read()


@given(st.integers(-9, 70), st.integers(-9, 90), st.integers(1, 50), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_a_window_of_masked_tiles_is_a_part_of_the_whole(masked_tiles, row, col, height, width):
    series, whole = masked_tiles
    assert 0.2 < whole.valid.mean() < 0.8
    part = series.read(Window(col, row, width, height))
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(row + height, series.grid.height), min(col + width, series.grid.width)
    if top < bottom and left < right:
        inside = (..., slice(top - row, bottom - row), slice(left - col, right - col))
        np.testing.assert_array_equal(part.values[inside], whole.values[..., top:bottom, left:right])
        np.testing.assert_array_equal(part.valid[inside], whole.valid[..., top:bottom, left:right])
        assert part.valid.sum() == part.valid[inside].sum()
    else:
        assert not part.valid.any()


@pytest.mark.parametrize(
    ("name", "left", "more"),
    [
        ("S2_20200801_again", 500_000, {}),  # the same ground
        ("LC08_20200801", 500_060, {}),  # another sensor
        ("S2_20200801_coarse", 500_060, {"transform": at(500_060, size=20)}),  # another resolution
    ],
)
def test_the_same_band_that_is_no_tile_is_refused_with_both_names(tmp_path, write_raster, name, left, more):
    write_tile(tmp_path, write_raster, "S2_20200801", 500_000, 1000)
    values = np.ones((4, 6), np.uint16)
    write_raster(tmp_path / f"{name}.tif", values, names=("red",), **{"transform": at(left), **more})
    with pytest.raises(SeriesError) as caught:
        open_series(tmp_path)
    assert caught.value.code == "band_twice"
    for word in ("S2_20200801.tif", f"{name}.tif", "'red'"):
        assert word in caught.value.message


def test_scenes_of_differing_extents_lie_where_they_are(tmp_path, write_raster):
    write_tile(tmp_path, write_raster, "S2_20200801", 500_000, 1000)
    write_tile(tmp_path, write_raster, "S2_20200901", 500_020, 2000)
    valid = open_series(tmp_path).read().valid
    assert valid[0].all()
    np.testing.assert_array_equal(valid[1, 0], [False] * 2 + [True] * 4)


def test_a_grid_in_degrees_with_pixels_that_are_not_square(tmp_path, write_raster):
    for month in (7, 8):
        write_tile(
            tmp_path, write_raster, f"S2_2020{month:02}01", 0, 1000 * month, crs="EPSG:4326",
            transform=Affine(2e-4, 0, 1.4, 0, -1e-4, 7.7),
        )  # fmt: skip
    series = open_series(tmp_path)
    assert series.grid.crs == "EPSG:4326"
    assert series.grid.pixel_size == pytest.approx((2e-4, 1e-4))
    np.testing.assert_allclose(series.read().values[:, 0, 0, 0], [0.7, 0.8], atol=1e-6)


def test_a_turned_grid_and_an_upright_one_are_one_series(tmp_path, write_raster):
    turned = Affine(7, 7, 500_000, 7, -7, 5_600_000)
    ramp = np.arange(1, 901, dtype=np.uint16).reshape(30, 30)
    write_raster(tmp_path / "S2_20200701.tif", ramp, names=("B04",), nodata=0, transform=turned)
    write_raster(tmp_path / "S2_20200801.tif", ramp, names=("B04",), nodata=0, transform=turned)
    write_raster(
        tmp_path / "S2_20200901.tif", np.full((60, 60), 500, np.uint16), names=("B04",), nodata=0,
        transform=at(499_900, 5_600_300),
    )  # fmt: skip
    series = open_series(tmp_path)
    assert series.grid.transform == turned
    frames = series.read()
    np.testing.assert_allclose(frames.values[0], frames.values[1])
    inner = (2, slice(5, 25), slice(5, 25))
    assert frames.valid[inner].all()
    np.testing.assert_allclose(frames.values[:, 0][inner], 0.05, atol=1e-6)


def test_a_coordinate_system_without_a_code_is_kept(tmp_path, write_raster):
    crs = CRS.from_wkt(NO_CODE)
    for month in (7, 8):
        write_tile(tmp_path, write_raster, f"S2_2020{month:02}01", 500_000, 1000, crs=crs)
    (x,), (y,) = move(crs, UTM, [500_000], [5_600_000])
    around = np.full((12, 14), 2000, np.uint16)
    write_raster(tmp_path / "S2_20200901.tif", around, names=("B04",), nodata=0, transform=at(x - 40, y + 40))
    series = open_series(tmp_path)
    assert series.grid.rasterio_crs == crs
    np.testing.assert_allclose(series.read().values[:, 0, 1, 1], [0.1, 0.1, 0.2], atol=1e-6)
    assert series.read().valid.all()


def test_int16_keeps_its_negative_values(tmp_path, write_raster):
    values = np.int16([[-50, 0, 300]])
    write_raster(tmp_path / "HLS.S30.T31UFS.2020214T103031.v2.0.B04.tif", values)
    frames = open_series(tmp_path).read()
    np.testing.assert_allclose(frames.values[0, 0, 0], [-0.005, 0, 0.03], atol=1e-7)
    assert frames.valid.all()
