# SPDX-License-Identifier: GPL-3.0-or-later
"""Known products are read in physical units; what isn't known is said and not guessed."""

import numpy as np
import pytest

from timo.series.presets import is_auxiliary
from timo.series.series import open_series

S2 = "S2A_MSIL2A_{date}T103031_N{baseline}_R108_T31UFS_{date}T150000"


def read(folder, write_raster, name, values, **more):
    path = write_raster(folder / f"{name}.tif", np.atleast_2d(values), **more)
    series = open_series(path)
    return series, series.read()


@pytest.mark.parametrize(("baseline", "value"), [("0214", 0.3), ("0301", 0.3), ("0400", 0.2), ("0510", 0.2)])
def test_sentinel_2_by_its_processing_baseline(tmp_path, write_raster, baseline, value):
    name = S2.format(date="20220301", baseline=baseline)
    series, frames = read(tmp_path, write_raster, name, np.uint16([3000, 0]), names=("B04",))
    np.testing.assert_allclose(frames.values[0, 0, 0], [value, 0], atol=1e-6)
    assert frames.valid[0, 0].tolist() == [True, False]  # ESA's 0 is no data
    assert series.problems == ()
    assert series.bands[0].unit == "reflectance"


def test_the_offset_in_the_metadata_counts(tmp_path, write_raster):
    tags = {"BOA_ADD_OFFSET": "-1000"}
    _, frames = read(tmp_path, write_raster, "S2_20220301", np.uint16([3000]), names=("B04",), tags=tags)
    assert frames.values[0, 0, 0, 0] == pytest.approx(0.2)
    _, frames = read(
        tmp_path,
        write_raster,
        "S2_20220302",
        np.uint16([3000]),
        names=("B04",),
        tags={"PROCESSING_BASELINE": "05.09"},
    )
    assert frames.values[0, 0, 0, 0] == pytest.approx(0.2)


def test_a_scene_since_2022_that_tells_no_baseline_is_a_doubt_and_not_guessed(tmp_path, write_raster):
    for date in ("20211201", "20220301", "20220401"):
        write_raster(tmp_path / f"S2_{date}.tif", np.uint16([[3000]]), names=("B04",))
    series = open_series(tmp_path)
    np.testing.assert_allclose(series.read().values, 0.3, atol=1e-6)
    (problem,) = series.problems
    assert "S2_20220301.tif (one of 2 dates)" in problem
    assert series.select_dates(series.dates[:1]).problems == ()


def test_scenes_before_and_after_the_offset_are_comparable(tmp_path, write_raster):
    for date, baseline, value in (("20210301", "0301", 2000), ("20220301", "0400", 3000)):
        name = S2.format(date=date, baseline=baseline)
        write_raster(tmp_path / f"{name}.tif", np.uint16([[value]]), names=("B04",))
    series = open_series(tmp_path)
    np.testing.assert_allclose(series.read().values, 0.2, atol=1e-6)
    assert series.problems == ()


@pytest.mark.parametrize(
    ("name", "raw", "band", "value", "unit"),
    [
        ("LC08_L2SP_182028_20200801_20210331_02_T1_SR_B4", np.uint16([10_000]), None, 0.075, "reflectance"),
        ("LC08_L2SP_182028_20200801_20210331_02_T1_ST_B10", np.uint16([40_000]), None, 285.7208, "K"),
        ("landsat8_20200801", np.uint16([10_000]), "SR_B4", 0.075, "reflectance"),
        ("HLS.L30.T31UFS.2020214T103031.v2.0.B04", np.int16([750]), None, 0.075, "reflectance"),
        ("MOD13Q1_20200801", np.int16([4000]), "NDVI", 0.4, "index"),
        ("MOD09A1.A2020214.h18v04.061.2020223034542", np.int16([750]), "sur_refl_b01", 0.075, "reflectance"),
    ],
)
def test_products_in_physical_units(tmp_path, write_raster, name, raw, band, value, unit):
    names = (band,) if band else ()
    series, frames = read(tmp_path, write_raster, name, raw, names=names)
    assert frames.values[0, 0, 0, 0] == pytest.approx(value, abs=1e-5)
    assert series.bands[0].unit == unit
    assert [str(date) for date in series.dates] == ["2020-08-01"]


@pytest.mark.parametrize(
    ("name", "raw", "band"),
    [
        ("LC08_L1TP_182028_20200801_20210331_02_T1_B4", np.uint16([10_000]), None),  # radiance numbers
        ("landsat8_20200801", np.int16([3000]), "B4"),
        ("LT5_20080419", np.uint8([40]), "B3"),
        ("S2_20200801", np.float32([0.3]), "B04"),
        ("S1_20200801", np.uint16([3000]), "VV"),
        ("CBERS4_20200801", np.int16([3000]), "B15_red"),
    ],
)
def test_what_no_preset_is_certain_of_stays_as_it_is(tmp_path, write_raster, name, raw, band):
    names = (band,) if band else ()
    _, frames = read(tmp_path, write_raster, name, raw, names=names)
    assert frames.values[0, 0, 0, 0] == pytest.approx(float(raw[0]))


def test_values_that_the_product_does_not_allow_are_invalid(tmp_path, write_raster):
    values = np.uint16([0, 4000, 10_000, 10_001, 65_535])
    _, frames = read(tmp_path, write_raster, "MOD13Q1_20140101", values, names=("NDVI",))
    assert frames.valid[0, 0].tolist() == [True, True, True, False, False]


def test_a_landsat_scene_as_it_is_delivered(tmp_path, write_raster):
    scene = "LC08_L2SP_182028_20200801_20210331_02_T1"
    for layer, value in (
        ("SR_B4", 10_000), ("SR_B5", 20_000), ("ST_ATRAN", 1), ("SR_QA_AEROSOL", 8), ("QA_RADSAT", 0),
        ("QA_PIXEL", 21_824), ("ST_QA", 3),
    ):  # fmt: skip
        write_raster(tmp_path / scene / f"{scene}_{layer}.tif", np.full((2, 2), value, np.uint16))
    series = open_series(tmp_path)
    assert series.keys == ("red", "nir")
    assert set(series.frames[0].masks) == {"QA_PIXEL", "QA_RADSAT"}
    np.testing.assert_allclose(series.read().values[0, :, 0, 0], [0.075, 0.35], atol=1e-5)
    assert len(series.left_out) == 3


def test_an_orthophoto_of_8_bits_stays_as_it_is_and_its_alpha_masks(tmp_path, write_raster):
    values = np.uint8([[[10, 20]], [[30, 40]], [[50, 60]], [[255, 0]]])
    path = write_raster(tmp_path / "ortho_20200801.tif", values, photometric="RGB", alpha="yes")
    series = open_series(path)
    frames = series.read()
    assert series.keys == ("red", "green", "blue")
    assert frames.values[0, :, 0, 0].tolist() == [10, 30, 50]
    assert frames.valid[0, 0].tolist() == [True, False]


def test_a_palette_is_no_measurement(tmp_path, write_raster):
    import rasterio

    path = write_raster(tmp_path / "classes_20200801.tif", np.uint8([[1, 2]]))
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {1: (255, 0, 0, 255), 2: (0, 255, 0, 255)})
    write_raster(tmp_path / "S2_20200801.tif", np.uint16([[1, 2]]), names=("B04",))
    series = open_series(tmp_path)
    assert series.keys == ("red",)
    assert [item.path for item in series.left_out] == [str(path)]


@pytest.mark.parametrize(
    ("name", "auxiliary"),
    [
        ("T33UUU_20200801T101021_TCI_10m", True), ("T33UUU_20200801T101021_B04_10m", False),
        ("HLS.L30.T31UFS.2020214T103031.v2.0.SZA", True), ("S2_20200801", False),
    ],
)  # fmt: skip
def test_layers_of_products_that_measure_no_ground(name, auxiliary):
    assert is_auxiliary(name) == auxiliary
