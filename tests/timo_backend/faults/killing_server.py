# SPDX-License-Identifier: GPL-3.0-or-later
"""The real server that ends by SIGKILL when it passes a named point for the n-th time.

    python -m tests.timo_backend.faults.killing_server HOME POINT PASS

The product knows nothing of the points: they are put around its calls from here, by name.
"""

import asyncio
import functools
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from tests.timo_backend import server_program
from timo_backend import auth, gone, history, outbox, process, removal, server, store

WORKER = Path(server_program.__file__).with_name("task_worker.py")

POINTS = (
    # The first ones are those of a short run.
    "submit committed",
    "succeed before commit",
    "recover half a job",
    "order half written",
    "migration before commit",
    "submit received",
    "submit before insert",
    "submit before commit",
    "submit answered",
    "start before commit",
    "start committed",
    "worker to be started",
    "worker started",
    "running before commit",
    "running committed",
    "events before commit",
    "events committed",
    "events sent",
    "succeed committed",
    "cancel before commit",
    "cancel committed",
    "prune before commit",
    "removal before commit",
    "removal committed",
    "removal half deleted",
    "sweep before commit",
    "backup before it has its name",
    "migration committed",
    "recover between two jobs",
    "connection file before it has its name",
    "connection file has its name",
    "connection file to be removed",
)
ONCE = frozenset(
    {
        "recover half a job",
        "recover between two jobs",
        "backup before it has its name",
        "connection file before it has its name",
        "connection file has its name",
        "connection file to be removed",
    }
)
"""Points that a server passes once."""
OF_A_REMOVAL = frozenset(
    {"removal before commit", "removal committed", "removal half deleted", "sweep before commit"}
)
OF_AN_OLDER_DATABASE = frozenset(
    {
        "recover half a job",
        "recover between two jobs",
        "migration before commit",
        "migration committed",
        "backup before it has its name",
    }
)

_wanted, _left = "", 0


def here(point):
    """This is the point."""
    global _left  # noqa: PLW0603
    assert point in POINTS
    if point == _wanted:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Connection(sqlite3.Connection):
    """One that knows what a transaction is about when it is committed."""

    about = ""

    def execute(self, query, values=()):
        if query == "BEGIN IMMEDIATE":
            self.about = ""
        elif query.startswith("INSERT INTO jobs"):
            here("submit before insert")
            self.about = "submit"
        elif query.startswith("UPDATE jobs SET state"):
            names = {"starting": "start", "succeeded": "succeed", "cancelling": "cancel"}
            self.about = names.get(values[0], values[0])
        elif query.startswith("INSERT INTO removed"):
            self.about = "removal"
        elif query.startswith(("DELETE FROM events WHERE job = ?1", "DELETE FROM metrics WHERE job = ?1")):
            self.about = "sweep"
        elif query.startswith("DELETE FROM events"):
            self.about = "prune"
        elif query.startswith("PRAGMA user_version ="):
            self.about = "migration"
        elif query == "COMMIT":
            self.pass_by(f"{self.about} before commit")
        done = super().execute(query, values)
        if query == "COMMIT":
            known = {"interrupted": "recover half a job", "failed": "recover between two jobs"}
            self.pass_by(known.get(self.about, f"{self.about} committed"))
        return done

    def executemany(self, query, rows):
        if query.startswith("INSERT INTO events"):
            self.about = self.about or "events"
        return super().executemany(query, rows)

    @staticmethod
    def pass_by(point):
        if point in POINTS:
            here(point)


class Orders:
    """A worker's standard input; the server may end in the middle of a line."""

    def __init__(self, pipe):
        self._pipe = pipe

    def write(self, order):
        self._pipe.write(order[: len(order) // 2])
        self._pipe.flush()
        here("order half written")
        self._pipe.write(order[len(order) // 2 :])

    def flush(self):
        self._pipe.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.close()


def around(owner, name, before=None, after=None):
    """Put points before and after a call."""
    call = getattr(owner, name)

    @functools.wraps(call)
    def called(*arguments, **named):
        if before:
            here(before)
        done = call(*arguments, **named)
        if after:
            here(after)
        return done

    setattr(owner, name, called)


def popen(*arguments, **named):
    here("worker to be started")
    started = subprocess.Popen(*arguments, **named)
    here("worker started")
    started.stdin = Orders(started.stdin)
    return started


def replace(part, target):
    if target.name == "connection.json":
        here("connection file before it has its name")
    elif target.suffix == ".bak":
        here("backup before it has its name")
    os.replace(part, target)  # noqa: PTH105
    if target.name == "connection.json":
        here("connection file has its name")


def main(home, point, passes):
    global _wanted, _left
    _wanted, _left = point, passes
    assert point in POINTS
    sqlite3.connect = functools.partial(sqlite3.connect, factory=Connection)
    process.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": popen})
    Path.replace = replace
    around(store.Store, "submit", before="submit received")
    around(outbox.Outbox, "tell", after="events sent")
    around(auth.Home, "remove_connection", before="connection file to be removed")
    answer = outbox.Outbox.answer

    def answered(self, peer, message):
        answer(self, peer, message)
        if "new" in message.body:
            here("submit answered")

    outbox.Outbox.answer = answered
    around(removal, "delete", after="removal half deleted")
    if point.startswith("sweep"):
        gone.STEP = 2
        server.PRUNE_S = 0.05
    if point.startswith("prune"):
        history.MOST_EVENTS, history.STEP, history.RECENT_EVENTS = 20, 4, 5
        server.PRUNE_S = 0.05
    asyncio.run(server_program.serve(home, 1800.0, str(WORKER)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
