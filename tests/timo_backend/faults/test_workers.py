# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever becomes of a worker: its job ends as designed, nothing of it is left, the next job runs."""

import os
import signal

import pytest

from tests.timo_backend.conftest import final, wait_for, wait_until_gone, wait_until_running
from tests.timo_backend.faults.checks import demand_nothing_left
from tests.timo_backend.faults.counts import count


@pytest.mark.parametrize(
    ("fault", "act"),
    [
        (signal.SIGKILL, "child"),
        (signal.SIGSEGV, "child"),
        (signal.SIGSTOP, "child"),
        (signal.SIGKILL, "orphan"),
    ],
)
def test_a_worker_that_is_struck_fails_its_job_and_the_next_one_runs(server, client, spec, fault, act):
    for _ in range(count(short=1, all=5)):
        job, after = client.submit("predict", spec(act)), client.submit("predict", spec("succeed"))
        pid = wait_until_running(client, job)
        wait_for(client, job, lambda e: e.kind == "log" and e.body["message"].startswith("child "))
        os.kill(pid, fault)
        ended = final(client, job)
        assert (ended["state"], ended["error"]["code"]) == ("failed", "worker_killed")
        named = signal.SIGKILL if fault == signal.SIGSTOP else fault  # the server ended one that hung
        assert ended["error"]["detail"]["signal"] == named.name
        wait_until_gone(pid)
        assert final(client, after)["state"] == "succeeded"
        demand_nothing_left(server.home)


def test_a_worker_that_ignores_sigterm_ends_with_all_its_children_when_it_is_cancelled(server, client, spec):
    for _ in range(count(short=1, all=5)):
        job, after = client.submit("predict", spec("stubborn")), client.submit("predict", spec("succeed"))
        pid = wait_until_running(client, job)
        wait_for(client, job, lambda e: e.kind == "log" and e.body["message"] == "all are there")
        os.kill(pid, signal.SIGTERM)  # it goes on
        assert client.cancel(job) == "cancelling"
        assert final(client, job)["state"] == "cancelled"
        wait_until_gone(pid)
        assert final(client, after)["state"] == "succeeded"
        demand_nothing_left(server.home)


@pytest.mark.slow
def test_a_worker_that_was_stopped_can_be_cancelled(server, client, spec):
    for _ in range(count(short=1, all=5)):
        job = client.submit("predict", spec("hold"))
        pid = wait_until_running(client, job)
        os.kill(pid, signal.SIGSTOP)
        client.cancel(job)
        assert final(client, job)["state"] == "cancelled"
        wait_until_gone(pid)


@pytest.mark.slow
def test_whenever_a_server_is_killed_its_worker_ends_with_it(server, spec):
    for _ in range(count(short=1, all=10)):
        with server.client() as client:
            job = client.submit("predict", spec("child"))
            pid = wait_until_running(client, job)
            server.kill()
            wait_until_gone(pid)
        server.start()  # which ends the worker's children
        demand_nothing_left(server.home)
        with server.client() as client:
            assert final(client, job)["error"]["code"] == "interrupted"
