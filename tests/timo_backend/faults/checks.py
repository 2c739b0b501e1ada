# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold whatever has happened to a server, its workers and its clients."""

import json
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.timo_backend.conftest import PATIENCE_S
from timo_backend import leftovers
from timo_backend.protocol import Event


def demand_whole(events):
    """A job's events: none is missing, none comes twice, and the last one alone ends it."""
    last = 0
    for event in events:
        first = event.body["first"] if event.kind == "gap" else event.seq
        assert first == last + 1, f"event {event.seq} comes after {last}"
        last = event.seq
    assert [event.seq for event in events if event.final] == [last]


def told(home):
    """The events in the database of a home without a server, by job."""
    with closing(sqlite3.connect(home / "jobs.sqlite")) as db:
        events = {job: [] for (job,) in db.execute("SELECT id FROM jobs")}
        for job, seq, kind, ts, body in db.execute("SELECT * FROM events ORDER BY job, seq"):
            events[job].append(Event(job, seq, kind, ts, json.loads(body)))
    return events


def demand_sound(home):
    """The database of a home without a server: what SQLite says of a copy, so that it stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        for path in home.glob("jobs.sqlite*"):
            shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / "jobs.sqlite")) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def demand_nothing_left(home):
    """Waits until no process of a worker of this home is there any more, its children included."""
    deadline = time.monotonic() + PATIENCE_S
    mark = leftovers.mark_of(home)
    while left := [process.pid for process in leftovers._marked(mark)]:
        assert time.monotonic() < deadline, f"processes {left} are still there"
        time.sleep(0.05)
