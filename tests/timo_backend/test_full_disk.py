# SPDX-License-Identifier: GPL-3.0-or-later
"""A full disk, a system without room for a process: nothing is lost, and work goes on when there is room."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.timo_backend.conftest import PATIENCE_S, final
from tests.timo_backend.fake_nvml import FakeNvml
from timo_backend import process as process_module
from timo_backend import supervisor as supervisor_module
from timo_backend.devices import Devices
from timo_backend.errors import RequestError
from timo_backend.grants import Grants
from timo_backend.settings import Settings
from timo_backend.store import Store
from timo_backend.supervisor import Supervisor

WORKER = [sys.executable, str(Path(__file__).with_name("task_worker.py"))]


def wait_for_log(server, text):
    """Until the server has said this."""
    deadline = time.monotonic() + PATIENCE_S
    while text not in server.log.read_text():
        assert time.monotonic() < deadline, f"the server never said '{text}'"
        time.sleep(0.05)


@pytest.mark.fault
def test_a_job_on_a_full_disk_waits_and_loses_nothing(server, client, spec):
    job, after = client.submit("predict", spec("tick-10000")), client.submit("predict", spec("succeed"))
    large = spec("succeed", series=["/" + "x" * 1000] * 100)  # finds no room in the pages that there are
    events = []
    for event in client.events(job):
        events.append(event)
        if event.seq == 200:
            server.process.send_signal(signal.SIGUSR1)
            wait_for_log(server, "cannot be recorded")
            with pytest.raises(RequestError) as caught:
                client.submit("predict", large, key="late")
            assert caught.value.code == "disk_full" and caught.value.retryable
            server.process.send_signal(signal.SIGUSR2)
    steps = [event.body["step"] for event in events if event.kind == "metric"]
    assert steps == list(range(1, 10_001))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].body["state"] == "succeeded"
    assert final(client, after)["state"] == "succeeded"
    assert final(client, client.submit("predict", large, key="late"))["state"] == "succeeded"


@pytest.mark.fault
def test_a_server_on_a_full_disk_can_be_ended_and_the_next_one_settles_the_job(server, client, spec):
    job = client.submit("predict", spec("tick-100000"))
    for event in client.events(job):
        if event.seq == 200:
            server.process.send_signal(signal.SIGUSR1)
            wait_for_log(server, "cannot be recorded")
            break
    assert server.end() == 0
    server.start()
    with server.client() as again:
        assert final(again, job)["error"]["code"] == "interrupted"


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_job_waits_until_the_system_has_room_for_its_process(tmp_path, monkeypatch, spec, number):
    started, popen = [], subprocess.Popen

    def scarce(*arguments, **named):
        started.append(time.monotonic())
        if len(started) < 3:
            raise OSError(number, os.strerror(number))
        return popen(*arguments, **named)

    monkeypatch.setattr(process_module.subprocess, "Popen", scarce)
    monkeypatch.setattr(supervisor_module, "SCARCE_S", 0.05)
    states = run(tmp_path, spec("succeed"))
    assert states == ["queued", *["starting", "queued"] * 2, "starting", "running", "succeeded"]


def test_a_worker_that_cannot_be_started_at_all_fails_its_job(tmp_path, spec):
    assert run(tmp_path, spec("succeed"), ["/nowhere/python"]) == ["queued", "starting", "failed"]


def run(folder, spec, command=WORKER):
    """The states that one job goes through, under a supervisor in this process."""

    async def main():
        store, devices = Store(folder / "jobs.sqlite"), Devices(FakeNvml())
        grants = Grants(Settings(), folder / "home")
        supervisor = Supervisor(store, folder, lambda job: None, grants, devices, command)
        job, _ = store.submit("predict", spec, "key")
        await devices.try_out(folder)
        supervisor.wake()
        deadline = time.monotonic() + PATIENCE_S
        while not store.job(job.id).state.final:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        events = list(store.history.records(job.id, 0, 1000))
        await supervisor.stop()
        store.close()
        return [json.loads(event.body)["state"] for event in events if event.kind == "state"]

    return asyncio.run(main())
