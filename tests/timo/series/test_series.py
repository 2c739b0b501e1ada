# SPDX-License-Identifier: GPL-3.0-or-later
import datetime as dt
import json
import pickle
import threading

import numpy as np
import pytest
from affine import Affine
from rasterio.windows import Window

from timo.errors import SeriesError
from timo.series.series import open_series


@pytest.fixture
def folder(tmp_path, write_raster):
    """Two bands at three dates; the red of the second has a hole, the third no nir."""
    values = np.arange(12, dtype=np.uint16).reshape(1, 3, 4)
    holed = values + 200
    holed[0, 1, 2] = 65535
    write_raster(
        tmp_path / "S2_20200101.tif",
        np.concatenate([values, values + 100]),
        names=("B04", "B08"),
        nodata=65535,
    )
    write_raster(
        tmp_path / "S2_20200111.tif",
        np.concatenate([values + 300, holed]),
        names=("B08", "B04"),
        nodata=65535,
    )
    write_raster(tmp_path / "S2_20200121.tif", values, names=("B04",), nodata=65535)
    return tmp_path


def test_bands_are_matched_by_name_not_by_place(folder):
    frames = open_series(folder).read()
    np.testing.assert_allclose(frames.values[:, :, 0, 0], [[0, 0.01], [0.02, 0.03]], atol=1e-7)


def test_a_hole_in_one_band_leaves_the_others_valid(folder):
    frames = open_series(folder).read()
    assert not frames.band_valid[1, 0, 1, 2]
    assert frames.values[1, 0, 1, 2] == 0
    assert np.count_nonzero(~frames.band_valid) == 1
    assert np.count_nonzero(~frames.valid) == 1


def test_a_date_without_a_band_is_left_out_and_named(folder):
    series = open_series(folder)
    assert [str(date) for date in series.dates] == ["2020-01-01", "2020-01-11"]
    assert [item.path for item in series.left_out] == [str(folder / "S2_20200121.tif")]
    assert "nir" in series.left_out[0].reason


def test_fewer_bands_bring_back_the_dates_that_have_them(folder):
    red = open_series(folder).select_bands(["red"])
    assert len(red.dates) == 3
    assert red.left_out == ()
    assert red.read().values.shape == (3, 1, 3, 4)
    swapped = open_series(folder).select_bands(["B08", "red"])
    np.testing.assert_array_equal(swapped.read().values[:, ::-1], open_series(folder).read().values)


def test_a_missing_band_is_named_with_its_file(folder):
    with pytest.raises(SeriesError) as caught:
        open_series(folder).select_bands(["red", "swir1"])
    assert caught.value.code == "band_missing"
    assert "S2_20200101.tif" in caught.value.message
    assert "'swir1'" in caught.value.message


def test_dates_are_chosen_by_date(folder):
    series = open_series(folder)
    later = series.select_dates([dt.date(2020, 1, 11)])
    np.testing.assert_array_equal(later.read().values[0], series.read().values[1])
    assert later.left_out == series.select_dates(series.dates).left_out
    for wrong in ([dt.date(2020, 1, 12)], []):
        with pytest.raises(SeriesError) as caught:
            series.select_dates(wrong)
        assert caught.value.code == "date_missing"


def test_days_count_from_1970(folder):
    np.testing.assert_array_equal(open_series(folder).days, [18262, 18272])


def test_a_window_beyond_the_grid_is_invalid_there(folder):
    series = open_series(folder)
    whole, reaching = series.read(), series.read(Window(-2, -1, 8, 6))
    assert reaching.values.shape == (2, 2, 6, 8)
    np.testing.assert_array_equal(reaching.values[:, :, 1:4, 2:6], whole.values)
    np.testing.assert_array_equal(reaching.band_valid[:, :, 1:4, 2:6], whole.band_valid)
    assert reaching.band_valid.sum() == whole.band_valid.sum()
    assert not series.read(Window(10, 10, 3, 3)).band_valid.any()


def test_scale_and_offset_of_the_file_are_applied(tmp_path, write_raster):
    write_raster(
        tmp_path / "20200101.tif", np.int16([[100, -9999]]), nodata=-9999, scales=(0.01,), offsets=(2,)
    )
    frames = open_series(tmp_path).read()
    np.testing.assert_allclose(frames.values[0, 0], [[3, 0]])
    np.testing.assert_array_equal(frames.valid[0], [[True, False]])


@pytest.mark.parametrize(
    ("values", "nodata", "valid"),
    [
        (np.float32([[np.nan, 1, 0]]), None, [0, 1, 1]),
        (np.float32([[np.nan, np.inf, -9999, 1]]), -9999, [0, 0, 0, 1]),
        (np.float64([[-1.7e308, 1, 2]]), -1.7e308, [0, 1, 1]),
        (np.float32([[-3.4028235e38, 1, 2]]), -3.4028234663852886e38, [0, 1, 1]),
        (np.float32([[np.nan, 1, 2]]), np.nan, [0, 1, 1]),
        (np.uint8([[0, 1, 255]]), None, [1, 1, 1]),
        (np.uint8([[0, 1, 255]]), 0, [0, 1, 1]),
        (np.int16([[-32768, 0, 5]]), -32768, [0, 1, 1]),
    ],
)
def test_nodata_is_told_in_the_file_s_own_type(tmp_path, write_raster, values, nodata, valid):
    write_raster(tmp_path / "20200101.tif", values, nodata=nodata)
    frames = open_series(tmp_path).read()
    np.testing.assert_array_equal(frames.valid[0, 0], np.array(valid, bool))
    assert np.isfinite(frames.values).all()


def test_an_alpha_band_masks_and_is_no_band(tmp_path, write_raster):
    color = np.uint8([[[1, 2]], [[3, 4]], [[5, 6]], [[255, 0]]])
    write_raster(tmp_path / "20200101.tif", color, photometric="RGB", alpha="yes")
    series = open_series(tmp_path)
    assert [band.key for band in series.bands] == ["red", "green", "blue"]
    np.testing.assert_array_equal(series.read().valid[0], [[True, False]])


def test_nearly_empty_dates_are_named(tmp_path, write_raster):
    for month, empty in ((1, 0), (2, 10)):
        values = np.ones((2, 20), np.uint16)
        values[0, :empty] = values[1, empty - 1 :] = 0 if empty else 1
        bands = values.reshape(2, 4, 5)
        write_raster(tmp_path / f"S2_2020{month:02}01.tif", bands, names=("B04", "B08"), nodata=0)
    series = open_series(tmp_path)
    np.testing.assert_allclose(series.clear_shares(), [1, 0])  # each band has pixels, but none has both
    summary = series.summary()
    assert [bool(date["problem"]) for date in summary["dates"]] == [False, True]
    assert [problem[:10] for problem in summary["problems"]] == ["2020-02-01"]
    json.dumps(summary, allow_nan=False)


def test_a_date_of_two_dates_in_a_name_is_a_problem(tmp_path, write_raster):
    write_raster(tmp_path / "x_20200101_20200301.tif", np.ones((2, 2), np.uint8))
    summary = open_series(tmp_path).summary()
    assert "2020-03-01" in summary["problems"][0]
    assert summary["dates"][0]["problem"] == summary["problems"][0]


def test_dates_that_are_scaled_differently_are_a_problem(tmp_path, write_raster):
    write_raster(tmp_path / "S2_20200101.tif", np.ones((2, 2), np.uint16), names=("B04",))
    write_raster(tmp_path / "LE07_20200111.tif", np.ones((2, 2), np.uint16), names=("B3",))
    series = open_series(tmp_path)
    assert series.keys == ("red",)
    assert series.bands[0].sensor is None
    assert "but 1 and 0 in LE07_20200111.tif" in series.problems[0]
    assert series.select_dates(series.dates[:1]).problems == ()


def test_a_series_reads_alike_in_threads_and_after_pickling(folder):
    series = open_series(folder)
    whole = series.read().values
    copy = pickle.loads(pickle.dumps(series))
    np.testing.assert_array_equal(copy.read().values, whole)
    results = []
    threads = [threading.Thread(target=lambda: results.append(series.read().values)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all((one == whole).all() for one in results)


def test_the_crops_series_is_what_its_source_says(real):
    folder = real("crops_belgium")
    summary = open_series(folder).summary()
    assert len(summary["dates"]) == 20
    assert [band["role"] for band in summary["bands"]] == [
        "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "swir1", "swir2", "vv", "vh",
    ]  # fmt: skip
    assert (summary["grid"]["width"], summary["grid"]["height"]) == (60, 101)
    empty = {date["date"]: date["clear"] for date in summary["dates"] if date["problem"]}
    assert set(empty) == {"2020-12-01", "2021-01-01"}
    assert empty["2021-01-01"] == 0
    assert {item["path"].rpartition("/")[2] for item in summary["left_out"]} == {
        "dem.tif", "labels.tif", "S2_20201201.tif", "S2_20210101.tif",
    }  # fmt: skip


def test_what_an_analyst_knows_of_a_file_stands_in_the_csv(tmp_path, write_raster):
    values = np.array([[[0, 1000], [2000, 3000]]], np.uint16)
    write_raster(tmp_path / "a.tif", values, crs=None, names=["one"])
    (tmp_path / "series.csv").write_text(
        "path,date,band,name,sensor,nodata,crs\na.tif,2020-08-01,1,red,Sentinel-2,1000,EPSG:32633\n"
    )
    series = open_series(tmp_path / "series.csv")
    assert series.grid.crs == "EPSG:32633"
    (band,) = series.bands
    assert (band.key, band.sensor, band.nodata) == ("red", "sentinel-2", 1000)
    frames = series.read()
    assert not frames.valid[0, 0, 1]
    assert frames.valid[0, 1].all()
    assert frames.values[0, 0, 1, 1] == pytest.approx(0.3)


def test_a_told_coordinate_system_places_a_file_beside_others(tmp_path, write_raster):
    values = np.full((1, 4, 4), 500, np.uint16)
    write_raster(tmp_path / "a.tif", values, names=["red"])
    write_raster(
        tmp_path / "b.tif",
        values,
        crs=None,
        names=["red"],
        transform=Affine(20, 0, 499_990, 0, -20, 5_600_010),
    )
    (tmp_path / "series.csv").write_text("path,date,crs\na.tif,2020-08-01,\nb.tif,2020-09-01,EPSG:32631\n")
    frames = open_series(tmp_path / "series.csv").read()
    assert frames.valid.all()


@pytest.mark.parametrize(
    ("column", "text", "code"), [("nodata", "none", "csv_nodata"), ("crs", "EPSG:nowhere", "csv_crs")]
)
def test_a_wrong_fact_in_a_csv_is_named_with_its_line(tmp_path, write_raster, column, text, code):
    write_raster(tmp_path / "a.tif", np.ones((1, 4, 4), np.uint16), names=["red"])
    (tmp_path / "series.csv").write_text(f"path,date,{column}\na.tif,2020-08-01,{text}\n")
    with pytest.raises(SeriesError, match="Line 2") as caught:
        open_series(tmp_path / "series.csv")
    assert caught.value.code == code
