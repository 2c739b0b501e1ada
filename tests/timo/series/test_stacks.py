# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with many dates in their bands: taken apart where it is certain, else refused with what helps."""

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from scipy.io import netcdf_file

from timo.errors import SeriesError
from timo.series.series import open_series


def layers(count):
    return np.stack([np.full((3, 4), 100 + i, np.uint16) for i in range(count)])


def found(series):
    return [str(date) for date in series.dates], series.keys, series.read().values[:, :, 0, 0].tolist()


def refused(source):
    with pytest.raises(SeriesError) as caught:
        open_series(source)
    assert caught.value.code == "stacked_dates"
    assert "path,band,date" in caught.value.action
    return caught.value.message


def test_bands_that_are_named_by_their_dates(tmp_path, write_raster):
    names = ("red_2020-08-01", "nir_2020-08-01", "red_2020-09-01", "nir_2020-09-01")
    path = write_raster(tmp_path / "cube.tif", layers(4).astype(np.float32), names=names)
    assert found(open_series(path)) == (
        ["2020-08-01", "2020-09-01"], ("red", "nir"), [[100, 101], [102, 103]],
    )  # fmt: skip
    path = write_raster(tmp_path / "ndvi.tif", layers(2), names=("20200801", "20200811"))
    assert found(open_series(path))[0] == ["2020-08-01", "2020-08-11"]
    assert len(open_series(path).keys) == 1


def test_undated_bands_of_such_a_file_are_left_out_and_said(tmp_path, write_raster):
    names = ("red_2020-08-01", "red_2020-09-01", "slope")
    series = open_series(write_raster(tmp_path / "cube.tif", layers(3).astype(np.float32), names=names))
    assert series.keys == ("red",)
    assert any("slope" in problem for problem in series.problems)


@pytest.mark.parametrize(
    ("name", "steps", "dates"),
    [
        ("a_2019-02-06_2019-04-07", 2, ["2019-02-06", "2019-03-08"]),  # 30 days each
        ("a_2017-01-01_2017-03-31", 3, ["2017-01-01", "2017-02-01", "2017-03-01"]),
        ("a_2017-11-15_2018-01-15", 2, ["2017-11-15", "2017-12-15"]),
    ],
)
def test_numbered_bands_that_fill_the_period_in_the_name(tmp_path, write_raster, name, steps, dates):
    later = [f"{band}_{k}" for k in range(1, steps) for band in ("red", "nir")]
    names = ("red", "nir", *later, "slope")
    path = write_raster(tmp_path / f"{name}.tif", layers(len(names)).astype(np.float32), names=names)
    series = open_series(path)
    assert found(series)[:2] == (dates, ("red", "nir"))
    assert found(series)[2][1] == [102, 103]
    assert any("slope" in problem and dates[0] in problem for problem in series.problems)


@pytest.mark.parametrize("name", ["cube", "cube_20200801", "cube_2019-01-01_2019-02-20"])
def test_numbered_bands_without_a_period_that_fits_are_refused(tmp_path, write_raster, name):
    names = ("red", "nir", "red_1", "nir_1", "red_2", "nir_2")
    assert name in refused(write_raster(tmp_path / f"{name}.tif", layers(6), names=names))


def test_bands_that_end_in_numbers_are_no_steps(tmp_path, write_raster):
    names = ("red_edge_1", "red_edge_2", "red_edge_3", "band_1")
    path = write_raster(tmp_path / "S2_20200801.tif", layers(4), names=names)
    assert len(open_series(path).keys) == 4


def test_a_text_file_with_a_date_for_each_band(tmp_path, write_raster):
    path = write_raster(tmp_path / "red_stack.tif", layers(3))
    (tmp_path / "timeline.txt").write_text("2020-08-01\n2020-08-11\n20200821\n")
    (tmp_path / "notes.txt").write_text("some\nother\nlines\n")
    series = open_series(path)
    assert found(series) == (["2020-08-01", "2020-08-11", "2020-08-21"], ("red",), [[100], [101], [102]])
    assert any("timeline.txt" in problem for problem in series.problems)
    (tmp_path / "copy.txt").write_text("2020-08-01\n2020-08-11\n2020-08-22\n")
    assert "red_stack.tif" in refused(path)
    (tmp_path / "red_stack.txt").write_text("2020-08-01\n2020-08-11\n2020-08-22\n")
    assert found(open_series(path))[0][-1] == "2020-08-22"


def test_a_csv_says_which_band_is_of_which_date(tmp_path, write_raster):
    write_raster(tmp_path / "cube.tif", layers(4).astype(np.float32))
    table = tmp_path / "bands.csv"
    table.write_text(
        "path,band,date,name\ncube.tif,4,2020-08-01,nir\ncube.tif,1,2020-08-01,red\n"
        "cube.tif,2,2020-09-01,red\ncube.tif,3,2020-09-01,nir\n"
    )
    series = open_series(table)
    assert found(series) == (["2020-08-01", "2020-09-01"], ("nir", "red"), [[103, 100], [102, 101]])


@pytest.mark.parametrize(
    ("rows", "code", "word"),
    [
        ("cube.tif,x,2020-08-01", "csv_band", "Line 2"),
        ("cube.tif,0,2020-08-01", "csv_band", "Line 2"),
        ("cube.tif,9,2020-08-01", "csv_band", "9"),
        ("cube.tif,1,2020-08-01\ncube.tif,1,2020-08-01", "csv_band", "twice"),
    ],
)
def test_a_wrong_band_in_a_csv_is_named(tmp_path, write_raster, rows, code, word):
    write_raster(tmp_path / "cube.tif", layers(4))
    (tmp_path / "bands.csv").write_text(f"path,band,date\n{rows}\n")
    with pytest.raises(SeriesError) as caught:
        open_series(tmp_path / "bands.csv")
    assert caught.value.code == code
    assert word in caught.value.message


def write_netcdf(path, variables, times, units="days since 1970-01-01", *, bare=False):
    """A netCDF file of variables (T, H, W) with a time axis, as xarray writes one."""
    with netcdf_file(path, "w") as file:
        height, width = next(iter(variables.values())).shape[1:]
        for name, values in {
            "time": times, "y": 5_599_995.0 - 10 * np.arange(height), "x": 500_005.0 + 10 * np.arange(width),
        }.items():  # fmt: skip
            file.createDimension(name, len(values))
            axis = file.createVariable(name, "f8", (name,))
            axis[:] = np.asarray(values, float)
        file.variables["time"].units = units
        for name, standard in (
            () if bare else (("x", "projection_x_coordinate"), ("y", "projection_y_coordinate"))
        ):
            file.variables[name].standard_name, file.variables[name].units = standard, "m"
        file.createVariable("crs", "i4", ()).spatial_ref = CRS.from_epsg(32631).to_wkt()
        file.variables["crs"].grid_mapping_name = "transverse_mercator"
        for name, values in variables.items():
            variable = file.createVariable(name, values.dtype.char, ("time", "y", "x"))
            variable[:] = values
            variable.grid_mapping = "crs"
            variable._FillValue = values.dtype.type(-1)
    return path


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("names", [("red",), ("red", "nir")])
def test_a_netcdf_with_a_time_axis(tmp_path, names):
    values = {name: layers(3).astype(np.int16) + 10 * i for i, name in enumerate(names)}
    values["red"][1, 0, 0] = -1
    series = open_series(write_netcdf(tmp_path / "cube.nc", values, [18475, 18485, 18495]))
    assert [str(date) for date in series.dates] == ["2020-08-01", "2020-08-11", "2020-08-21"]
    assert set(series.keys) == set(names)
    frames = series.select_bands(["red"]).read()
    assert frames.values[:, 0, 0, 0].tolist() == [100, 0, 102]
    assert frames.valid[:, 0, 0].tolist() == [True, False, True]
    assert series.grid.transform == rasterio.Affine(10, 0, 500_000, 0, -10, 5_600_000)


def test_a_netcdf_whose_axes_lack_their_attributes_lies_where_the_axes_say(tmp_path, write_raster):
    values = {"red": layers(2).astype(np.int16)}
    values["red"][:, 0] += 50  # the first row, in the north
    path = write_netcdf(tmp_path / "cube.nc", values, [18475, 18485], bare=True)
    series = open_series(path)
    assert series.grid.transform == rasterio.Affine(10, 0, 500_000, 0, -10, 5_600_000)
    assert series.read().values[0, 0, :, 0].tolist() == [150, 100, 100]
    finer = rasterio.Affine(5, 0, 500_000, 0, -5, 5_600_000)
    for day in ("20200801", "20200811"):
        write_raster(
            tmp_path / f"S2_{day}.tif", np.full((6, 8), 500, np.uint16), names=("B08",), transform=finer
        )
    red = open_series([path, tmp_path]).select_bands(["red"]).read()
    assert red.valid.all()
    np.testing.assert_allclose(red.values[0, 0, [0, -1], 2], [150, 100])


def test_a_netcdf_whose_calendar_is_no_real_one_is_refused(tmp_path):
    values = {"red": layers(3).astype(np.int16)}
    path = write_netcdf(tmp_path / "cube.nc", values, [1, 2, 3], "months since 1970-01-01")
    with pytest.raises(SeriesError) as caught:
        open_series(path)
    assert "cube.nc" in caught.value.message


def test_hdf_files_are_refused_and_in_a_folder_left_out(tmp_path, write_raster):
    path = tmp_path / "cube_20200801.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(SeriesError) as caught:
        open_series(path)
    assert "cube_20200801.h5" in caught.value.message
    with pytest.raises(SeriesError) as caught:
        open_series(tmp_path)
    assert "HDF" in caught.value.message
    write_raster(tmp_path / "S2_20200801.tif", layers(1))
    assert open_series(tmp_path).left_out[0].path == str(path)


def test_a_stack_that_tells_no_dates_is_left_out_beside_dated_files(tmp_path, write_raster):
    write_raster(tmp_path / "S2_20200801.tif", layers(1), names=("B04",))
    path = write_raster(tmp_path / "cube.tif", layers(4), names=("red", "nir", "red_1", "nir_1"))
    series = open_series(tmp_path)
    assert [item.path for item in series.left_out] == [str(path)]
    assert "numbered like steps" in series.left_out[0].reason
