# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene that is almost all invalid is left out and named, by the whole raster."""

import numpy as np
import pytest
from rasterio.windows import Window

from timo.errors import SeriesError
from timo.series import census
from timo.series.series import open_series


def write_days(folder, write_raster, valid, **more):
    """A date for each number of valid pixels of 20."""
    for month, count in enumerate(valid, start=1):
        values = np.zeros(20, np.uint16)
        values[:count] = 500
        write_raster(
            folder / f"S2_2020{month:02}01.tif", values.reshape(4, 5), names=("B04",), nodata=0, **more
        )


def months(series):
    return [date.month for date in series.dates]


def test_a_date_that_is_almost_empty_is_left_out_with_its_share(tmp_path, write_raster):
    write_days(tmp_path, write_raster, [20, 1, 0, 2, 10])
    series = open_series(tmp_path)
    assert months(series) == [1, 4, 5]
    assert {item.path[-12:]: item.reason for item in series.left_out} == {
        f"2020{month}01.tif": f"Its scene of 2020-{month}-01 is nearly empty: {share} of the pixels are "
        "valid, where the best date has 100 %."
        for month, share in (("02", "only 5 %"), ("03", "none"))
    }


def test_a_parcel_that_is_cut_out_keeps_its_dates(tmp_path, write_raster):
    write_days(tmp_path, write_raster, [1, 1, 0, 1])
    assert months(open_series(tmp_path)) == [1, 2, 4]


@pytest.mark.parametrize("keep", [False, True])
def test_a_single_pixel_makes_a_series_and_none_makes_none(tmp_path, write_raster, keep):
    write_days(tmp_path / "one", write_raster, [1])
    assert months(open_series(tmp_path / "one", keep_empty=keep)) == [1]
    write_days(tmp_path / "none", write_raster, [0, 0])
    with pytest.raises(SeriesError, match="No pixel of the series has data"):
        open_series(tmp_path / "none", keep_empty=keep)


def test_empty_dates_can_be_kept(tmp_path, write_raster):
    write_days(tmp_path, write_raster, [20, 0, 10])
    series = open_series(tmp_path, keep_empty=True)
    assert months(series) == [1, 2, 3]
    assert series.left_out == ()


def test_clouds_of_a_mask_count_as_invalid(tmp_path, write_raster):
    for month, code in ((1, 4), (2, 9), (3, 5)):
        write_raster(
            tmp_path / f"S2_2020{month:02}01.tif",
            np.stack([np.full((4, 5), 500), np.full((4, 5), code)]).astype(np.uint16),
            names=("B04", "SCL"),
        )
    assert months(open_series(tmp_path)) == [1, 3]


def test_a_date_with_another_sensor_stays_and_its_lost_bands_are_filled(tmp_path, write_raster):
    write_days(tmp_path, write_raster, [20, 0, 20])
    for month in (1, 2, 3):
        write_raster(tmp_path / f"S1_2020{month:02}01.tif", np.full((4, 5), -10.0 - month), names=("VV",))
    series = open_series(tmp_path)
    assert months(series) == [1, 2, 3]
    assert [item.path[-15:] for item in series.left_out] == ["S2_20200201.tif"]
    assert "S1_20200201.tif" in series.left_out[0].reason
    assert series.files[1] == (str(tmp_path / "S1_20200201.tif"),)
    assert "filled in" in series.summary()["dates"][1]["problem"]
    frames = series.select_bands(["red", "vv"]).read()
    np.testing.assert_array_equal(frames.band_valid.all(axis=(2, 3)), [[1, 1], [0, 1], [1, 1]])
    np.testing.assert_allclose(frames.filled()[1, 0], 0.05, atol=1e-6)
    assert months(series.select_bands(["red"])) == [1, 3]
    assert months(series.select_bands(["vv"])) == [1, 2, 3]


def test_what_is_dropped_does_not_hang_on_the_window(tmp_path, write_raster):
    write_days(tmp_path, write_raster, [20, 4, 20])
    series = open_series(tmp_path)
    assert series.read(Window(0, 3, 5, 1)).values.shape[0] == 3  # where the second date has nothing


@pytest.mark.parametrize("samples", [700, 400])  # every fourth row and column; in spots
def test_large_rasters_are_counted_in_a_share_of_their_pixels(tmp_path, write_raster, monkeypatch, samples):
    monkeypatch.setattr(census, "_SAMPLES", samples)
    for name, value in (("_BLOCK", 8), ("_SPOT", 2), ("TILE", 8)):
        monkeypatch.setattr(census, name, value)
    for month, rows in ((1, 100), (2, 1), (3, 50)):
        values = np.zeros((100, 100), np.uint16)
        values[:rows] = 500
        write_raster(tmp_path / f"S2_2020{month:02}01.tif", values, names=("B04",), nodata=0)
    assert months(open_series(tmp_path)) == [1, 3]


def test_of_a_large_raster_only_a_few_tiles_are_decoded(tmp_path, write_raster, monkeypatch):
    monkeypatch.setattr(census, "_SAMPLES", 64 * 64)
    read = 0
    real = census.read_plan

    def counting(reader, plan, window, *arguments):
        nonlocal read
        read += window.height * window.width
        real(reader, plan, window, *arguments)

    monkeypatch.setattr(census, "read_plan", counting)
    write_raster(tmp_path / "S2_20200101.tif", np.full((800, 500), 500, np.uint16), names=("B04",), nodata=0)
    open_series(tmp_path)
    assert 0 < read <= 64 * 64


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (np.linspace(-25, -2, 20), "dB"),
        (np.linspace(0.001, 0.6, 20), "linear"),
        (np.linspace(500, 9000, 20), "numbers"),
        (np.linspace(-2500, -200, 20), "numbers"),
    ],
)
def test_radar_in_decibels_or_linear_is_told_apart(tmp_path, write_raster, values, unit):
    write_raster(tmp_path / "S1_20200101.tif", values.reshape(4, 5).astype(np.float32), names=("VV",))
    series = open_series(tmp_path)
    assert series.bands[0].unit == unit
    assert any("radar" in problem for problem in series.problems) == (unit == "numbers")


def test_dates_in_decibels_and_dates_in_linear_are_a_problem(tmp_path, write_raster):
    for month, value in ((1, -12), (2, 0.06)):
        write_raster(tmp_path / f"S1_2020{month:02}01.tif", np.full((4, 5), value, np.float32), names=("VV",))
    series = open_series(tmp_path)
    assert series.bands[0].unit is None
    assert any("S1_20200101.tif" in p and "S1_20200201.tif" in p for p in series.problems)
