# SPDX-License-Identifier: GPL-3.0-or-later
"""Wherever a server is killed: the next one has each acknowledged job once, and a sound database."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.timo_backend.conftest import PATIENCE_S, ServerProcess, facts, wait_until_running
from tests.timo_backend.faults.checks import demand_nothing_left, demand_sound, demand_whole, told
from tests.timo_backend.faults.counts import count
from tests.timo_backend.faults.killing_server import OF_A_REMOVAL, OF_AN_OLDER_DATABASE, ONCE, POINTS
from timo_backend.client import Client
from timo_backend.errors import ConnectionFailed
from timo_backend.store import Store

ROOT = Path(__file__).parents[3]
OLDER = ROOT / "tests" / "data" / "stores" / "v1.sql"
ACTS = ["succeed-5", "hold", "succeed-5", "hold", "succeed-5", "hold"]


def trials():
    """Each point once, then each again: at its second pass, then at its third."""
    points = [point for point in POINTS if point not in OF_A_REMOVAL]
    for number in range(count(short=5, all=3 * len(points))):
        point = points[number % len(points)]
        yield pytest.param(
            point, 1 if point in ONCE else 1 + number // len(points) % 3, id=f"{point} {number}"
        )


class Analyst:
    """Submits jobs, cancels those that would run for ever, and notes what was acknowledged and seen."""

    def __init__(self, spec):
        self.submissions = {f"key {n}": ("predict", spec(act)) for n, act in enumerate(ACTS)}
        self.jobs = {}  # by key
        self.cancelled = set()
        self.seen = {}  # by job

    def work(self, client):
        """Until all have ended, or the server has."""
        for key, (task, spec) in self.submissions.items():
            self.jobs[key] = client.submit(task, spec, key=key)
        for job, act in zip(self.jobs.values(), ACTS):
            if act == "hold":
                wait_until_running(client, job)
                if client.cancel(job) == "cancelling":
                    self.cancelled.add(job)
            for event in client.events(job):
                self.seen.setdefault(job, []).append(event)


def run_until_killed(home, point, passes, analyst):
    """A server that ends at a point; its processes are gone when this returns."""
    program = "tests.timo_backend.faults.killing_server"
    server = subprocess.Popen(
        [sys.executable, "-m", program, str(home), point, str(passes)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if server.stdout.readline():
            try:
                with Client.connect(home, timeout=PATIENCE_S) as client:
                    client._settled = False  # it is not to wait for another server
                    analyst.work(client)
            except ConnectionFailed:
                pass
            else:
                server.terminate()
        assert server.wait(PATIENCE_S) == -signal.SIGKILL, "the server did not pass this point"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    demand_nothing_left(home)


@pytest.mark.parametrize(("point", "passes"), list(trials()))
def test_a_killed_server_loses_no_job_and_makes_none_twice(home, spec, point, passes):
    analyst = Analyst(spec)
    if point in OF_AN_OLDER_DATABASE:
        older_database(home)
    before = told(home) if point in OF_AN_OLDER_DATABASE else {}
    run_until_killed(home, point, passes, analyst)
    demand_sound(home)

    server = ServerProcess(home).start()
    try:
        with server.client() as client:
            jobs = {
                key: client.submit(task, spec, key=key) for key, (task, spec) in analyst.submissions.items()
            }
            assert {key: jobs[key] for key in analyst.jobs} == analyst.jobs
            assert sorted(row["id"] for row in client.jobs()) == sorted([*jobs.values(), *before])
            for key, act in zip(jobs, ACTS):
                if act == "hold":
                    client.cancel(jobs[key])
            for job in [*jobs.values(), *before]:
                wait_until_ended(client, job)
            for job in analyst.cancelled:
                assert client.job(job)["state"] == "cancelled"
        assert server.end() == 0
    finally:
        server.process.kill()
    demand_nothing_left(home)
    demand_sound(home)
    after = told(home)
    assert set(after) == {*jobs.values(), *before}
    for job, events in after.items():
        demand_whole(events)
        demand_kept(events, analyst.seen.get(job) or before.get(job, []))


class Tidy:
    """Removes jobs, and looks on."""

    def __init__(self, jobs):
        self.jobs = jobs

    def work(self, client):
        client.remove(self.jobs)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            client.jobs()
            time.sleep(0.02)


@pytest.mark.parametrize("point", sorted(OF_A_REMOVAL))
def test_a_server_killed_in_a_removal_has_removed_all_or_none(home, spec, point):
    server = ServerProcess(home).start()
    with server.client() as client:
        jobs = [client.submit("predict", spec("succeed-9")) for _ in range(4)]
        for job in jobs:
            wait_until_ended(client, job)
    assert server.end() == 0
    before = told(home)

    run_until_killed(home, point, 2 if "half" in point or "sweep" in point else 1, Tidy(jobs[:3]))
    demand_sound(home)
    left = jobs if point == "removal before commit" else jobs[3:]
    server.start()
    try:
        with server.client() as client:
            assert {row["id"] for row in client.jobs()} == set(left)
            assert {path.stem for path in (home / "logs").glob("*.log")} - {"server"} == set(left)
        assert server.end() == 0
    finally:
        server.process.kill()
    with closing(Store(home / "jobs.sqlite")) as store:
        list(store.shrink())
        assert store.gone.litter() == []
    demand_sound(home)
    assert told(home) == {job: before[job] for job in left}


def demand_kept(events, seen):
    """All that was told before is there as it was, but for what was pruned."""
    last = seen[-1].seq if seen else 0
    there = {event.seq for event in events if event.kind != "gap"}
    assert [fact for fact in facts(events) if fact[0] <= last and fact[1] != "gap"] == [
        fact for fact in facts(seen) if fact[0] in there and fact[1] != "gap"
    ]


def wait_until_ended(client, job):
    deadline = time.monotonic() + PATIENCE_S
    while client.job(job)["ended"] is None:
        assert time.monotonic() < deadline, f"job {job} does not end"
        time.sleep(0.02)


def older_database(home):
    """A home that a server of the first release has left."""
    home.mkdir(mode=0o700)
    with closing(sqlite3.connect(home / "jobs.sqlite")) as db:
        db.executescript(OLDER.read_text(encoding="utf-8"))
