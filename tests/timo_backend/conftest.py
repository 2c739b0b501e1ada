# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server in a process of its own, and ways to wait for what it and its workers do."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from timo_backend.client import Client

HERE = Path(__file__).parent
PATIENCE_S = 60.0  # for machines under load; nothing here judges a time


class ServerProcess:
    """A running server; ``start`` again after ``kill`` or ``end`` gives the next one of the same home."""

    def __init__(self, home):
        self.home = home
        self.process = None

    def start(self, idle_s=1800.0, worker=HERE / "task_worker.py", gpus=(), patient=False):
        program = [sys.executable, str(HERE / "server_program.py")]
        self.process = subprocess.Popen(
            [*program, str(self.home), str(idle_s), str(worker), ",".join(gpus), *["patient"] * patient],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.endpoint = self.process.stdout.readline().strip()
        assert self.endpoint.startswith("tcp://127.0.0.1:"), "the server did not start"
        return self

    @property
    def log(self):
        return self.home / "logs" / "server.log"

    def client(self, timeout=PATIENCE_S):
        return Client.connect(self.home / "connection.json", timeout=timeout)

    def kill(self):
        self.process.kill()
        return self.wait()

    def end(self):
        self.process.terminate()
        return self.wait()

    def wait(self):
        status = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        return status


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def server(home):
    running = ServerProcess(home).start()
    yield running
    if running.process.poll() is None:
        running.kill()


@pytest.fixture
def client(server):
    with server.client() as connected:
        yield connected


@pytest.fixture
def spec(tmp_path):
    """Makes the spec of a job that does what ``act`` says; see ``task_worker.py``."""

    def make(act, **more):
        return {"series": ["/series"], "model": f"/acts/{act}", "out": str(tmp_path / "map.tif"), **more}

    return make


def wait_until(holds):
    """Returns once something holds; fails after ``PATIENCE_S``."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for(client, job, matches):
    """The job's first event for which ``matches`` holds."""
    for event in client.events(job):
        if matches(event):
            return event
    raise AssertionError(f"job {job} ended, and no event was as expected")


def wait_until_running(client, job):
    """The pid of the job's worker, once its task is at work."""
    event = wait_for(
        client, job, lambda event: event.kind == "log" and event.body["message"].startswith("pid ")
    )
    return int(event.body["message"].split()[1])


def wait_until_gone(pid):
    """Returns once no process has this id; fails after ``PATIENCE_S``."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], PATIENCE_S)[0], f"process {pid} is still there"
    finally:
        os.close(handle)


def final(client, job):
    """The body of the state event that ended the job."""
    return list(client.events(job))[-1].body


def facts(events):
    """What events say, without when."""
    return [(event.seq, event.kind, event.body) for event in events]
