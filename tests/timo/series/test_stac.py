# SPDX-License-Identifier: GPL-3.0-or-later
"""Searches of a real STAC API on this machine: real HTTP, real files, the real clients."""

import json
import pickle
import socket
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from tests.stac_server import StacServer
from timo.cli import app
from timo.errors import OutputError, SeriesError
from timo.series import stac
from timo.series.rasters import Raster, RasterReader
from timo.series.series import open_series
from timo.series.stac import find_scenes
from timo.series.stac_search import make_search, read_search, write_search
from timo.series.stac_series import open_search, summary

UTM = "EPSG:32631"
CORNER = Affine(10, 0, 500_000, 0, -10, 5_600_000)
COARSE = Affine(20, 0, 500_000, 0, -20, 5_600_000)
HEIGHT, WIDTH = 60, 80
BOX = transform_bounds(UTM, "EPSG:4326", 500_100, 5_599_500, 500_600, 5_599_900)
YEAR = "2020-01-01/2020-12-31"
RED = {"eo:bands": [{"name": "B04", "common_name": "red"}],
       "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": -0.1}]}  # fmt: skip
NIR = {"eo:bands": [{"name": "B08", "common_name": "nir"}], "raster:bands": RED["raster:bands"]}
SWIR = {"eo:bands": [{"name": "B11", "common_name": "swir16"}], "raster:bands": RED["raster:bands"]}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def server(tmp_path):
    (tmp_path / "web").mkdir()
    with StacServer(tmp_path / "web") as running:
        yield running


@pytest.fixture
def scene(server, write_raster):
    """Adds a scene: files of red and infrared at 10 m and of short-wave infrared at 20 m, and their item."""

    def add(name, when, *, transform=CORNER, coarse=COARSE, facts=(RED, NIR, SWIR), nodata=0, **more):
        random = np.random.default_rng(len(server.items))
        files = {}
        for key, fact in zip(("B04", "B08", "B11"), facts):
            side = 2 if key == "B11" else 1
            values = random.integers(1, 10_000, (HEIGHT // side, WIDTH // side)).astype(np.uint16)
            values[random.random(values.shape) < 0.05] = 0
            write_raster(
                server.folder / name / f"{key}.tif", values, nodata=nodata, tiled=True, blockxsize=16,
                blockysize=16, transform=coarse if key == "B11" else transform,
            )  # fmt: skip
            files[key] = (f"{name}/{key}.tif", fact)
        return server.add(name, when, files, **more)

    return add


def search_of(server, **changes):
    given = {"url": server.url, "collections": ["s2"], "bbox": BOX, "dates": YEAR, **changes}
    return make_search(**given)


def assert_said(search, *parts):
    """The search is refused with one sentence that holds all parts, and says what to do."""
    with pytest.raises(SeriesError) as caught:
        open_search(search) if not callable(search) else search()
    for part in parts:
        assert part in str(caught.value)
    assert caught.value.action
    assert "\n" not in str(caught.value)
    return caught.value


def from_disk(server, name, key, grid):
    """The same file, read from disk."""
    path = server.folder / name / f"{key}.tif"
    if key == "B11":  # needs warping: the reader of all other series
        raster = Raster.open(path)
        raw, good = RasterReader(grid).read(raster, raster.bands, grid.whole)
        return raw[0], good[0]
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


@pytest.mark.parametrize("methods", [("GET",), ("POST",), ("GET", "POST")])
def test_all_pages_are_read(server, scene, methods):
    server.methods, server.page = methods, 2
    for day in range(1, 6):
        scene(f"S2A_{day}", f"2020-03-{day:02}T10:56:31Z")
    assert len(find_scenes(search_of(server)).items) == 5
    assert sum("/search" in path for _, path in server.asked) == 3


def test_a_server_that_gives_its_first_page_for_ever_is_refused(server, scene):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    server.same_page = True
    assert_said(search_of(server), server.url, "the same 1 scenes again")


def test_cloudy_scenes_are_left_out_and_those_that_do_not_tell_are_kept(server, scene):
    for day, cloud in ((1, 10), (2, 30), (3, 31), (4, 99), (5, None)):
        scene(f"S2A_{day}", f"2020-03-{day:02}T10:56:31Z", cloud=cloud)
    found = find_scenes(search_of(server, cloud=30))
    assert [item.id for item in found.items] == ["S2A_1", "S2A_2", "S2A_5"]
    assert found.cloudy == 2


def test_clouds_alone_leave_nothing_and_it_is_said_how_many_there_were(server, scene):
    for day in (1, 2, 3):
        scene(f"S2A_{day}", f"2020-03-{day:02}T10:56:31Z", cloud=60 + day)
    assert_said(search_of(server, cloud=20), "at most 20 % of clouds: 3 have more", "Raise the cloud limit")


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


def test_a_search_in_a_file_is_a_series_as_any_other(server, scene, tmp_path):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    search = search_of(server, cloud=30, bands=["red"], skip=["S2A_z"])
    write_search(search, tmp_path / "search.json")
    assert read_search(tmp_path / "search.json") == search
    assert json.loads((tmp_path / "search.json").read_text()) == {
        "stac": server.url, "collections": ["s2"], "bbox": list(BOX), "dates": YEAR, "cloud": 30.0,
        "bands": ["red"], "skip": ["S2A_z"],
    }  # fmt: skip
    series = open_series(tmp_path / "search.json")
    assert series.keys == ("red",)
    with pytest.raises(OutputError, match="exists"):
        write_search(search, tmp_path / "search.json")
    assert_said(lambda: open_series([tmp_path / "search.json", tmp_path]), "beside other sources")


def test_a_skipped_scene_is_not_looked_at(server, scene):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    scene("S2A_broken", "2020-03-06T10:56:31Z")
    (server.folder / "S2A_broken" / "B04.tif").write_bytes(b"II*\0 this is no picture")
    said = assert_said(search_of(server), "'B04' of scene S2A_broken", "S2A_broken/B04.tif", "skip")
    assert said.code == "raster_unreachable"
    assert len(open_search(search_of(server, skip=["S2A_broken"]))) == 1
    assert_said(search_of(server, skip=["S2A_broken", "S2A_a"]), "All 2 scenes", "skipped")


def test_a_file_that_is_gone_is_named(server, scene):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    (server.folder / "S2A_a" / "B08.tif").unlink()
    assert_said(search_of(server), "'B08' of scene S2A_a")


@pytest.mark.parametrize(
    "href", ["/etc/passwd.tif", "file:///data/a.tif", "s3://bucket/a.tif", "/vsizip/a.tif"]
)
def test_files_that_are_not_on_the_web_are_not_read(server, scene, href):
    item = scene("S2A_a", "2020-03-05T10:56:31Z")
    for asset in item["assets"].values():
        asset["href"] = href
    assert_said(search_of(server), "scene S2A_a", "web")


def test_scenes_outside_of_the_box_s_pixels_are_refused(server, scene):
    """The catalogue says that the scene lies in the box; its files don't."""
    item = scene("S2A_a", "2020-03-05T10:56:31Z")
    item["bbox"] = [3.0, 50.0, 3.1, 50.1]
    assert_said(search_of(server, bbox=(3.0, 50.0, 3.01, 50.01)), "no pixel", "box")


def test_nothing_found_says_where_the_collection_is(server, scene):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    assert_said(
        search_of(server, bbox=(10, 10, 11, 11)), "No scene of s2", "s2 has 2 49 5 51, 2015-06-27 to now"
    )
    assert_said(search_of(server, dates="2021-01-01/2021-02-01"), "between 2021-01-01 and 2021-02-01")


def test_an_unknown_collection_is_refused_with_similar_names(server):
    server.collections = ["sentinel-2-l2a", "landsat-c2-l2"]
    said = assert_said(search_of(server, collections=["sentinel-2-l2"]), "no collection 'sentinel-2-l2'")
    assert "sentinel-2-l2a" in said.action


def test_more_scenes_than_one_can_mean_are_refused(server, scene, monkeypatch):
    monkeypatch.setattr(stac, "MOST_SCENES", 3)
    for day in range(1, 6):
        scene(f"S2A_{day}", f"2020-03-{day:02}T10:56:31Z")
    assert_said(search_of(server), "more than 3 scenes", "smaller")


def test_a_server_that_is_not_there(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = assert_said(
        search_of(server, url=f"http://127.0.0.1:{port}"), "can't be reached: nothing answers there"
    )
    assert said.retryable


def test_a_server_that_does_not_answer_in_time(server, monkeypatch):
    monkeypatch.setattr(stac, "TIMEOUT", (1.0, 0.2))
    monkeypatch.setattr(stac, "_TRIES", 1)
    server.slow = 1.0
    assert_said(search_of(server), "can't be reached: it did not answer within 0.2 s")


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("", (200, b"<html>Welcome</html>"), "but not as a STAC API does"),
        ("", (200, b"[1, 2]"), "but not as a STAC API does"),
        ("", (200, b'{"type": "Feature", "id": "x"}'), "but not as a STAC API does"),
        ("", (200, b"\xff\xfe"), "but not as a STAC API does"),
        ("", (404, b"gone"), "refuses the search with status 404"),
        ("", (403, b'{"message": "Forbidden"}'), "lets only its users in (status 403: Forbidden)"),
        ("/search", (400, b'{"code": "Bad", "description": "bbox is wrong."}'), "status 400: bbox is wrong"),
        ("/search", (200, b'{"features": [{"id": "a"}]}'), "not as a STAC API does"),
        ("/search", (200, b"["), "not as a STAC API does"),
    ],
)  # fmt: skip
def test_a_server_that_answers_amiss(server, scene, path, answer, said):
    scene("S2A_a", "2020-03-05T10:56:31Z")
    server.answers[path] = answer
    assert_said(search_of(server), server.url, said)


def test_a_catalogue_without_search_is_refused(server):
    server.conforms = [name for name in server.conforms if "search" not in name]
    assert_said(search_of(server), "can't be searched")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bbox": (4.5, 50, 4.1, 51)}, "the box 4.5 50 4.1 51, whose west is not west of its east"),
        ({"bbox": (4, 51, 5, 50)}, "whose south is not south of its north"),
        ({"bbox": (4, 50, 5, 50)}, "whose south is not south of its north"),
        ({"bbox": (500_000, 5_599_000, 501_000, 5_600_000)}, "which is not in degrees"),
        ({"bbox": (4, 50, 5, 91)}, "beyond the poles"),
        ({"bbox": (4, 50, 5)}, "not four numbers"),
        ({"bbox": (4, 50, float("nan"), 51)}, "not in degrees"),
        ({"dates": "2020-12-31/2020-01-01"}, "end before they begin"),
        ({"dates": "2020"}, "which are not two days"),
        ({"dates": "2020-02-30/2020-03-01"}, "which are not two days"),
        ({"cloud": 120}, "the cloud limit 120"),
        ({"cloud": "few"}, "a wrong field 'cloud'"),
        ({"url": "file:///etc"}, "no web address"),
        ({"url": "earth-search"}, "no web address"),
        ({"url": "s3://bucket"}, "no web address"),
        ({"collections": []}, "names no collection"),
        ({"collections": [" "]}, "names no collection"),
    ],
)
def test_a_wrong_search_is_refused_before_anything_is_asked(server, changes, said):
    assert_said(lambda: search_of(server, **changes), said)
    assert server.asked == []


START = '{"stac": "http://a.b", "collections": ["c"], "bbox": [1, 2, 3, 4]'


START = '{"stac": "http://a.b", "collections": ["c"], "bbox": [1, 2, 3, 4]'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "can't be read as a search"),
        ("[]", "is no search of a STAC catalogue"),
        ('{"type": "FeatureCollection", "features": []}', "is no search of a STAC catalogue"),
        ('{"stac": "http://a.b"}', "missing required field `collections`"),
        (f'{START}, "dates": 5}}', "wrong field 'dates'"),
        (f'{START}, "dates": "2020-01-01/2020-02-01", "clouds": 5}}', "`clouds`"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named(tmp_path, text, said):
    path = tmp_path / "search.json"
    path.write_text(text)
    assert_said(lambda: open_series(path), "search.json", said)


def test_without_the_packages_it_is_said_how_to_get_them(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "pystac_client", None)
    assert_said(search_of(server), "pystac-client and odc-stac", "pip install 'timo-qgis[stac]'")


def test_other_series_need_none_of_it():
    code = (
        "import sys, timo.cli, timo.series.series, timo.series.stac_search; "
        "sys.exit(bool({'pystac', 'pystac_client', 'odc', 'xarray', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def run(capsys, *arguments):
    """What a command prints."""
    app([str(argument) for argument in arguments], standalone_mode=False)
    return capsys.readouterr().out


def test_the_command_lists_what_it_finds_and_keeps_the_search(server, scene, tmp_path, capsys):
    for day, cloud in ((1, 10.0), (2, 20.0), (3, 80.0)):
        scene(f"S2A_31UDS_{day}", f"2020-03-{day:02}T10:56:31Z", cloud=cloud)
    kept = tmp_path / "search.json"
    options = ["stac", server.url, "--collection", "s2", "--bbox", *BOX, "--dates", YEAR, "--cloud", "30"]
    printed = run(capsys, *options, "--out", kept)
    for shown in ("2 scenes on 2 days", "2020-03-01", "S2A_31UDS_2", "20 %", "swir1", "1 more scenes"):
        assert shown in printed
    found = json.loads(run(capsys, *options, "--json"))
    assert [day["date"] for day in found["days"]] == ["2020-03-01", "2020-03-02"]
    assert found["cloudy"] == 1
    series = json.loads(run(capsys, "series", kept, "--json"))
    assert [date["date"] for date in series["dates"]] == ["2020-03-01", "2020-03-02"]
    assert [band["role"] for band in series["bands"]] == ["red", "nir", "swir1"]


def test_the_command_takes_a_box_in_the_west_and_south_and_fails_in_one_sentence(server):
    options = ["--collection", "s2", "--bbox", "-5", "-4", "-3", "-2", "--dates", YEAR]
    command = [sys.executable, "-m", "timo", "stac", server.url, *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "No scene of s2" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
