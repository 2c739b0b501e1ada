# SPDX-License-Identifier: GPL-3.0-or-later
"""How a catalogue is searched, what is refused, and the command."""

import json
import socket
import subprocess
import sys

import pytest

from tests.timo.series.stac.searches import BOX, YEAR, assert_said, search_of
from timo.cli import app
from timo.errors import OutputError
from timo.series import stac
from timo.series.series import open_series
from timo.series.stac import find_scenes
from timo.series.stac_search import read_search, write_search
from timo.series.stac_series import open_search


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
