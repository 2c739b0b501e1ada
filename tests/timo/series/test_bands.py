# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from timo.series.band_names import role_of, sensor_of
from timo.series.bands import describe_bands


@pytest.mark.parametrize(
    ("name", "sensor", "role"),
    [
        ("B02", "sentinel-2", "blue"),
        ("B8A", "sentinel-2", "nir_narrow"),
        ("B08", "sentinel-2", "nir"),
        ("b8", "sentinel-2", "nir"),
        ("B11", "sentinel-2", "swir1"),
        ("Band 4", "sentinel-2", "red"),
        ("B5", "landsat-8", "nir"),
        ("SR_B4", "landsat-7", "nir"),
        ("SR_B4", "landsat-9", "red"),
        ("B04", "hls-l30", "red"),
        ("B4", None, None),
        ("B13_blue", None, "blue"),
        ("B3_red", "landsat-7", "red"),
        ("Red", None, "red"),
        ("red_edge_2", None, "rededge2"),
        ("B06 (red edge 2)", "sentinel-2", "rededge2"),
        ("near infrared", None, "nir"),
        ("swir16", None, "swir1"),
        ("VV", "sentinel-1", "vv"),
        ("Sigma0_VH_db", None, "vh"),
        ("NDVI", None, None),
        ("SCL", "sentinel-2", None),
        ("elevation_m", None, None),
        ("B99", "sentinel-2", None),
    ],
)
def test_a_band_name_tells_the_role(name, sensor, role):
    assert role_of(name, sensor) == role


@pytest.mark.parametrize(
    ("file", "bands", "sensor"),
    [
        ("S2_20200801", (), "sentinel-2"),
        ("Sentinel-2B_20200801", (), "sentinel-2"),
        ("T33UUU_20170216T102101_B02", (), "sentinel-2"),
        ("S1_20200801", (), "sentinel-1"),
        ("LC08_L2SP_182028_20200801_20210331_02_T1", (), "landsat-8"),
        ("LE70350322008118EDC00", (), "landsat-7"),
        ("LT5_20080419", (), "landsat-5"),
        ("landsat-9 20230101", (), "landsat-9"),
        ("HLS.L30.T33UUU.2020214T102031.v2.0", (), "hls-l30"),
        ("mosaic_20200801", ("B02", "B03"), "sentinel-2"),
        ("mosaic_20200801", ("B2", "B3", "B4", "B8"), "sentinel-2"),
        ("mosaic_20200801", ("B2", "B3", "B4", "B8", "B10"), None),
        ("mosaic_20200801", ("B1", "B2", "B3"), None),
        ("L4_level_20200801", (), "landsat-4"),
        ("S25_20200801", (), None),
        ("", (), None),
    ],
)
def test_names_tell_the_sensor(file, bands, sensor):
    assert sensor_of(file, bands) == sensor


def describe(file, names, *, dtype="uint16", colors=None, scale=1.0, offset=0.0):
    n = len(names)
    return describe_bands(
        file,
        descriptions=names,
        color_names=colors or [None] * n,
        dtypes=[dtype] * n,
        scales=[scale] * n,
        offsets=[offset] * n,
        nodatas=[None] * n,
    )


def test_the_preset_scales_reflectance_alone():
    bands = describe("S2_20200801", ["B02", "B11", "SCL"])
    assert [band.scale for band in bands] == [1e-4, 1e-4, 1.0]
    assert describe("S2_20200801", ["B02"], dtype="float32")[0].scale == 1.0
    assert describe("S2_20200801", ["B02"], dtype="uint8")[0].scale == 1.0
    assert describe("x_20200801", ["VV"])[0].scale == 1.0


def test_the_file_s_own_scale_counts_more_than_the_preset():
    band = describe("S2_20200801", ["B02"], scale=0.001, offset=-0.1)[0]
    assert (band.scale, band.offset) == (0.001, -0.1)


def test_bands_without_names_are_numbered_or_named_by_colour():
    assert [band.key for band in describe("x", [None, ""])] == ["band_1", "band_2"]
    assert [band.key for band in describe("x", [None] * 4, colors=["red", "green", "blue", None])] == [
        "red",
        "green",
        "blue",
        "band_4",
    ]


def test_a_single_band_may_be_named_by_its_file():
    band = describe("T33UUU_20170216T102101_B8A", [None])[0]
    assert (band.name, band.role, band.sensor) == ("B8A", "nir_narrow", "sentinel-2")
    assert describe("field_20200801", [None])[0].key == "band_1"


def test_two_bands_of_one_role_keep_apart():
    assert [band.key for band in describe("x", ["red", "red_smoothed"])] == ["red", "red_smoothed"]
