# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever becomes of a worker or its server: nothing of it is left running, and the next job runs."""

import os
import subprocess
import sys

import pytest

from tests.timo_backend.conftest import final, wait_for, wait_until_gone, wait_until_running
from timo_backend import leftovers


def child_of(client, job):
    """The pid of the child that a job has started."""
    told = wait_for(client, job, lambda e: e.kind == "log" and e.body["message"].startswith("child "))
    return int(told.body["message"].split()[1])


@pytest.mark.parametrize("end", ["done", "cancelled"])
def test_a_child_that_left_its_worker_s_group_ends_with_the_job(client, spec, end):
    job = client.submit("predict", spec("orphan-1" if end == "done" else "orphan"))
    wait_until_running(client, job)
    child = child_of(client, job)
    if end == "cancelled":
        client.cancel(job)
    assert final(client, job)["state"] == {"done": "succeeded"}.get(end, end)
    wait_until_gone(child)
    assert final(client, client.submit("predict", spec("succeed")))["state"] == "succeeded"


def test_what_a_killed_server_s_worker_left_behind_is_ended_by_the_next_server(server, spec):
    with server.client() as client:
        job = client.submit("predict", spec("orphan"))
        pid, child = wait_until_running(client, job), child_of(client, job)
        server.kill()
        wait_until_gone(pid)
        os.kill(child, 0)  # it is still there
    server.start()
    wait_until_gone(child)


def test_a_worker_in_one_long_call_is_left_alone(client, spec):
    job = client.submit("predict", spec("count-8"))
    assert final(client, job)["state"] == "succeeded"


def test_processes_of_others_are_left_alone(tmp_path):
    mine, other = tmp_path / "mine", tmp_path / "other"
    marks = [leftovers.new_mark(mine), leftovers.new_mark(mine), leftovers.new_mark(other)]
    command = [sys.executable, "-c", "import time; time.sleep(3600)"]
    started = [
        subprocess.Popen(command, env={**os.environ, leftovers.VARIABLE: mark}) for mark in [*marks, ""]
    ]
    try:
        assert leftovers.end(marks[0]) == [started[0].pid]
        assert leftovers.end(leftovers.mark_of(mine)) == [started[1].pid]
        assert [process.poll() for process in started[2:]] == [None, None]
    finally:
        for process in started:
            process.kill()
            process.wait()
