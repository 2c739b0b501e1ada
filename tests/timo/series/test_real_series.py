# SPDX-License-Identifier: GPL-3.0-or-later
"""Every real series opens with what its source says it has, or is refused with a sentence that is right."""

import numpy as np
import pytest

from timo.errors import SeriesError
from timo.series.series import open_series

FOREST, CROPS = "forest_romania", "crops_belgium"
STACKS = "awkward_stacked_timesteps"
TOGO, HONDURAS = "98-togo_2019-02-06_2020-02-01.tif", "honduras_2017-01-01_2018-12-31_all.tif"
RED = "dtwsat_red_137dates_float64_nodata-1.7e308.tif"


@pytest.mark.parametrize(
    ("name", "dates", "dropped", "bands", "mask"),
    [
        (FOREST, 115, 25, 4, "SCL"),
        (CROPS, 20, 2, 11, None),
        ("crops_belgium_12m", 12, 2, 11, None),
        ("landsat_colorado", 71, 34, 3, "Fmask"),
        ("modis_sinop", 23, 0, 2, None),
        ("cbers4_bahia", 24, 0, 4, None),
        ("fields_masked/meadow_2021", 46, 12, 2, "SCL"),
        ("fields_masked/field_2019", 30, 3, 2, "SCL, CLM"),
        ("parcels_s2s1/gent_2023q4", 3, 16, 4, "SCL"),
        ("parcels_s2s1/antwerp_2022winter", 6, 14, 4, "SCL"),
        ("parcels_s2s1/antwerp_2023apr", 2, 10, 5, "SCL"),
        ("parcels_s2s1/antwerp_2023apr_s1", 10, 0, 2, None),
        ("parcels_s2s1/puglia_p0", 19, 0, 3, None),
        ("parcels_s2s1/puglia_p2", 19, 0, 3, None),
        ("parcels_s2s1/puglia_p5", 19, 0, 3, None),
        ("awkward_s2_l1c_jp2_multires/IMG_DATA", 1, 0, 13, None),
        ("awkward_s2_l1c_jp2_multires", 1, 0, 13, None),
        (f"{STACKS}/{TOGO}", 12, 0, 17, None),
        (f"{STACKS}/{HONDURAS}", 24, 0, 17, None),
        (f"{STACKS}/{RED}", 137, 0, 1, None),
    ],
)
def test_a_real_series_opens(real, name, dates, dropped, bands, mask):
    folder, _, inside = name.partition("/")
    series = open_series(real(folder) / inside)
    empty = [item for item in series.left_out if "nearly empty" in item.reason]
    assert (len(series.dates), len(empty), len(series.bands)) == (dates, dropped, bands)
    assert {", ".join(frame.masks) or None for frame in series.frames} == {mask}
    frames = series.read()
    assert frames.values.shape[:2] == (dates, bands)
    assert frames.valid.any(axis=(1, 2)).sum() >= dates - dropped
    assert np.isfinite(frames.values).all()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("flood_ombria", "no_rasters", ["flood_ombria", "train"]),
        ("landcover_landsat", "no_dates", ["landcover_landsat"]),
        ("parcels_s2s1", "no_rasters", ["parcels_s2s1", "antwerp_2022winter"]),
        ("fields_masked", "no_rasters", ["fields_masked", "field_2019"]),
        (f"{STACKS}/treesat_Abies_alba_S1S2_6x6.h5", "hdf", ["treesat", "HDF"]),
    ],
)
def test_a_folder_that_is_no_series_is_refused(real, name, code, words):
    folder, _, inside = name.partition("/")
    with pytest.raises(SeriesError) as caught:
        open_series(real(folder) / inside)
    assert caught.value.code == code
    for word in words:
        assert word in caught.value.message


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_chips_without_georeference_open_by_a_csv(real, tmp_path):
    chip = real("flood_ombria") / "train" / "mix_0345"
    table = tmp_path / "floods.csv"
    rows = [f"{chip}/{sensor}_{when}.png,{date}" for sensor in ("s1", "s2") for when, date in
            (("before", "2020-01-01"), ("after", "2020-02-01"))]  # fmt: skip
    table.write_text("path,date\n" + "\n".join(rows) + "\n")
    series = open_series(table)
    assert (len(series.dates), len(series.bands), series.grid.crs) == (2, 4, None)


def test_the_scene_that_has_no_date_opens_by_a_csv(real, tmp_path):
    table = tmp_path / "landcover.csv"
    table.write_text(f"path,date\n{real('landcover_landsat') / 'lsat7_2002.tif'},2002-05-24\n")
    series = open_series(table)
    assert (len(series.dates), len(series.bands)) == (1, 7)


def test_a_folder_of_stacks_of_three_places_keeps_one_and_names_the_others(real):
    series = open_series(real(STACKS))
    left = {item.path.rpartition("/")[2] for item in series.left_out}
    assert "treesat_Abies_alba_S1S2_6x6.h5" in left
    assert left & {TOGO, HONDURAS, RED}


def test_sensors_on_different_days_keep_the_larger_set(real):
    folder = real("parcels_s2s1")
    series = open_series([folder / "antwerp_2023apr", folder / "antwerp_2023apr_s1"])
    assert {band.sensor for band in series.bands} == {"sentinel-2"}
    assert any("has no band" in item.reason for item in series.left_out)


def test_radar_numbers_of_no_known_scale_are_said(real):
    problems = open_series(real(CROPS)).problems
    assert any("S1_20200801.tif" in problem and "radar" in problem for problem in problems)
