# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a job is, and which files it may use."""

import http.server
import json
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from tests.timo_backend.conftest import PATIENCE_S, ServerProcess, final
from tests.timo_backend.test_wire import Bare
from timo.access import Access
from timo.errors import AccessError, SpecError
from timo.tasks import specs
from timo_backend import paths, worker
from timo_backend.client import Client
from timo_backend.errors import RequestError

REAL_WORKER = Path(worker.__file__)


def configure(home, **owners):
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "settings.json").write_text(json.dumps({"owners": owners}))


@pytest.fixture
def run(home):
    """Starts the home's server with owners and their roots."""
    started = []

    def start(worker=None, **owners):
        configure(home, **{name: {"roots": roots} for name, roots in owners.items()})
        started.append(ServerProcess(home).start(**({} if worker is None else {"worker": worker})))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


def connect(home, owner="default", roots=None):
    name = "connection.json" if owner == "default" else f"connection-{owner}.json"
    return Client.connect(home / name, timeout=PATIENCE_S, roots=roots)


def refusal(call, *values, **more):
    with pytest.raises(RequestError) as caught:
        call(*values, **more)
    return caught.value


# owners ----------------------------------------


def test_an_owner_sees_its_own_jobs_alone(run, home, spec):
    run(nightly=None)
    with connect(home) as mine, connect(home, "nightly") as other:
        assert (mine.hello()["owner"], other.hello()["owner"]) == ("default", "nightly")
        job = mine.submit("predict", spec("hold"), key="k")
        for call in (
            lambda: other.cancel(job),
            lambda: other.pause(job),
            lambda: other.resume(job),
            lambda: other.finish(job),
            lambda: other.order(job, priority=1),
            lambda: other.retry(job),
            lambda: other.job(job),
            lambda: other.metrics(job),
            lambda: list(other.events(job)),
        ):
            assert refusal(call).code == "unknown_job"
        theirs = other.submit("predict", spec("succeed"), key="k")
        assert refusal(mine.order, job, before=theirs).code == "unknown_job"
        assert theirs != job, "a key is one owner's"
        assert [row["id"] for row in other.jobs()] == [theirs]
        assert [row["id"] for row in mine.jobs()] == [job]
        assert mine.cancel(job) == "cancelling"
        assert final(other, theirs)["state"] == "succeeded"


def test_only_the_default_owner_ends_the_server(run, home):
    server = run(nightly=None)
    with connect(home, "nightly") as other, connect(home) as mine:
        assert refusal(other.stop).code == "not_allowed"
        mine.stop()
    assert server.wait() == 0
    assert not list(home.glob("connection*"))


def test_each_owner_has_keys_of_its_own_that_nobody_else_can_read(run, home):
    server = run(nightly=None)
    files = [home / "connection.json", home / "connection-nightly.json"]
    keys = {json.loads(file.read_text())["client_secret_key"] for file in files}
    assert len(keys) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    server.kill()
    run()
    assert not files[1].exists(), "the owner is no more"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ('{"roots": []}', "unknown field"),
        ('{"owners": {"A b": {}}}', "small letters"),
        ('{"owners": {"../x": {}}}', "small letters"),
        ('{"owners": {"default": {"roots": ["data"]}}}', "not an absolute path"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_settings_that_make_no_sense_are_one_sentence(home, text, said):
    home.mkdir(mode=0o700)
    (home / "settings.json").write_text(text)
    command = [sys.executable, "-m", "timo_backend", "serve", "--home", str(home)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 1
    assert said in ended.stderr and "settings.json" in ended.stderr and ended.stderr.count("\n") == 1


# folders ----------------------------------------


def test_a_job_uses_the_folders_that_its_client_named_and_the_settings_allow(run, home, tmp_path, spec):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    run(default=["/series", "/acts", str(tmp_path / "a"), str(tmp_path / "b")])
    named = ["/series", "/acts", str(tmp_path / "b"), str(tmp_path / "c")]
    with connect(home, roots=named) as client:
        assert client.hello(named)["roots"] == ["/series", "/acts", str(tmp_path / "b")]
        inside = client.submit("predict", spec("succeed", out=str(tmp_path / "b" / "map.tif")))
        assert final(client, inside)["state"] == "succeeded"
        for folder in ("a", "c", "b/../a"):
            error = refusal(client.submit, "predict", spec("succeed", out=str(tmp_path / folder / "map.tif")))
            assert error.code == "path_denied"
            assert "Parameter 'out'" in error.message and error.action
        assert len(client.jobs()) == 1
        client.hello([str(tmp_path / "b")])
        assert refusal(client.submit, "predict", spec("succeed")).code == "path_denied"
        assert refusal(client.retry, inside).code == "job_not_failed"


def test_a_client_that_names_no_folders_submits_nothing(server, spec):
    bare = Bare(server.home)
    submit = {"v": 1, "id": "1", "type": "submit"}
    submit["body"] = {"task": "predict", "spec": spec("succeed"), "key": "k"}
    hello = {"v": 1, "id": "2", "type": "hello", "body": {}}
    for _ in range(2):
        answer = bare.ask(submit)
        assert (answer["type"], answer["body"]["code"]) == ("error", "roots_missing")
        assert bare.ask(hello)["body"]["roots"] == []
    relative = bare.ask({**hello, "body": {"roots": ["data"]}})
    assert relative["body"]["code"] == "path_relative"
    assert bare.ask({**hello, "body": {"roots": None}})["body"]["roots"] is None
    assert bare.ask(submit)["type"] == "reply"
    bare.close()


def test_the_named_folders_hold_with_the_next_server_too(run, home, tmp_path, spec):
    server = run()
    with connect(home, roots=["/series", "/acts", str(tmp_path)]) as client:
        server.kill()
        server.start()
        job = client.submit("predict", spec("succeed"))
        assert final(client, job)["state"] == "succeeded"
        assert (
            refusal(client.submit, "predict", spec("succeed", out="/elsewhere/x.tif")).code == "path_denied"
        )


def test_what_is_allowed_when_a_job_starts_counts_too(run, home, tmp_path, spec):
    server = run()
    with connect(home) as client:
        first = client.submit("predict", spec("hold"))
        second = client.submit("predict", spec("succeed"))
        server.kill()
        configure(home, default={"roots": ["/series", "/acts"]})
        server.start()
        client.cancel(first)
        error = final(client, second)["error"]
        assert error["code"] == "path_denied" and str(tmp_path) in error["message"]


@pytest.mark.fault
def test_a_link_that_was_changed_since_the_submit_is_not_followed(run, home, tmp_path, spec):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside / "maps", outside):
        folder.mkdir(parents=True)
    run(default=["/series", "/acts", str(inside)])
    with connect(home) as client:
        first = client.submit("predict", spec("hold", out=str(inside / "first.tif")))
        second = client.submit("predict", spec("succeed", out=str(inside / "maps" / "map.tif")))
        (inside / "maps").rmdir()
        (inside / "maps").symlink_to(outside)
        client.cancel(first)
        assert final(client, second)["error"]["code"] == "path_denied"
    assert not list(outside.iterdir())


@pytest.fixture
def web():
    """A web server of this machine, and the requests that reached it."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def write_raster(path):
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=from_origin(0, 640, 10, 10)) as file:
        file.write(np.ones((1, 64, 64), np.uint8))


def write_vrt(path, source, code=""):
    kind = ' subClass="VRTDerivedRasterBand"' if code else ""
    path.write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>0, 10, 0, 640, 0, -10</GeoTransform>"
        f'<VRTRasterBand dataType="Byte" band="1"{kind}>{code}<SimpleSource>'
        f"<SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )


@pytest.mark.fault
def test_a_real_job_opens_nothing_that_it_may_not(run, home, tmp_path, web):
    address, asked = web
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
    write_raster(inside / "a.tif")
    write_raster(outside / "secret_20200101.tif")
    mark = inside / "python was here"
    code = (
        "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>"
        f"<PixelFunctionCode><![CDATA[\nimport pathlib\npathlib.Path({str(mark)!r}).touch()\n"
        "def f(i, o, *a, **k):\n  pass\n]]></PixelFunctionCode>"
    )
    series = {
        "network": inside / "y_20200101.vrt",
        "python": inside / "z_20200101.vrt",
        "link": inside / "l_20200101.tif",
        "listed": inside / "list.csv",
    }
    write_vrt(series["network"], f"/vsicurl/{address}/x.tif")
    write_vrt(series["python"], inside / "a.tif", code)
    series["link"].symlink_to(outside / "secret_20200101.tif")
    series["listed"].write_text(f"path,date\n{outside / 'secret_20200101.tif'},2020-01-01\n")
    run(default=[str(inside)], worker=REAL_WORKER)
    with connect(home) as client:
        refused = refusal(
            client.submit, "pretrain", {"series": [str(series.pop("link"))], "out": str(inside / "m")}
        )
        assert refused.code == "path_denied"
        jobs = {
            case: client.submit("pretrain", {"series": [str(path)], "out": str(inside / case)})
            for case, path in series.items()
        }
        for case, job in jobs.items():
            error = final(client, job)["error"]
            assert error["code"] == "path_denied", (case, error)
            assert error["message"].endswith(".") and error["action"]
    assert not asked and not mark.exists()


def test_a_series_may_name_an_address_but_nothing_else_may(run, home, tmp_path, web):
    address, asked = web
    run(default=[str(tmp_path)], worker=REAL_WORKER)
    with connect(home) as client:
        spec = {"series": [f"{address}/x_20200101.tif"], "out": str(tmp_path / "m")}
        assert final(client, client.submit("pretrain", spec))["error"]["code"] != "path_denied"
        assert any(path.startswith("/x_20200101.tif") for path in asked)


# the fields of tasks ----------------------------------------

GIVEN = {
    "finetune": {
        "series": ["/d/s"], "labels": "/d/l.gpkg", "out": "/d/m", "from": "/d/b", "split": "/d/p.gpkg",
    },
    "predict": {
        "series": ["/d/s"], "model": "/d/m", "out": "/d/o.tif", "aoi": "/d/a.gpkg|layername=x",
        "confidence": "/d/c.tif", "probabilities": "/d/p.tif", "per_date": "/d/p", "polygons": "/d/p.gpkg",
    },
    "pretrain": {"series": ["/d/a*/*.tif"], "out": "/d/m"},
    "embed": {"series": ["/d/s"], "model": "/d/m", "out": "/d/o.tif", "aoi": "1,2,3,4"},
    "evaluate": {"series": ["/d/s"], "model": "/d/m", "labels": "/d/l.gpkg|layername=x", "out": "/d/o"},
}  # fmt: skip
DENIED = ("/e/x", "/d/../e/x", "/vsicurl/http://h/x.tif", "/vsizip/d/x.zip", "WMS:http://h", "/d/\0")


@pytest.mark.parametrize("task", GIVEN)
def test_every_path_of_every_task_is_looked_at(task):
    paths.demand(task, GIVEN[task], Access.to(["/d"]))
    for field, value in GIVEN[task].items():
        if value == "1,2,3,4":
            continue
        for bad in (
            "/e/x",
            "/d/../e/x",
            "/vsicurl/http://h/x.tif",
            "/vsizip/d/x.zip",
            "WMS:http://h",
            "/d/\0",
        ):
            given = {**GIVEN[task], field: [bad] if isinstance(value, list) else bad}
            with pytest.raises(AccessError, match=f"'{field}'"):
                paths.demand(task, given, Access.to(["/d"]))
        for bad in ("x", "d/x", "../d"):
            given = {**GIVEN[task], field: [bad] if isinstance(value, list) else bad}
            with pytest.raises(SpecError, match=f"'{field}'"):
                paths.demand(task, given, Access.to(["/d"]))


def test_every_text_of_a_spec_is_known_as_a_path_or_as_none():
    others = {"class_field", "date_field", "split_field", "shard", "ray", "colors", "names"}
    for task in specs.SPECS:
        for field, properties in specs.schema(task)["properties"].items():
            text = json.dumps(properties)
            if '"type": "string"' in text and "enum" not in text:
                assert (properties.get("format") in paths.FORMATS) != (field in others), (task, field)


def test_a_job_that_is_kept_to_folders_computes_on_this_computer():
    spec = {"series": ["/d/s"], "model": "/d/m", "out": "/d/o.tif"}
    paths.demand("predict", {**spec, "ray": "local"}, Access.to(["/d"]))
    paths.demand("predict", {**spec, "ray": "head:6379"}, Access.to(None))
    with pytest.raises(AccessError, match="'ray'"):
        paths.demand("predict", {**spec, "ray": "head:6379"}, Access.to(["/d"]))


def test_addresses_stand_in_the_series_alone_and_wildcards_behind_allowed_folders():
    spec = {"series": ["https://h/x.tif", "HTTP://h/y.tif"], "out": "/d/m"}
    paths.demand("pretrain", spec, Access.to(["/d"]))
    assert paths.may_use_network("pretrain", spec)
    assert paths.may_use_network("pretrain", {**spec, "series": ["/d/list.CSV"]})
    assert not paths.may_use_network("pretrain", {**spec, "series": ["/d/x.tif"]})
    for bad in ("/*/x.tif", "/e*/x.tif", "/vsicurl/https://h/x.tif"):
        with pytest.raises(AccessError):
            paths.demand("pretrain", {**spec, "series": [bad]}, Access.to(["/d"]))
