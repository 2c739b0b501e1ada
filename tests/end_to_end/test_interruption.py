# SPDX-License-Identifier: GPL-3.0-or-later
"""A training whose server, or worker, is killed ends with the weights of one that was never interrupted."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.scenes import make_scene
from tests.timo_backend.conftest import ServerProcess, final, wait_until_gone
from tests.timo_backend.faults.counts import RUN
from timo_backend.fingerprint import digest

GONE_WITHIN_S = 2.0
WORKER = Path(__file__).with_name("keen_worker.py")


@pytest.mark.fault
@pytest.mark.parametrize("victim", ["server", pytest.param("worker", marks=pytest.mark.slow)])
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(tmp_path, victim):
    scene = make_scene(tmp_path)
    server = ServerProcess(tmp_path / "home").start(worker=WORKER)

    def training(name):
        out = tmp_path / name / "model"
        out.parent.mkdir()
        spec = {
            "series": [str(scene.folder)], "labels": str(scene.labels), "class_field": "kind",
            "out": str(out), "epochs": 6, "zoom": 1,
        }  # fmt: skip
        return out, spec

    try:
        with server.client() as client:
            whole, spec = training("whole")
            assert final(client, client.submit("finetune", spec))["state"] == "succeeded"
            broken, spec = training("broken")
            job = client.submit("finetune", spec)
            for event in client.events(job):
                if event.kind == "metric" and event.body["step"] == 2:
                    pid = worker_of(server, client, job)
                    begun = time.monotonic()
                    if victim == "server":
                        server.kill()
                    else:
                        os.kill(pid, signal.SIGKILL)
                    wait_until_gone(pid)
                    assert RUN == "short" or time.monotonic() - begun < GONE_WITHIN_S
                    break
        if victim == "server":
            server.start(worker=WORKER)
        with server.client() as client:
            told = list(client.events(job))
            assert told[-1].body["state"] == "succeeded", told[-1].body
            assert told[-1].body["attempt"] == 2
            assert any(e.kind == "log" and "Going on" in e.body["message"] for e in told)
            curves = client.metrics(job)
            assert all(curve["steps"] == sorted(set(curve["steps"])) for curve in curves.values())
        assert digest(broken / "weights.safetensors") == digest(whole / "weights.safetensors")
    finally:
        server.kill()


def worker_of(server, client, job):
    """The pid of a job's worker: the only child of the server."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    (pid,) = map(int, children)
    return pid
