# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search finds as a series: its pixels, grid, dates and bands."""

import pickle

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from tests.timo.series.stac.searches import (
    BOX,
    COARSE,
    CORNER,
    HEIGHT,
    NIR,
    RED,
    UTM,
    WIDTH,
    assert_said,
    search_of,
)
from timo.series.rasters import Raster, RasterReader
from timo.series.series import open_series
from timo.series.stac import find_scenes
from timo.series.stac_search import write_search
from timo.series.stac_series import open_search, summary


def from_disk(server, name, key, grid):
    """The same file, read from disk."""
    path = server.folder / name / f"{key}.tif"
    if key == "B11":  # needs warping: the reader of all other series
        raster = Raster.open(path)
        raw, good = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.bool_)
        RasterReader(grid).read(raster, raster.bands, grid.whole, [raw], [good])
        return raw, good
    with rasterio.open(path) as file:
        window = from_bounds(*grid.bounds, transform=file.transform).round_offsets().round_lengths()
        raw = file.read(1, window=window, boundless=True, fill_value=0)
    return raw.astype(np.float32), raw != 0


def test_pixels_are_those_of_the_files_in_the_catalogue_s_scale(server, scene):
    for month in (3, 6, 9):
        scene(f"S2A_31UDS_2020{month:02}05_0_L2A", f"2020-{month:02}-05T10:56:31Z")
    series = open_search(search_of(server))
    assert [date.isoformat() for date in series.dates] == ["2020-03-05", "2020-06-05", "2020-09-05"]
    assert series.keys == ("red", "nir", "swir1")
    assert {(band.scale, band.offset, band.nodata, band.sensor) for band in series.bands} == {
        (0.0001, -0.1, 0, "sentinel-2")
    }
    frames = series.read()
    for t, date in enumerate(series.dates):
        for c, key in enumerate(("B04", "B08", "B11")):
            raw, good = from_disk(server, f"S2A_31UDS_{date:%Y%m%d}_0_L2A", key, series.grid)
            np.testing.assert_array_equal(frames.band_valid[t, c], good)
            assert good.mean() > 0.8
            expected = raw * np.float32(0.0001) + np.float32(-0.1)
            np.testing.assert_allclose(frames.values[t, c][good], expected[good], atol=1e-6)
    assert series.problems == ()
    assert series.left_out == ()


def test_the_grid_is_the_box_on_the_files_own_pixels(server, scene):
    scene("S2A_a", "2020-03-05T10:56:31Z", transform=Affine(10, 0, 500_003, 0, -10, 5_600_007))
    grid = open_search(search_of(server)).grid
    assert grid.crs == UTM
    assert grid.pixel_size == (10, 10)
    assert (grid.transform.c - 500_003) % 10 == 0
    assert (grid.transform.f - 5_600_007) % 10 == 0
    left, bottom, right, top = grid.bounds
    box = transform_bounds("EPSG:4326", UTM, *BOX, densify_pts=0)
    assert left <= box[0] and bottom <= box[1] and right >= box[2] and top >= box[3]
    assert max(box[0] - left, box[1] - bottom, right - box[2], top - box[3]) < 20


def test_a_window_is_a_part_of_the_whole(server, scene):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    series = open_search(search_of(server))
    whole = series.read()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(series)).read().values, whole.values)
    for row, col, side in ((0, 0, 7), (13, 21, 16), (30, 5, 11), (-5, 40, 20)):
        part = open_search(search_of(server)).read(Window(col, row, side, side))
        top = max(row, 0)
        seen = whole.values[..., top : row + side, col : col + side]
        inside = part.values[..., top - row : top - row + seen.shape[2], : seen.shape[3]]
        np.testing.assert_array_equal(inside, seen)


def test_tiles_of_one_day_are_one_frame(server, scene):
    scene("S2A_31UDS", "2020-03-05T10:56:31Z")
    scene("S2A_31UES", "2020-03-05T10:56:45Z", transform=Affine(10, 0, 500_400, 0, -10, 5_600_000),
          coarse=Affine(20, 0, 500_400, 0, -20, 5_600_000))  # fmt: skip
    box = transform_bounds(UTM, "EPSG:4326", 500_100, 5_599_500, 501_100, 5_599_900)
    series = open_search(search_of(server, bbox=box))
    assert len(series) == 1
    frames = series.read()
    assert frames.valid.mean() > 0.6
    one, good_one = from_disk(server, "S2A_31UDS", "B04", series.grid)
    two, good_two = from_disk(server, "S2A_31UES", "B04", series.grid)
    newer = np.where(good_two, two, one)  # by its name
    expected = newer * np.float32(0.0001) + np.float32(-0.1)
    good = good_one | good_two
    np.testing.assert_array_equal(frames.band_valid[0, 0], good)
    np.testing.assert_allclose(frames.values[0, 0][good], expected[good], atol=1e-6)


def test_a_scene_s_cloud_mask_hides_its_clouds(server, scene, write_raster):
    item = scene("S2A_a", "2020-03-05T10:56:31Z")
    codes = np.full((HEIGHT // 2, WIDTH // 2), 4, np.uint8)
    codes[10:20, 10:20] = 9
    write_raster(server.folder / "S2A_a" / "SCL.tif", codes, nodata=0, transform=COARSE)
    item["assets"]["scl"] = {"href": f"{server.url}/files/S2A_a/SCL.tif", "type": "image/tiff"}
    search = search_of(server)
    assert summary(find_scenes(search))["masks"] == ["scl"]
    series = open_search(search)
    assert series.keys == ("red", "nir", "swir1")
    cloud = np.zeros(series.grid.shape, bool)
    window = from_bounds(500_200, 5_599_600, 500_400, 5_599_800, series.grid.transform)
    cloud[window.round_offsets().round_lengths().toslices()] = True
    assert cloud.sum() == 400
    valid = series.read().valid[0]
    assert not valid[cloud].any()
    assert valid[~cloud].mean() > 0.7


def test_of_two_sensors_on_a_day_the_first_collection_counts(server, scene):
    server.collections = ["s2", "landsat"]
    scene("S2A_a", "2020-03-05T10:56:31Z")
    scene("LC08_a", "2020-03-05T10:30:00Z", collection="landsat", facts=(RED, NIR))
    scene("LC08_b", "2020-03-13T10:30:00Z", collection="landsat", facts=(RED, NIR))
    series = open_search(search_of(server, collections=["landsat", "s2"], bands=["red"]))
    assert [band.sensor for band in series.bands] == ["landsat-8"]
    assert len(series) == 2
    assert [item.path.split("/")[-2] for item in series.left_out] == ["S2A_a"]
    assert "Another sensor's scene of 2020-03-05 has the band 'red' too" in series.left_out[0].reason


def test_a_scene_that_is_nearly_empty_is_left_out_and_named(server, scene, write_raster, tmp_path):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    scene("S2A_b", "2020-03-06T10:56:31Z")
    for key, side, transform in (("B04", 1, CORNER), ("B08", 1, CORNER), ("B11", 2, COARSE)):
        nothing = np.zeros((HEIGHT // side, WIDTH // side), np.uint16)
        write_raster(server.folder / "S2A_b" / f"{key}.tif", nothing, nodata=0, transform=transform)
    series = open_search(search_of(server))
    assert [date.isoformat() for date in series.dates] == ["2020-03-05"]
    assert {item.path.split("/")[-2] for item in series.left_out} == {"S2A_b"}
    assert "nearly empty" in series.left_out[0].reason
    write_search(search_of(server), tmp_path / "search.json")
    assert len(open_series(tmp_path / "search.json", keep_empty=True)) == 2


def test_the_day_is_the_sun_s(server, scene):
    """Two halves of one pass lie before and after midnight in UTC, where it is about noon."""
    far = transform_bounds("EPSG:32701", "EPSG:4326", 500_100, 7_999_500, 500_600, 7_999_900)
    for name, when in (("S2A_a", "2020-03-05T23:59:50Z"), ("S2A_b", "2020-03-06T00:00:04Z")):
        item = scene(name, when)
        item["bbox"] = list(far)
    # The files lie elsewhere: the days alone are looked at, which need no pixel.
    found = summary(find_scenes(search_of(server, bbox=far)))
    assert [(day["date"], day["scenes"]) for day in found["days"]] == [("2020-03-05", ["S2A_a", "S2A_b"])]


def test_an_offset_that_is_off_the_pixels_already_is_not_taken_off_again(server, scene):
    said = "earthsearch:boa_offset_applied"
    scene("S2A_a", "2022-03-05T10:56:31Z", **{said: True, "s2:processing_baseline": "04.00"})
    scene("S2A_b", "2022-03-06T10:56:31Z", **{said: False, "s2:processing_baseline": "04.00"})
    scene("S2A_c", "2022-03-07T10:56:31Z", **{said: False, "s2:processing_baseline": "03.01"})
    offsets = []
    for day in ("2022-03-05", "2022-03-06", "2022-03-07"):
        series = open_search(search_of(server, dates=f"{day}/{day}"))
        offsets.append(series.bands[0].offset)
        assert series.problems == ()
    assert offsets == [0.0, -0.1, 0.0]
    together = open_search(search_of(server, dates="2022-01-01/2022-12-31"))
    assert any("1 of 2 scenes say that Sentinel-2's offset" in problem for problem in together.problems)


def test_stac_1_1_describes_bands_in_the_asset(server, scene):
    red = {"bands": [{"name": "B04", "eo:common_name": "red"}], "raster:scale": 0.0001, "raster:offset": -0.1,
           "nodata": 0}  # fmt: skip
    nir = {"bands": [{"name": "B08", "eo:common_name": "nir", "raster:scale": 0.0002, "nodata": "nan"}]}
    scene("S2A_a", "2020-03-05T10:56:31Z", facts=(red, nir), nodata=None)
    bands = open_search(search_of(server)).bands
    assert [(band.role, band.scale, band.offset) for band in bands] == [
        ("red", 0.0001, -0.1),
        ("nir", 0.0002, 0.0),
    ]
    assert bands[0].nodata == 0
    assert np.isnan(bands[1].nodata)


def test_the_file_s_own_facts_stand_where_the_catalogue_has_none(server, write_raster):
    write_raster(server.folder / "a" / "x.tif", np.full((HEIGHT, WIDTH), 7, np.int16), nodata=-9,
                 scales=(0.5,), offsets=(2.0,))  # fmt: skip
    server.add("a", "2020-03-05T10:56:31Z", {"vv": ("a/x.tif", {})}, projection=False)
    series = open_search(search_of(server))
    assert [(b.role, b.scale, b.offset, b.nodata) for b in series.bands] == [("vv", 0.5, 2.0, -9)]
    assert (series.read().values == 5.5).all()


@pytest.mark.parametrize("wanted", [["B08", "B11"], ["nir", "swir16"], ["NIR", "swir1"]])
def test_bands_are_asked_for_by_asset_common_name_or_role(server, scene, wanted):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    assert open_search(search_of(server, bands=wanted)).keys == ("nir", "swir1")
    assert not any("B04.tif" in path for _, path in server.asked)


def test_a_coarse_band_alone_has_its_own_grid(server, scene):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    assert open_search(search_of(server, bands=["B11"])).grid.pixel_size == (20, 20)


def test_a_band_that_no_scene_has_is_refused_with_those_there_are(server, scene):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    assert_said(search_of(server, bands=["red", "B12"]), "'B12'", "red", "nir", "swir1")


def test_a_date_that_lacks_a_band_is_left_out_and_named(server, scene):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    scene("S2A_b", "2020-03-06T10:56:31Z")
    del server.items[1]["assets"]["B11"]
    series = open_search(search_of(server, bands=["red", "swir1"]))
    assert [date.isoformat() for date in series.dates] == ["2020-03-05"]
    assert "2020-03-06 has no band swir1" in series.left_out[0].reason


def test_previews_and_copies_are_no_bands(server, scene, write_raster):
    item = scene("S2A_a", "2020-03-05T10:56:31Z")
    write_raster(server.folder / "tci.tif", np.ones((3, HEIGHT, WIDTH), np.uint8))
    rgb = [{"name": "B04", "common_name": "red"}, {"name": "B03", "common_name": "green"},
           {"name": "B02", "common_name": "blue"}]  # fmt: skip
    href = f"{server.url}/files/tci.tif"
    item["assets"] = {
        "visual": {"href": href, "type": "image/tiff", "roles": ["visual"], "eo:bands": rgb},
        "thumbnail": {"href": f"{server.url}/files/t.png", "type": "image/png", "roles": ["thumbnail"]},
        "metadata": {"href": f"{server.url}/files/m.xml", "type": "application/xml", "roles": ["metadata"]},
        "red-jp2": {"href": "s3://bucket/B04.jp2", "type": "image/jp2", **RED},
        **item["assets"],
    }
    series = open_search(search_of(server, bands=["red", "nir"]))
    read = [path.removeprefix("/vsicurl/") for path in series.files[0]]
    assert read == [f"{server.url}/files/S2A_a/{key}.tif" for key in ("B04", "B08")]
