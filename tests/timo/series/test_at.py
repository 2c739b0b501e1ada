# SPDX-License-Identifier: GPL-3.0-or-later
"""What a series measures at a place."""

import numpy as np
import pytest
from rasterio.warp import transform

from timo.errors import SeriesError
from timo.series.at import values_at
from timo.series.series import open_series

DAYS = ("20200101", "20200201", "20200301")


def degrees(series, row, col):
    """The middle of a pixel."""
    x, y = series.grid.point(col + 0.5, row + 0.5)
    (longitude,), (latitude,) = transform(series.grid.rasterio_crs, "EPSG:4326", [x], [y])
    return longitude, latitude


@pytest.fixture
def folder(tmp_path, write_raster):
    """Red, infrared and a cloud mask; cloudy in one pixel of the second date, empty in another."""
    random = np.random.default_rng(3)
    for number, day in enumerate(DAYS):
        values = random.integers(100, 5000, (2, 9, 7)).astype(np.uint16)
        classes = np.full((1, 9, 7), 4, np.uint16)
        if number == 1:
            classes[0, 2, 3] = 9
            values[0, 5, 5] = 0
        write_raster(
            tmp_path / f"S2_{day}.tif",
            np.concatenate([values, classes]),
            names=("B04", "B08", "SCL"),
            nodata=0,
        )
    return tmp_path


def test_the_values_are_those_that_are_read_and_what_is_hidden_is_left_out(folder):
    series = open_series(folder)
    frames = series.read()
    for row, col in ((0, 0), (8, 6), (4, 2)):
        found = values_at(folder, *degrees(series, row, col))
        assert found["dates"] == ["2020-01-01", "2020-02-01", "2020-03-01"]
        assert [band["role"] for band in found["bands"]] == ["red", "nir"]
        assert [band["unit"] for band in found["bands"]] == ["reflectance"] * 2
        told = np.array([band["values"] for band in found["bands"]], np.float32)
        np.testing.assert_array_equal(told.T, frames.values[:, :, row, col])
    assert values_at(folder, *degrees(series, 2, 3))["dates"] == ["2020-01-01", "2020-03-01"]
    partly = values_at(folder, *degrees(series, 5, 5))
    assert partly["bands"][0]["values"][1] is None and partly["bands"][1]["values"][1] is not None


def test_beside_the_series_nothing_is_measured(folder):
    series = open_series(folder)
    for longitude, latitude in (degrees(series, -2, 3), (-170.0, -80.0), (0.0, 90.0)):
        assert values_at(folder, longitude, latitude)["dates"] == []


def test_a_place_that_is_not_on_earth_and_a_series_that_lies_nowhere_are_told_so(
    folder, tmp_path, write_raster
):
    with pytest.raises(SeriesError, match="The place 400 50 is not on earth"):
        values_at(folder, 400.0, 50.0)
    with pytest.raises(SeriesError, match="not on earth"):
        values_at(folder, float("nan"), 50.0)
    bare = tmp_path / "bare"
    bare.mkdir()
    write_raster(bare / "S2_20200101.tif", np.ones((4, 5), np.uint16), names=("B04",), crs=None)
    with pytest.raises(SeriesError, match="no coordinate system"):
        values_at(bare, 4.0, 50.0)
