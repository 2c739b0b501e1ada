# SPDX-License-Identifier: GPL-3.0-or-later
"""A pixel is the same whichever window it is read with, warped or not."""

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.warp import transform as move
from rasterio.windows import Window

from timo.series.series import open_series

UTM = "EPSG:32631"
CORNER = Affine(10, 0, 500_000, 0, -10, 5_600_000)
HEIGHT, WIDTH = 150, 190
LON, LAT = (axis[0] for axis in move(UTM, "EPSG:4326", [500_000], [5_600_000]))

SOURCES = {
    "the grid itself": (UTM, CORNER, (HEIGHT, WIDTH)),
    "the same lattice, another extent": (UTM, Affine(10, 0, 499_800, 0, -10, 5_599_700), (100, 160)),
    "pixels in between": (UTM, Affine(10, 0, 500_004, 0, -10, 5_600_003), (HEIGHT, WIDTH)),
    "twice as coarse": (UTM, Affine(20, 0, 500_000, 0, -20, 5_600_000), (75, 95)),
    "six times as coarse, smaller": (UTM, Affine(60, 0, 500_120, 0, -60, 5_599_820), (15, 20)),
    "not square": (UTM, Affine(30, 0, 499_990, 0, -20, 5_600_010), (80, 70)),
    "turned": (UTM, Affine(11, 11, 499_500, 11, -11, 5_599_400), (120, 120)),
    "another zone": ("EPSG:32630", None, (60, 80)),
    "degrees": ("EPSG:4326", Affine(0.00025, 0, LON - 0.001, 0, -0.0002, LAT + 0.001), (90, 130)),
}
HOLES = ["nodata", "none", "nan"]


def build(folder, write_raster, source, holes):
    crs, transform, shape = SOURCES[source]
    if transform is None:
        xs, ys = move(UTM, crs, [500_000], [5_600_000])
        transform = Affine(25, 0, xs[0] - 100, 0, -25, ys[0] + 100)
    random = np.random.default_rng(5)
    values = random.integers(1, 10_000, (2, *shape)).astype(np.float32 if holes == "nan" else np.uint16)
    if holes != "none":
        values[random.random(values.shape) < 0.1] = np.nan if holes == "nan" else 0
    fine = random.integers(1, 100, (HEIGHT, WIDTH)).astype(np.uint16)
    write_raster(folder / "fine_20200101.tif", fine, names=("green",), crs=UTM, transform=CORNER, nodata=0)
    nodata = {"nodata": 0, "none": None, "nan": np.nan}[holes]
    write_raster(
        folder / "other_20200101.tif",
        values,
        names=("red", "nir"),
        crs=crs,
        transform=transform,
        nodata=nodata,
    )
    series = open_series(folder)
    assert series.grid.transform == CORNER
    return series.select_bands(["red", "nir"]), values, transform


@pytest.fixture(params=[(source, hole) for source in SOURCES for hole in HOLES], ids=" / ".join)
def series(request, tmp_path, write_raster):
    return build(tmp_path, write_raster, *request.param)[0]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_window_is_a_part_of_the_whole(series, data):
    whole = series.read()
    row, col = data.draw(st.integers(-40, HEIGHT)), data.draw(st.integers(-40, WIDTH))
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    part = series.read(Window(col, row, width, height))
    rows = slice(max(row, 0), max(min(row + height, HEIGHT), 0))
    cols = slice(max(col, 0), max(min(col + width, WIDTH), 0))
    inside = (..., slice(rows.start - row, rows.stop - row), slice(cols.start - col, cols.stop - col))
    np.testing.assert_array_equal(part.values[inside], whole.values[..., rows, cols])
    np.testing.assert_array_equal(part.band_valid[inside], whole.band_valid[..., rows, cols])
    assert part.band_valid.sum() == part.band_valid[inside].sum()


@pytest.mark.parametrize("size", [7, 32, 64, 149])
def test_windows_that_tile_the_grid_make_up_the_whole(series, size):
    whole = series.read()
    values, valid = np.full_like(whole.values, np.nan), np.zeros_like(whole.band_valid)
    for window in series.grid.windows(size):
        frames = series.read(window)
        rows, cols = window.toslices()
        values[..., rows, cols], valid[..., rows, cols] = frames.values, frames.band_valid
    np.testing.assert_array_equal(values, whole.values)
    np.testing.assert_array_equal(valid, whole.band_valid)


@pytest.mark.parametrize("holes", HOLES)
def test_on_the_same_lattice_pixels_are_the_file_s_own(tmp_path, write_raster, holes):
    series, values, _ = build(tmp_path, write_raster, "the same lattice, another extent", holes)
    frames = series.read()
    # 20 columns left of the grid, 30 rows below its top
    expected = np.zeros((2, HEIGHT, WIDTH), np.float32)
    expected[:, 30:130, :140] = np.nan_to_num(values[:, :, 20:])
    np.testing.assert_array_equal(frames.values[0], expected)
    np.testing.assert_array_equal(frames.band_valid[0], (expected != 0) if holes != "none" else expected > 0)


def test_outside_of_a_source_nothing_is_valid(tmp_path, write_raster):
    for holes in HOLES:
        series, _, _ = build(tmp_path / holes, write_raster, "six times as coarse, smaller", holes)
        valid = series.read().valid[0]
        # columns 12 to 131, rows 18 to 107
        assert not valid[:18].any()
        assert not valid[108:].any()
        assert not valid[:, :12].any()
        assert not valid[:, 132:].any()
        if holes == "none":
            assert valid[18:108, 12:132].all()


@pytest.mark.parametrize("kind", ["alpha", "mask"])
def test_a_warped_source_keeps_its_alpha_band_or_mask(tmp_path, kind):
    write = {"driver": "GTiff", "dtype": "uint8", "crs": UTM}
    with rasterio.open(
        tmp_path / "fine_20200101.tif", "w", count=1, height=150, width=190, transform=CORNER, **write
    ) as file:
        file.descriptions = ("nir",)
    holed = np.full((15, 20), 255, np.uint8)
    holed[5:8, 5:8] = 0
    coarse = {"height": 15, "width": 20, "transform": Affine(60, 0, 500_120, 0, -60, 5_599_820), **write}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            tmp_path / "photo_20200101.tif", "w", count=4 if kind == "alpha" else 3, photometric="RGB",
            **({"alpha": "yes"} if kind == "alpha" else {}), **coarse,
        ) as file,
    ):  # fmt: skip
        file.write(np.full((3, 15, 20), 77, np.uint8), [1, 2, 3])
        if kind == "alpha":
            file.write(holed, 4)
        else:
            file.write_mask(holed)
    series = open_series(tmp_path).select_bands(["red", "green", "blue"])
    frames = series.read()
    assert not frames.valid[0, :18].any()
    assert frames.valid[0, 20:40, 20:40].all()
    assert not frames.valid[0, 50:64, 44:58].any()
    assert set(np.unique(frames.values)) == {0.0, 77.0}


def test_a_coarser_source_is_interpolated_in_its_place(tmp_path, write_raster):
    """A plane stays that plane under bilinear resampling, away from the source's edge."""
    rows, cols = np.mgrid[:75, :95]
    plane = (1000 + 20 * (cols + 0.5) + 40 * (rows + 0.5)).astype(np.float64)
    write_raster(tmp_path / "fine_20200101.tif", np.ones((HEIGHT, WIDTH), np.uint8), names=("green",))
    coarse = Affine(20, 0, 500_000, 0, -20, 5_600_000)
    write_raster(tmp_path / "coarse_20200101.tif", plane, names=("red",), transform=coarse)
    red = open_series(tmp_path).select_bands(["red"]).read().values[0, 0]
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    expected = 1000 + 10 * (cols + 0.5) + 20 * (rows + 0.5)
    np.testing.assert_allclose(red[2:-2, 2:-2], expected[2:-2, 2:-2], rtol=1e-5)


def test_a_hole_in_one_warped_band_leaves_the_other_valid(tmp_path, write_raster):
    values = np.full((2, 75, 95), 500, np.uint16)
    values[0, 20:40, 20:40] = 0
    write_raster(tmp_path / "fine_20200101.tif", np.ones((HEIGHT, WIDTH), np.uint8), names=("green",))
    coarse = Affine(20, 0, 500_000, 0, -20, 5_600_000)
    write_raster(tmp_path / "coarse_20200101.tif", values, names=("red", "nir"), transform=coarse, nodata=0)
    frames = open_series(tmp_path).select_bands(["red", "nir"]).read()
    assert not frames.band_valid[0, 0, 45:75, 45:75].any()
    assert frames.band_valid[0, 1].all()
    # Nodata takes no part in what is beside it.
    assert set(np.unique(frames.values[0, 0])) == {0.0, 500.0}


def test_places_in_another_system_keep_their_axes(tmp_path, write_raster):
    """Values that are the longitude come out as the longitude of the grid's pixels."""
    crs, transform, shape = SOURCES["degrees"]
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    lon = transform.c + transform.a * (cols + 0.5)
    write_raster(tmp_path / "fine_20200101.tif", np.ones((HEIGHT, WIDTH), np.uint8), names=("green",))
    write_raster(tmp_path / "lon_20200101.tif", lon, names=("red",), crs=crs, transform=transform)
    frames = open_series(tmp_path).select_bands(["red"]).read()
    inner = (0, slice(60, 90), slice(60, 120))
    assert frames.valid[inner].all()
    rows, cols = np.mgrid[60:90, 60:120]
    expected = move(UTM, crs, (500_005 + 10 * cols).ravel(), (5_599_995 - 10 * rows).ravel())[0]
    np.testing.assert_allclose(frames.values[0, 0, 60:90, 60:120].ravel(), expected, atol=2e-6)


def test_a_vrt_is_read_as_its_sources_are(tmp_path, write_raster):
    values = np.arange(12, dtype=np.uint16).reshape(3, 4) + 1
    source = write_raster(tmp_path / "parts" / "tile.tif", values)
    with rasterio.open(source) as file, rasterio.vrt.WarpedVRT(file) as view:
        rasterio.shutil.copy(view, tmp_path / "mosaic_20200101.vrt", driver="VRT")
    np.testing.assert_array_equal(open_series(tmp_path).read().values[0, 0], values)
