# SPDX-License-Identifier: GPL-3.0-or-later
"""What an analyst may name as a series, and the sentences that answer what isn't one."""

import numpy as np
import pytest

from timo.errors import SeriesError
from timo.series.series import open_series

FLAT = np.ones((4, 5), np.uint16)


@pytest.fixture
def folder(tmp_path, write_raster):
    for date in ("20200801", "20200901"):
        write_raster(tmp_path / "field" / f"S2_{date}.tif", np.stack([FLAT, FLAT]), names=("B04", "B08"))
        write_raster(tmp_path / "field" / f"S1_{date}.tif", FLAT, names=("VV",))
    write_raster(tmp_path / "field" / "dem.tif", FLAT)
    (tmp_path / "field" / "README_20200801.md").write_text("notes")
    (tmp_path / "field" / "S2_20200801.tif.aux.xml").write_text("<PAMDataset/>")
    return tmp_path / "field"


def refusal(code, *sources):
    with pytest.raises(SeriesError) as caught:
        open_series(sources)
    assert caught.value.code == code
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    assert caught.value.action.endswith(".")
    return caught.value.message


def test_a_folder_a_glob_and_files_name_the_same_series(folder):
    whole = open_series(folder)
    assert [str(date) for date in whole.dates] == ["2020-08-01", "2020-09-01"]
    assert [band.key for band in whole.bands] == ["red", "nir", "vv"]
    for sources in (str(folder), [folder], str(folder / "S*.tif"), sorted(folder.glob("S?_*.tif"))):
        assert open_series(sources).files == whole.files


def test_files_without_a_date_are_left_out_and_named(folder):
    left_out = open_series(folder).left_out
    assert [item.path for item in left_out] == [str(folder / "dem.tif")]
    assert "date" in left_out[0].reason


def test_a_csv_dates_files_whose_names_do_not(tmp_path, write_raster):
    write_raster(tmp_path / "data" / "before.tif", FLAT)
    write_raster(tmp_path / "data" / "after.tif", FLAT)
    table = tmp_path / "data" / "dates.csv"
    table.write_text("﻿date,Path\n2021-05-01,after.tif\n20200501,./before.tif\n", encoding="utf-8")
    series = open_series(table)
    assert [str(date) for date in series.dates] == ["2020-05-01", "2021-05-01"]
    assert series.files[0][0].endswith("before.tif")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_may_be_separated_as_spreadsheets_do(tmp_path, write_raster, separator):
    write_raster(tmp_path / "a.tif", FLAT)
    rows = (("path", "date", "note"), ("a.tif", "2021-05-01", "clear"))
    (tmp_path / "dates.csv").write_text("\n".join(separator.join(row) for row in rows))
    assert str(open_series(tmp_path / "dates.csv").dates[0]) == "2021-05-01"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("path,day\na.tif,2020-01-01\n", "csv_columns", ["dates.csv", "path, day"]),
        ("path,date\na.tif,1.5.2020\n", "csv_date", ["Line 2", "1.5.2020"]),
        ("path,date\nb.tif,2020-01-01\n", "not_found", ["Line 2", "b.tif"]),
        ("path,date\n,2020-01-01\n", "not_found", ["Line 2"]),
        ("path,date\n", "csv_empty", ["dates.csv"]),
        ("", "csv_columns", ["dates.csv"]),
        ("place,path,date\nx,a.tif,2020-01-01\ny,a.tif,2020-01-01\n", "csv_places", ["dates.csv"]),
        (
            "path,date\na.tif,2020-01-01\na.tif,2020-01-02\n",
            "date_conflict",
            ["a.tif", "2020-01-01", "2020-01-02"],
        ),
    ],
)
def test_a_csv_that_is_wrong_is_refused_with_its_line(tmp_path, write_raster, text, code, words):
    write_raster(tmp_path / "a.tif", FLAT)
    (tmp_path / "dates.csv").write_text(text)
    message = refusal(code, tmp_path / "dates.csv")
    for word in words:
        assert word in message


def test_no_date_in_any_name_names_the_folder(tmp_path, write_raster):
    write_raster(tmp_path / "plain" / "before.tif", FLAT)
    assert str(tmp_path / "plain") in refusal("no_dates", tmp_path / "plain")


def test_two_files_of_one_date_and_band_are_both_named(folder, write_raster):
    write_raster(folder / "S2_20200801_again.tif", FLAT, names=("red",))
    message = refusal("band_twice", folder)
    assert "S2_20200801.tif" in message
    assert "S2_20200801_again.tif" in message
    assert "'red'" in message


def test_a_folder_of_folders_says_that_these_are_not_read(folder):
    message = refusal("no_rasters", folder.parent)
    assert "field" in message
    assert "sub-folders" in message


def test_what_does_not_exist_is_named(tmp_path):
    assert "nowhere" in refusal("not_found", tmp_path / "nowhere")
    assert "*.tif" in refusal("no_rasters", str(tmp_path / "*.tif"))
    assert refusal("no_sources")


def test_a_broken_raster_is_named(folder):
    (folder / "S2_20201001.tif").write_bytes(b"II*\0 not a raster")
    assert "S2_20201001.tif" in refusal("raster_unreadable", folder)


def test_a_raster_that_broke_since_is_named(folder):
    series = open_series(folder)
    (folder / "S1_20200901.tif").write_bytes(b"")
    with pytest.raises(SeriesError) as caught:
        series.read()
    assert "S1_20200901.tif" in caught.value.message


def test_one_raster_without_a_coordinate_system_is_named(folder, write_raster):
    write_raster(folder / "S2_20201001.tif", np.stack([FLAT, FLAT]), names=("B04", "B08"), crs=None)
    assert "S2_20201001.tif" in refusal("no_crs", folder)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_rasters_that_all_lack_a_georeference_share_the_pixel_grid(tmp_path, write_raster):
    bare = {"crs": None, "transform": None, "driver": "PNG"}
    write_raster(tmp_path / "20200101.png", np.uint8([[1, 2], [3, 4]]), **bare)
    write_raster(tmp_path / "20200201.png", np.uint8([[5, 6], [7, 8]]), **bare)
    series = open_series(str(tmp_path / "*.png"))
    assert series.grid.crs is None
    np.testing.assert_array_equal(series.read().values[1, 0], [[5, 6], [7, 8]])
    write_raster(tmp_path / "20200301.png", np.uint8([[1, 2, 3]]), **bare)
    assert "20200301.png" in refusal("size_differs", str(tmp_path / "*.png"))


def test_dates_stacked_in_one_file_are_refused(tmp_path, write_raster):
    write_raster(tmp_path / "stack_20200101.tif", np.stack([FLAT] * 4), names=("VV", "VH", "VV", "VH"))
    assert "stack_20200101.tif" in refusal("stacked_dates", tmp_path)


def test_complex_rasters_are_refused(tmp_path, write_raster):
    write_raster(tmp_path / "slc_20200101.tif", np.ones((2, 2), np.complex64))
    assert "slc_20200101.tif" in refusal("raster_kind", tmp_path)


def test_a_raster_of_another_place_is_left_out_and_named(folder, write_raster):
    from affine import Affine

    far = Affine(10, 0, 700_000, 0, -10, 5_600_000)
    write_raster(folder / "S2_20201001.tif", np.stack([FLAT, FLAT]), names=("B04", "B08"), transform=far)
    series = open_series(folder)
    assert len(series.dates) == 2
    assert str(folder / "S2_20201001.tif") in [item.path for item in series.left_out]
