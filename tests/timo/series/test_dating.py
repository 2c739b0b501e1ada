# SPDX-License-Identifier: GPL-3.0-or-later
"""Where dates come from, in which order, and that nobody gets a wrong one silently."""

import datetime as dt

import numpy as np
import pytest

from timo.errors import SeriesError
from timo.series.dates import date_from_folder, date_from_name
from timo.series.metadata import band_dates, scaling, taken_on, written_on
from timo.series.series import open_series

FLAT = np.ones((4, 5), np.uint16)


def dates(*sources):
    return [str(date) for date in open_series(list(sources)).dates]


@pytest.mark.parametrize(
    ("name", "date", "alone"),
    [
        ("S2_Aug_2020.tif", "2020-08-01", True),
        ("15-Mar-2021_ndvi.tif", "2021-03-15", False),
        ("mosaic_2020_Aug_15.tif", "2020-08-15", False),
        ("1 September 2019.tif", "2019-09-01", False),
        ("March2021.tif", "2021-03-01", True),
        ("2021may.tif", "2021-05-01", True),
        ("20Aug2020.tif", "2020-08-20", False),
    ],
)
def test_names_with_a_month_in_words(name, date, alone):
    found = date_from_name(name)
    assert (str(found.date), found.month_alone, found.problem) == (date, alone, None)


@pytest.mark.parametrize(
    "name", ["summary_2020.tif", "31-Feb-2020.tif", "octant_2020.tif", "Aug_202.tif", "mar_12.tif"]
)
def test_words_that_are_no_months_are_no_dates(name):
    assert date_from_name(name) is None


def test_a_folder_is_dated_by_a_whole_date_alone():
    assert date_from_folder("2020-08-01") == dt.date(2020, 8, 1)
    for name in ("antwerp_2023apr", "2019-01-01_2019-12-31", "field"):
        assert date_from_folder(name) is None


def test_months_alone_are_said_once(tmp_path, write_raster):
    for month in ("Aug", "Sep"):
        write_raster(tmp_path / f"S2_{month}_2020.tif", FLAT, names=("B04",))
    series = open_series(tmp_path)
    assert [str(date) for date in series.dates] == ["2020-08-01", "2020-09-01"]
    assert sum("month alone" in problem for problem in series.problems) == 1


@pytest.mark.parametrize(
    ("tags", "date"),
    [
        ({"ACQUISITIONDATETIME": "2020-08-01 10:30:00"}, "2020-08-01"),
        ({"DATE_ACQUIRED": "2020-08-01"}, "2020-08-01"),
        ({"SENSING_TIME": "2020-08-01T10:30:21.1234567Z; 2020-08-01T10:30:45Z"}, "2020-08-01"),
        ({"NC_GLOBAL#time_coverage_start": "20200801T000000Z"}, "2020-08-01"),
        ({"system:time_start": "1596276000000"}, "2020-08-01"),
        ({"RANGEBEGINNINGDATE": "2020-08-01"}, "2020-08-01"),
        ({"TIFFTAG_DATETIME": "2020:08:01 10:30:00"}, None),
        ({"ACQUISITIONDATETIME": "unknown"}, None),
    ],
)
def test_tags_that_tell_the_acquisition(tags, date):
    found = taken_on(tags)
    assert (str(found[0]) if found else None) == date


def test_the_acquisition_of_the_metadata_counts_more_than_the_name_and_a_conflict_is_said(
    tmp_path, write_raster
):
    write_raster(tmp_path / "S2_20200801.tif", FLAT, tags={"ACQUISITIONDATETIME": "2020-07-30 10:00:00"})
    write_raster(tmp_path / "S2_20200901.tif", FLAT, tags={"ACQUISITIONDATETIME": "2020-09-01 10:00:00"})
    write_raster(tmp_path / "plain.tif", FLAT, tags={"ACQUISITIONDATETIME": "2020-10-01 10:00:00"})
    series = open_series(tmp_path)
    assert [str(date) for date in series.dates] == ["2020-07-30", "2020-09-01", "2020-10-01"]
    (problem,) = series.problems
    for word in ("S2_20200801.tif", "2020-08-01", "2020-07-30", "ACQUISITIONDATETIME"):
        assert word in problem


def test_the_time_of_processing_dates_no_file_beside_dated_ones(tmp_path, write_raster):
    late = {"TIFFTAG_DATETIME": "2023:01:05 12:00:00"}
    write_raster(tmp_path / "S2_20200801.tif", FLAT, tags=late)
    write_raster(tmp_path / "dem.tif", FLAT, tags=late)
    series = open_series(tmp_path)
    assert [str(date) for date in series.dates] == ["2020-08-01"]
    assert series.problems == ()
    assert "TIFFTAG_DATETIME" in series.left_out[0].reason
    assert written_on(late) == dt.date(2023, 1, 5)


def test_the_time_of_processing_is_taken_where_nothing_else_tells_and_said(tmp_path, write_raster):
    for name, day in (("before", "03"), ("after", "05")):
        write_raster(tmp_path / f"{name}.tif", FLAT, tags={"TIFFTAG_DATETIME": f"2023:01:{day} 12:00:00"})
    series = open_series(tmp_path)
    assert [str(date) for date in series.dates] == ["2023-01-03", "2023-01-05"]
    assert "TIFFTAG_DATETIME" in series.problems[0]


def test_a_file_that_was_made_before_its_date_is_a_problem(tmp_path, write_raster):
    write_raster(tmp_path / "S2_20200801.tif", FLAT, tags={"TIFFTAG_DATETIME": "2019:08:01 12:00:00"})
    series = open_series(tmp_path)
    assert [str(date) for date in series.dates] == ["2020-08-01"]
    assert "2019-08-01" in series.problems[0]


def test_folders_of_a_date_belong_to_the_series(tmp_path, write_raster):
    for day in ("2020-08-01", "2020-09-01"):
        for band in ("B04", "B08"):
            write_raster(tmp_path / day / f"{band}.tif", FLAT, names=(band,))
    write_raster(tmp_path / "other" / "S2_20201001.tif", FLAT)
    series = open_series(tmp_path)
    assert [str(date) for date in series.dates] == ["2020-08-01", "2020-09-01"]
    assert series.keys == ("red", "nir")
    assert dates(tmp_path / "2020-08-01") == ["2020-08-01"]
    assert dates(tmp_path / "2020-08-01" / "B04.tif") == ["2020-08-01"]


def test_a_folder_s_date_says_nothing_of_a_file_beside_dated_ones(tmp_path, write_raster):
    folder = tmp_path / "export_20230101"
    write_raster(folder / "S2_20200801.tif", FLAT)
    write_raster(folder / "dem.tif", FLAT)
    assert dates(folder) == ["2020-08-01"]


def test_a_sentinel_2_product_as_it_is_delivered(tmp_path, write_raster):
    name = "S2B_MSIL2A_20220616T102559_N0400_R108_T33UUU_20220616T120000.SAFE"
    images = tmp_path / name / "GRANULE" / "L2A_T33UUU_A01" / "IMG_DATA"
    for metres in (10, 20):
        for band in ("B04", "SCL", "AOT") if metres == 20 else ("B04", "B08", "TCI"):
            values = np.full((4, 5), 4 if band == "SCL" else 3000, np.uint16)
            write_raster(images / f"R{metres}m" / f"T33UUU_20220616T102559_{band}_{metres}m.tif", values)
    write_raster(tmp_path / name / "GRANULE" / "L2A_T33UUU_A01" / "QI_DATA" / "MSK_CLDPRB_20m.tif", FLAT)
    for source in (tmp_path, tmp_path / name):
        series = open_series(source)
        assert [str(date) for date in series.dates] == ["2022-06-16"]
        assert series.keys == ("red", "nir")
        assert series.frames[0].masks == ("SCL",)
        np.testing.assert_allclose(series.read().values, 0.2, atol=1e-6)  # 3000 less the offset of 1000
    assert sorted(item.path.rpartition("_")[0][-3:] for item in series.left_out) == ["AOT", "B04", "TCI"]


@pytest.mark.parametrize(
    ("units", "calendar", "value", "date"),
    [
        ("days since 1970-01-01", "", "18475", "2020-08-01"),
        ("days since 1970-01-01 00:00:00", "standard", "18475.5", "2020-08-01"),
        ("hours since 2020-07-31T12:00:00", "proleptic_gregorian", "13", "2020-08-01"),
        ("seconds since 2020-8-1", "gregorian", "0", "2020-08-01"),
        ("days since 1970-01-01", "360_day", "18475", None),
        ("months since 1970-01-01", "", "12", None),
        ("days since 1970-01-01", "", "1e12", None),
        ("days since 1970-01-01", "", "x", None),
    ],
)
def test_the_time_axis_of_a_netcdf(units, calendar, value, date):
    found = band_dates({"time#units": units, "time#calendar": calendar}, [{"NETCDF_DIM_time": value}])
    assert [str(one) if one else None for one in found] == [date]


def test_a_scale_in_the_tags_counts_where_it_is_a_number():
    assert scaling({"SCALE": "0.0001"}) == (0.0001, 0.0)
    assert scaling({"scale_factor": "0.5", "add_offset": "3"}) == (0.5, 3.0)
    for tags in ({}, {"SCALE": "dB = 20*log10(DN)-83"}, {"SCALE": "0"}, {"SCALE": "nan"}):
        assert scaling(tags) is None


def test_one_file_twice_with_two_dates_is_refused(tmp_path, write_raster):
    path = write_raster(tmp_path / "S2_20200801.tif", FLAT)
    (tmp_path / "dates.csv").write_text("path,date\nS2_20200801.tif,2020-08-02\n")
    with pytest.raises(SeriesError) as caught:
        open_series([path, tmp_path / "dates.csv"])
    assert caught.value.code == "date_conflict"
