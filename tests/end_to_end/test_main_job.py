# SPDX-License-Identifier: GPL-3.0-or-later
"""From dated rasters to a map through the real server, as the plugin does it."""

import subprocess
import sys

import pytest
import rasterio

from tests.scenes import make_scene
from timo_backend.client import Client


@pytest.fixture
def connection(tmp_path):
    """A running backend's connection file."""
    home = tmp_path / "home"
    command = [sys.executable, "-m", "timo_backend", "serve", "--home", str(home)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        server.stdout.readline()  # says that it is ready
        yield home / "connection.json"
    finally:
        server.terminate()
        server.wait(30)


def test_labels_become_a_model_and_the_model_a_map(connection, tmp_path):
    scene = make_scene(tmp_path)
    spec = {
        "series": str(scene.folder), "labels": str(scene.labels), "class_field": "kind",
        "out": str(tmp_path / "model"), "epochs": 4, "zoom": 1,
    }  # fmt: skip
    with Client.connect(connection) as client:
        training = client.submit("finetune", spec, key="train")
        live = list(client.events(training, after=0))
        assert live[-1].body["state"] == "succeeded"
        scores = [e.body["step"] for e in live if e.kind == "metric" and e.body["name"] == "val_miou"]
        assert scores == [1, 2]  # then it learns from all labels
        out = tmp_path / "map.tif"
        mapping = client.submit(
            "predict",
            {"series": str(scene.folder), "model": str(tmp_path / "model"), "out": str(out)},
            key="map",
        )
        assert list(client.events(mapping))[-1].body["state"] == "succeeded"
    with rasterio.open(out) as source:
        assert (source.read(1) == scene.truth).mean() > 0.8
    with Client.connect(connection) as client:  # another day
        assert [e.seq for e in client.events(training, after=0)] == [e.seq for e in live]
        assert {job["state"] for job in client.jobs()} == {"succeeded"}


def test_an_impossible_job_fails_with_what_to_do(connection, tmp_path):
    (tmp_path / "empty").mkdir()
    spec = {
        "series": str(tmp_path / "empty"),
        "model": str(tmp_path / "none"),
        "out": str(tmp_path / "o.tif"),
    }
    with Client.connect(connection) as client:
        last = list(client.events(client.submit("predict", spec, key="bad")))[-1]
    assert last.body["state"] == "failed"
    assert last.body["error"]["code"] == "bundle_missing"
    assert last.body["error"]["action"]
