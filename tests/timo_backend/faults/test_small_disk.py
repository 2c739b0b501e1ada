# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is full, for real, under real jobs: they end with `disk_full`, and go on once there is room."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from tests.scenes import SIDE, make_scene, write_frame
from tests.small_disk import fill, small_disk
from tests.timo_backend.conftest import ServerProcess, final, wait_until_running
from tests.timo_backend.faults.checks import demand_sound
from timo.training.checkpoint import Checkpoint
from timo_backend.errors import RequestError

WORKER = Path(__file__).parents[2] / "end_to_end" / "keen_worker.py"
TIMES = 2  # the map's side, of the scene's


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", megabytes=96) as place:
        yield place


@pytest.fixture
def scene(tmp_path):
    return make_scene(tmp_path)


@pytest.fixture
def server(home, disk):
    """One with real workers, which end before the disk is gone; a training of theirs leaves a checkpoint
    after every step."""
    running = ServerProcess(home).start(worker=WORKER)
    yield running
    running.kill()


def demand_full(client, body):
    """How a job ended: for want of room; its server goes on."""
    assert (body["state"], body["error"]["code"]) == ("failed", "disk_full"), body
    assert body["error"]["retryable"] and "Make room" in body["error"]["action"]
    assert client.hello()["pid"]


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.fault
def test_a_training_whose_checkpoint_finds_no_room_goes_on_from_the_last_one(server, client, scene, disk):
    kept = disk / "model.training" / "checkpoint.pt"
    taken = fill(disk, leave=36 << 20)  # one of 24 MB has room, but no other beside it
    spec = {"series": [str(scene.folder)], "labels": str(scene.labels), "class_field": "kind"}
    job = client.submit("finetune", {**spec, "out": str(disk / "model"), "epochs": 1, "zoom": 1})
    demand_full(client, final(client, job))
    saved = torch.load(kept, map_location="cpu", weights_only=True)
    state, doubt = Checkpoint(kept.parent, saved["key"]).load()
    assert state and doubt is None
    assert names(kept.parent) == {"checkpoint.pt"}
    assert names(disk) == {"model.training", taken.name}

    taken.unlink()
    told = list(client.events(client.retry(job)))
    assert told[-1].body["state"] == "succeeded", told[-1].body
    assert any(event.kind == "log" and "Going on" in event.body["message"] for event in told)
    assert names(disk) == {"model"}


@pytest.mark.fault
@pytest.mark.parametrize(
    ("leave", "blocks"),
    [
        (112 << 10, 1),  # 72 KB are the block's, whose rasters take 76
        pytest.param(32 << 10, 0, marks=pytest.mark.slow),
    ],
)
def test_a_map_that_finds_no_room_is_made_once_there_is_some(
    server, client, scene, disk, tmp_path, leave, blocks
):
    scene.finetune(tmp_path / "woods", epochs=1)
    given = {"series": [str(tiled(scene.folder, tmp_path))], "model": str(tmp_path / "woods")}
    taken = fill(disk, leave)
    job = client.submit(
        "predict", {**given, "out": str(disk / "map.tif"), "probabilities": str(disk / "p.tif")}
    )
    demand_full(client, final(client, job))
    begun = disk / "map.tif.partial"
    assert names(disk) <= {begun.name, taken.name}
    assert len([line for path in begun.glob("journal-*") for line in path.open()]) == blocks
    assert not [path for path in begun.glob("blocks/*") if path.suffix == ".partial"]

    taken.unlink()
    assert final(client, client.retry(job))["state"] == "succeeded"
    assert names(disk) == {"map.tif", "map.tif.aux.xml", "map.qml", "p.tif"}
    for name in ("map.tif", "p.tif"):
        with rasterio.open(disk / name) as made:
            assert made.checksum(1) and made.shape == (TIMES * SIDE, TIMES * SIDE)


@pytest.mark.fault
def test_a_home_whose_disk_is_full_takes_no_job_and_loses_none(disk, spec):
    server = ServerProcess(disk / "home").start()
    large = spec("succeed", series=["/" + "x" * 1000] * 100)
    try:
        with server.client() as client:
            job = client.submit("predict", spec("tick-3000"))
            wait_until_running(client, job)
            acknowledged = []
            with pytest.raises(RequestError) as caught:
                while len(acknowledged) < 1000:
                    taken = fill(disk)  # again: the database may have some room of its own
                    acknowledged.append(client.submit("predict", large))
            assert caught.value.code == "disk_full" and caught.value.retryable
            taken.unlink()
            steps = [event.body["step"] for event in client.events(job) if event.kind == "metric"]
            assert steps == list(range(1, 3001))
            assert {row["id"] for row in client.jobs()} == {job, *acknowledged}
            for one in acknowledged:
                assert final(client, one)["state"] == "succeeded"
        assert server.end() == 0
        demand_sound(server.home)
    finally:
        server.kill()


def tiled(folder, root):
    """The scene's rasters, as a larger area."""
    wide = root / "wide"
    wide.mkdir()
    for path in folder.glob("*.tif"):
        with rasterio.open(path) as file:
            bands = dict(zip(file.descriptions, np.tile(file.read(), (1, TIMES, TIMES)), strict=True))
        write_frame(wide / path.name, bands)
    return wide
