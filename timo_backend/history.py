# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs told: their events, and from these their curves and finished outputs."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from timo_backend.database import Database
from timo_backend.protocol import FINAL_STATES, dumps

MOST_EVENTS = 2_000_000
"""Of all jobs together; beyond it the oldest jobs' are pruned."""
RECENT_EVENTS = 10_000
"""Of a job that has not ended; these stay."""
LOG_EVENTS = 2000
"""A job's last lines, which stay."""
STEP = 500
"""Events that one transaction removes: it holds up the server for some milliseconds."""


class Record(NamedTuple):
    """One event as it is stored; ``body`` is JSON."""

    seq: int
    kind: str
    ts: float
    body: str

    @property
    def final(self) -> bool:
        """Whether the job has ended, or was removed, with this event."""
        return self.kind == "removed" or (
            self.kind == "state" and json.loads(self.body)["state"] in FINAL_STATES
        )


class History:
    """Events of all jobs, numbered from 1 within each.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self.most_events = MOST_EVENTS
        self._ever = -math.inf  # events that there had been when this was last pruned

    def append(self, job: str, events: Sequence[tuple[str, str, float]]) -> None:
        """Record what a worker told, ``(kind, body as JSON, ts)`` each, in one step."""
        with self._db.transaction(durable=False):
            self.add(job, events)

    def add(self, job: str, events: Sequence[tuple[str, str, float]]) -> None:
        """``append`` within a transaction."""
        last: int = self._db.execute("SELECT last_seq FROM jobs WHERE id = ?", (job,)).fetchone()[0]
        numbered = [(job, seq, *event) for seq, event in enumerate(events, last + 1)]
        self._db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
            ((ident, seq, kind, ts, body) for ident, seq, kind, body, ts in numbered),
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?)",
            (_point(job, body) for _, _, kind, body, _ in numbered if kind == "metric"),
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO artifacts VALUES (?, ?, ?, ?)",
            (
                (job, json.loads(body)["path"], n, body)
                for _, n, kind, body, _ in numbered
                if kind == "artifact"
            ),
        )
        self._db.execute("UPDATE jobs SET last_seq = ? WHERE id = ?", (last + len(events), job))
        progress = next((body for _, _, kind, body, _ in reversed(numbered) if kind == "progress"), None)
        if progress is not None:
            told = json.loads(progress)
            self._db.execute(
                "UPDATE jobs SET fraction = ?, message = ? WHERE id = ?",
                (told["fraction"], told["message"], job),
            )

    def records(self, job: str, after: int, limit: int) -> Iterator[Record]:
        """At most ``limit`` events of a job with numbers above ``after``, in order."""
        rows = self._db.execute(
            "SELECT seq, kind, ts, body FROM events WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?",
            (job, after, limit),
        )
        return itertools.starmap(Record, rows)

    def metrics(self, job: str) -> dict[str, list[tuple[int, float | None]]]:
        """The curves of a job by name, ``(step, value)`` each; of a step told twice the later value."""
        curves: dict[str, list[tuple[int, float | None]]] = {}
        rows = self._db.execute(
            "SELECT name, step, value FROM metrics WHERE job = ? ORDER BY name, step", (job,)
        )
        for name, step, value in rows:
            curves.setdefault(name, []).append((step, value))
        return curves

    def artifacts(self, job: str) -> list[dict[str, Any]]:
        """The finished outputs of a job, as they were told; of a path told twice the later."""
        rows = self._db.execute("SELECT body FROM artifacts WHERE job = ? ORDER BY seq", (job,))
        return [json.loads(body) for (body,) in rows]

    def prune(self) -> Iterator[int]:
        """Remove what is too much: of the jobs that come, newest first, after ``most_events`` are counted.

        A gap stands there afterwards.

        States and finished outputs stay, and so do curves (``metrics``), the last lines of each job, and the
        last events of one that has not ended.

        Yields:
            How many events went, after each step: other things can be done meanwhile.
        """
        (ever,) = self._db.execute("SELECT total(last_seq) FROM jobs").fetchone()  # quick, and no less
        if ever <= self.most_events or ever - self._ever < self.most_events // 100:
            return
        self._ever = ever
        jobs = self._db.execute("SELECT id, last_seq, ended FROM jobs ORDER BY number DESC").fetchall()
        kept = 0
        for job, last, ended in jobs:
            (count,) = self._db.execute("SELECT count(*) FROM events WHERE job = ?", (job,)).fetchone()
            kept += count
            if kept > self.most_events:
                stop = last + 1 if ended is not None else last - RECENT_EVENTS
                for first, end in list(self._runs(job, stop)):
                    for start in range(first, end + 1, STEP):
                        gone = self._replace_by_gap(job, first, min(start + STEP - 1, end))
                        kept -= gone
                        yield gone
            yield 0

    def _runs(self, job: str, stop: int) -> Iterator[tuple[int, int]]:
        """First and last number of events below ``stop`` that follow each other and may go."""
        row = self._db.execute(
            "SELECT seq FROM events WHERE job = ? AND kind = 'log' ORDER BY seq DESC LIMIT 1 OFFSET ?",
            (job, LOG_EVENTS),
        ).fetchone()
        kept = self._db.execute(
            "SELECT seq FROM events WHERE job = ? AND seq < ? AND (kind IN ('state', 'artifact')"
            " OR kind = 'log' AND seq > ?) ORDER BY seq",
            (job, stop, row[0] if row else 0),
        )
        first = 1
        for (seq,) in [*kept.fetchall(), (stop,)]:
            if seq - first > 1:  # one alone would be no less as a gap
                yield first, seq - 1
            first = seq + 1

    def _replace_by_gap(self, job: str, first: int, last: int) -> int:
        with self._db.transaction(durable=False):
            where, values = "WHERE job = ? AND seq BETWEEN ? AND ?", (job, first, last)
            count, seq, ts = self._db.execute(
                f"SELECT count(*), max(seq), max(ts) FROM events {where}",  # noqa: S608
                values,
            ).fetchone()
            if count <= 1:
                return 0
            self._db.execute(f"DELETE FROM events {where}", values)  # noqa: S608
            self._db.execute(
                "INSERT INTO events VALUES (?, ?, 'gap', ?, ?)", (job, seq, ts, dumps({"first": first}))
            )
            return int(count) - 1


def _point(job: str, body: str) -> tuple[str, str, int, float | None]:
    told = json.loads(body)
    return job, told["name"], told["step"], told["value"]
