# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever becomes of a worker: its job ends as designed and in time, nothing is left, the next one runs."""

import os
import signal
import time

import pytest

from tests.timo_backend import server_program
from tests.timo_backend.conftest import ServerProcess, final, wait_for, wait_until_gone, wait_until_running
from tests.timo_backend.faults.checks import demand_nothing_left
from tests.timo_backend.faults.counts import count
from timo_backend import process, worker

TERM_AFTER_S = {"predict": 1.0, "finetune": 5.0}
KILL_AFTER_S = 5.0
HUNG_S = 30.0
AT_ONCE_S = 2.0
SLOW_S = 8.0
"""What a machine under load may add to a stated time."""


def test_the_times_are_those_of_the_design():
    assert (process.GRACE_DEFAULT_S, process.GRACE_S) == (1.0, {"finetune": 5.0, "pretrain": 5.0})
    assert process.KILL_AFTER_S == KILL_AFTER_S
    assert process.QUIET_S + process.HUNG_S == HUNG_S
    assert worker.BEAT_S + process.LOOK_S < process.QUIET_S, "one that works is not taken for a quiet one"


@pytest.fixture
def patient(home):
    """A server that waits for a worker that hangs as long as the product does."""
    running = ServerProcess(home).start(patient=True)
    yield running
    running.kill()


def submit(client, spec, act, task="predict"):
    """A job, one that waits behind it, and the pid of the first one's worker once its children are there."""
    if task == "predict":
        job = client.submit(task, spec(act))
    else:
        given = {"series": ["/series"], "labels": f"/acts/{act}", "class_field": "kind"}
        job = client.submit(task, {**given, "out": spec(act)["out"]})
    after = client.submit("predict", spec("succeed"))
    pid = wait_until_running(client, job)
    last = "all are there" if act.startswith("stubborn") else "child "
    wait_for(client, job, lambda e: e.kind == "log" and e.body["message"].startswith(last))
    return job, after, pid


def look_on(server, client, job, after, pid, begun, within):
    """The body that ended the job, and after how many seconds: within so many; the next one runs."""
    ended = wait_for(client, job, lambda event: event.final)
    wait_until_gone(pid)
    assert final(client, after)["state"] == "succeeded"
    demand_nothing_left(server.home)
    took = ended.ts - begun
    assert took < within + SLOW_S
    return ended.body, took


def strike(server, client, spec, fault, act, within):
    """Send a signal to a worker: it fails its job, within so many seconds."""
    job, after, pid = submit(client, spec, act)
    begun = time.time()
    os.kill(pid, fault)
    ended, _ = look_on(server, client, job, after, pid, begun, within)
    assert (ended["state"], ended["error"]["code"]) == ("failed", "worker_killed")
    named = signal.SIGKILL if fault == signal.SIGSTOP else fault  # the server ended one that hung
    assert ended["error"]["detail"]["signal"] == named.name


@pytest.mark.parametrize(
    ("fault", "act", "within"),
    [
        (signal.SIGKILL, "child", AT_ONCE_S),
        (signal.SIGSEGV, "child", AT_ONCE_S),
        (signal.SIGSTOP, "child", server_program.QUIET_S + server_program.HUNG_S),
        (signal.SIGKILL, "orphan", AT_ONCE_S),
    ],
)
def test_a_worker_that_is_struck_fails_its_job_and_the_next_one_runs(
    server, client, spec, fault, act, within
):
    for _ in range(count(short=1, all=5)):
        strike(server, client, spec, fault, act, within)


@pytest.mark.slow
def test_a_worker_that_was_stopped_is_ended_after_half_a_minute(patient, spec):
    with patient.client() as client:
        strike(patient, client, spec, signal.SIGSTOP, "child", HUNG_S)


@pytest.mark.parametrize(
    ("task", "act", "killed"),
    [
        ("predict", "stubborn", False),  # which ends itself when SIGTERM did not
        ("predict", "stubborn-deaf", True),
        pytest.param("finetune", "stubborn-deaf", True, marks=pytest.mark.slow),
    ],
)
def test_a_worker_that_ignores_sigterm_ends_with_all_its_children_when_it_is_cancelled(
    server, client, spec, task, act, killed
):
    for _ in range(count(short=1, all=5)):
        job, after, pid = submit(client, spec, act, task)
        os.kill(pid, signal.SIGTERM)  # it goes on
        stated = TERM_AFTER_S[task] + (KILL_AFTER_S if killed else worker.AFTER_TERM_S)
        begun = time.time()
        assert client.cancel(job) == "cancelling"
        ended, took = look_on(server, client, job, after, pid, begun, stated)
        assert ended["state"] == "cancelled" and took >= stated, "it has its time to clean up"


@pytest.mark.slow
def test_a_worker_that_was_stopped_can_be_cancelled(patient, spec):
    with patient.client() as client:
        for _ in range(count(short=1, all=5)):
            job, after, pid = submit(client, spec, "child")
            os.kill(pid, signal.SIGSTOP)
            begun, stated = time.time(), TERM_AFTER_S["predict"] + KILL_AFTER_S
            client.cancel(job)
            ended, took = look_on(patient, client, job, after, pid, begun, stated)
            assert ended["state"] == "cancelled" and took >= stated


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
