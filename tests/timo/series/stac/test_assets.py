# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands as the large catalogues describe them, each in its own way."""

import pystac
import pytest

from timo.series.stac_assets import added_offset, asset_bands, choose, sensor_text

TIFF = "image/tiff; application=geotiff; profile=cloud-optimized"


def item_of(name, assets, **properties):
    described = {
        key: {"href": f"https://a.b/{key}.tif", "type": TIFF, **facts} for key, facts in assets.items()
    }
    given = {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "geometry": None, "links": [],
        "properties": {"datetime": "2022-03-05T10:56:31Z", **properties}, "collection": "any",
        "assets": described,
    }  # fmt: skip
    return pystac.Item.from_dict(given)


def eo(name, common=None):
    return {"eo:bands": [{"name": name} if common is None else {"name": name, "common_name": common}]}


@pytest.mark.parametrize(
    ("name", "assets", "roles"),
    [
        (  # Planetary Computer: one common name for four bands
            "S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531",
            {"B05": eo("B05", "rededge"), "B06": eo("B06", "rededge"), "B07": eo("B07", "rededge"),
             "B08": eo("B08", "nir"), "B8A": eo("B8A", "rededge"), "B09": eo("B09"), "AOT": {}},
            ["rededge1", "rededge2", "rededge3", "nir", "nir_narrow", "water_vapour"],
        ),
        (  # Earth Search: assets by common names
            "S2A_31UDS_20220305_0_L2A",
            {"red": eo("red", "red"), "rededge1": eo("rededge1", "rededge"),
             "rededge2": eo("rededge2", "rededge"), "nir08": eo("nir08", "nir08"),
             "swir16": eo("swir16", "swir16"), "wvp": {}, "scl": {}},
            ["red", "rededge1", "rededge2", "nir_narrow", "swir1"],
        ),
        (  # Landsat 8: its only infrared has the name of Sentinel-2's narrow one
            "LC08_L2SP_198025_20220305_20220314_02_T1",
            {"blue": eo("OLI_B2", "blue"), "nir08": eo("OLI_B5", "nir08"), "swir22": eo("OLI_B7", "swir22"),
             "lwir11": eo("TIRS_B10", "lwir11"), "qa_pixel": {}},
            ["blue", "nir", "swir2", "thermal1"],
        ),
        ("LC08_L2SP_198025_20220305_20220314_02_T1", {"nir08": eo("nir08", "nir08")}, ["nir"]),
        (  # USGS: bands by places in a list of the item's
            "LC08_L2SR_081119_20200101_20200823_02_T2",
            {"SR_B2.TIF": {"eo:bands": [1]}, "SR_B5.TIF": {"eo:bands": [4]}, "SR_QA_AEROSOL.TIF": {}},
            ["blue", "nir"],
        ),
        ("HLS.L30.T31UDS.2022064T103456.v2.0", {"B05": {}, "B06": {}, "Fmask": {}}, ["nir", "swir1"]),
        ("S1A_IW_GRDH_1SDV_20220305T054912_rtc", {"vv": {}, "vh": {}, "mask": {}}, ["vv", "vh"]),
    ],
)  # fmt: skip
def test_roles_of_the_large_catalogues(name, assets, roles):
    assert [band.role for band in choose(asset_bands(item_of(name, assets)), ())] == roles


def test_of_copies_of_a_band_the_finest_that_can_be_read_is_taken():
    copies = {
        "B02_60m": {**eo("B02", "blue"), "gsd": 60},
        "B02_10m": {**eo("B02", "blue"), "proj:transform": [10, 0, 0, 0, -10, 0]},
        "B02_20m": {**eo("B02", "blue"), "gsd": 20},
        "B02_5m": {**eo("B02", "blue"), "gsd": 5, "href": "s3://bucket/B02.tif"},
    }
    assert [band.asset for band in choose(asset_bands(item_of("S2A_a", copies)), ())] == ["B02_10m"]
    assert [band.asset for band in choose(asset_bands(item_of("S2A_a", copies)), ["B02_20m"])] == ["B02_20m"]


def test_a_sensor_is_told_by_the_platform_where_names_do_not():
    assert sensor_text(item_of("20220305_31UDS", {}, platform="sentinel-2b")) == "sentinel-2b"
    bands = asset_bands(item_of("20220305_31UDS", {"B8A": {}}, platform="sentinel-2b"))
    assert [band.role for band in bands] == ["nir_narrow"]


@pytest.mark.parametrize(
    ("name", "properties", "offset"),
    [
        ("S2A_a", {"s2:processing_baseline": "04.00"}, -1000),
        ("S2A_a", {"s2:processing_baseline": "02.12"}, 0),
        ("S2A_a", {"processing:version": "05.11"}, -1000),
        ("S2A_MSIL2A_20220305T105631_N0400_R094_T31UDS_20220305T154912", {}, -1000),
        ("S2A_a", {"s2:processing_baseline": "04.00", "earthsearch:boa_offset_applied": True}, 0),
        ("S2A_a", {}, None),
    ],
)
def test_the_offset_of_2022_is_known_by_the_baseline(name, properties, offset):
    assert added_offset(item_of(name, {}, **properties)) == offset


@pytest.mark.parametrize("value", [True, "many", None, [1], float("inf")])
def test_facts_that_are_no_numbers_are_none(value):
    (band,) = asset_bands(item_of("S2A_a", {"red": {"raster:bands": [{"scale": value, "offset": value}]}}))
    assert (band.scale, band.offset) == (None, None)
