# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a server has too much of: jobs start, are cancelled and come to their end all the same."""

import json
import resource
import threading
import time
from contextlib import contextmanager

import pytest
import zmq

from tests.timo_backend.conftest import wait_until, wait_until_gone, wait_until_running
from tests.timo_backend.faults.checks import demand_nothing_left
from tests.timo_backend.faults.counts import count
from tests.timo_backend.test_wire import Bare


def end_of(client, job):
    """The state in which a job ends; asked for, so that one that never ends is told of."""
    wait_until(lambda: client.job(job)["state"] in ("succeeded", "failed", "cancelled"))
    return client.job(job)["state"]


@contextmanager
def a_client_that_sends_without_end(server, frames):
    """Faster than the server reads: how often as much waited there as ZeroMQ lets wait is counted."""
    over, full = threading.Event(), [0]

    def send():
        bare = Bare(server.home)
        while not over.is_set():
            try:
                bare.socket.send_multipart(frames, zmq.NOBLOCK)
            except zmq.Again:
                full[0] += 1
                time.sleep(0.0001)
        bare.close()

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield full
    finally:
        over.set()
        sending.join()


ACK = json.dumps({"v": 1, "id": "1", "type": "ack", "body": {"n": 0}}).encode()


@pytest.mark.parametrize("frames", [[ACK], [ACK, ACK]], ids=["read", "dropped"])
def test_a_client_that_sends_without_end_holds_up_no_job_and_not_the_server_s_end(
    server, client, spec, frames
):
    with a_client_that_sends_without_end(server, frames) as full:
        for _ in range(count(short=2, all=5)):
            assert end_of(client, client.submit("predict", spec("succeed"))) == "succeeded"
            before = full[0]
            job = client.submit("predict", spec("hold"))
            client.cancel(job)
            assert end_of(client, job) == "cancelled"
            assert full[0] > before + 10, "it was slower than the server"
        client.stop()
        assert server.wait() == 0


@contextmanager
def no_file_handle_left(server):
    """As when somebody has opened so many connections that the server can open nothing any more."""
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))  # those below are taken
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_a_job_that_ends_while_no_file_can_be_opened_has_ended(server, client, spec, tmp_path):
    for _ in range(count(short=1, all=3)):
        job = client.submit("predict", spec("await"))
        pid = wait_until_running(client, job)
        hindered = f"job {job}: what its worker left behind can't be looked for"
        with no_file_handle_left(server):
            (tmp_path / "map.go").touch()
            wait_until_gone(pid)
            wait_until(lambda told=hindered: told in server.log.read_text())
        (tmp_path / "map.go").unlink()
        assert end_of(client, job) == "succeeded"
    assert end_of(client, client.submit("predict", spec("succeed"))) == "succeeded"
    assert server.end() == 0
    demand_nothing_left(server.home)
