# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs and their events in SQLite: what was acknowledged is there after a crash."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timo_backend.database import Database, marks
from timo_backend.errors import BackendError, unknown_job
from timo_backend.gone import NOBODY, Gone
from timo_backend.history import History
from timo_backend.protocol import dumps
from timo_backend.settings import DEFAULT
from timo_backend.states import ACTIVE, Happening, State, advance

MOST_CRASHES = 3
"""So often a job goes on by itself after a crash of its worker or server."""


@dataclass(frozen=True)
class Job:
    """One row: a spec in the queue and what became of it. Times in seconds since 1970-01-01 UTC."""

    id: str
    task: str
    spec: dict[str, Any]
    state: State
    attempt: int
    created: float
    started: float | None
    ended: float | None
    fraction: float
    message: str
    error: dict[str, Any] | None
    summary: dict[str, Any] | None
    last_seq: int
    priority: int
    place: float
    parent: str | None
    owner: str
    roots: list[str] | None
    gpu: str | None
    device: str | None

    def to_dict(self) -> dict[str, Any]:
        """The job as it stands in the reply to ``jobs``."""
        told = {name: value for name, value in self.__dict__.items() if name not in ("owner", "roots")}
        return {**told, "state": self.state.value}


_COLUMNS = (
    "id, task, spec, state, attempt, created, started, ended, fraction, message, error, summary, last_seq,"
    " priority, place, parent, owner, roots, gpu, device"
)


class Store:
    """The jobs of one home; ``history`` has their events, ``gone`` those that were removed.

    Args:
        path: The database file; made if it is not there.

    Raises:
        StoreError, HomeError: As ``Database``.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path)
        self.history = History(self._db)
        self.gone = Gone(self._db)

    def close(self) -> None:
        """Close the database; what was committed stays."""
        self._db.close()

    # jobs ----------------------------------------

    def submit(
        self,
        task: str,
        spec: Mapping[str, Any],
        key: str,
        *,
        owner: str = DEFAULT,
        roots: Sequence[str] | None = None,
        parent: str | None = None,
        gpu: str | None = None,
    ) -> tuple[Job, bool]:
        """Put a job into the queue, on disk when this returns; and whether it is new.

        The same ``key`` of an owner gives the same job, whatever task and spec come with it.

        Args:
            task: Its name.
            spec: Its parameters.
            key: The client's.
            owner: Whose job it is.
            roots: The folders that it may use, None for all.
            parent: The job that this one tries again.
            gpu: The id of the GPU that it shall run on; None: any.
        """
        ident, now = uuid.uuid4().hex[:12], time.time()
        with self._db.transaction(durable=True):
            if known := self.find(owner, key):
                return known, False
            self._db.execute(
                "INSERT INTO jobs (id, owner, key, task, spec, roots, state, attempt, created, parent)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
                (ident, owner, key, task, dumps(spec), dumps(roots), State.QUEUED.value, now, parent),
            )
            self._db.execute("UPDATE jobs SET place = number, gpu = ? WHERE id = ?", (gpu, ident))
            self.history.add(ident, [("state", dumps(_state_body(State.QUEUED, 1)), now)])
        return self.job(ident), True

    def find(self, owner: str, key: str) -> Job | None:
        """The job that an owner submitted with a key."""
        row = self._db.execute("SELECT id FROM jobs WHERE owner = ? AND key = ?", (owner, key)).fetchone()
        return None if row is None else self.job(row[0])

    def job(self, ident: str) -> Job:
        """One job.

        Raises:
            BackendError: There is none of this id (``unknown_job``).
        """
        query = f"SELECT {_COLUMNS} FROM jobs WHERE id = ? AND owner != ?"  # noqa: S608
        row = self._db.execute(query, (ident, NOBODY)).fetchone()
        if row is None:
            raise unknown_job(ident)
        return _job(row)

    def jobs(self, limit: int = 200, owner: str = DEFAULT, before: str | None = None) -> Iterator[Job]:
        """The jobs of an owner, newest first; those older than one, where it is named."""
        older, values = "", [owner]
        if before is not None:
            older = (
                "AND number < coalesce((SELECT number FROM jobs WHERE id = ?),"
                " (SELECT number FROM removed WHERE id = ?))"
            )
            values += [before, before]
        query = f"SELECT {_COLUMNS} FROM jobs WHERE owner = ? {older} ORDER BY number DESC LIMIT ?"  # noqa: S608
        return map(_job, self._db.execute(query, (*values, limit)))

    def queued(self) -> Iterator[tuple[str, str, str | None]]:
        """The jobs that wait for their turn, in that order: id, the spec's ``device``, chosen GPU."""
        query = (
            "SELECT id, coalesce(json_extract(spec, '$.device'), 'auto'), gpu FROM jobs WHERE state = ?"
            " ORDER BY priority DESC, place"
        )
        return self._db.execute(query, (State.QUEUED.value,))

    def named(self, field: str, path: str, but: Collection[str]) -> bool:
        """Whether a job, but for some, has this path in a field of its spec."""
        query = f"SELECT 1 FROM jobs WHERE json_extract(spec, ?) = ? AND id NOT IN ({marks(but)}) LIMIT 1"  # noqa: S608
        return self._db.execute(query, (f"$.{field}", path, *but)).fetchone() is not None

    def shrink(self) -> Iterator[int]:
        """Remove what removed jobs told, and give the disk back the room; how many bytes, after each step."""
        yield from self.gone.sweep()
        yield from self._db.shrink()

    # states ----------------------------------------

    def advance(
        self,
        ident: str,
        happening: Happening,
        *,
        error: Mapping[str, Any] | None = None,
        summary: Mapping[str, Any] | None = None,
        crashed: bool = False,
        device: str | None = None,
    ) -> State | None:
        """Change a job's state as ``states.advance`` says, and record the event, in one durable step.

        Args:
            ident: The job.
            happening: What has happened to it.
            error: Why, where it fails with this.
            summary: What came of it, where it succeeds with this.
            crashed: That it is queued again counts as one more crash; another needs another checkpoint.
            device: What it is started on, where it starts with this.

        Returns:
            The new state; None where this cannot happen in the job's state, which then stays as it is.
        """
        with self._db.transaction(durable=True):
            job = self.job(ident)
            new = advance(job.state, happening)
            if new is None:
                return None
            now = time.time()
            attempt = job.attempt + (happening in (Happening.REQUEUE, Happening.RESUME))
            failed = error if new is State.FAILED else None
            done = summary if new is State.SUCCEEDED else None
            device = device if new is State.STARTING else job.device
            changed = self._db.execute(
                "UPDATE jobs SET state = ?, attempt = ?, started = ?, ended = ?, error = ?, summary = ?,"
                " fraction = ?, crashes = crashes + ?, kept = CASE WHEN ? THEN -1 ELSE kept END, device = ?"
                " WHERE id = ? AND state = ?",
                (
                    new.value,
                    attempt,
                    now if new is State.STARTING else job.started,
                    now if new.final else None,
                    None if failed is None else dumps(failed),
                    None if done is None else dumps(done),
                    1.0 if new is State.SUCCEEDED else job.fraction,
                    crashed,
                    crashed,
                    device,
                    ident,
                    job.state.value,
                ),
            ).rowcount
            if changed != 1:
                return None
            body = _state_body(new, attempt, failed, done, device)
            self.history.add(ident, [("state", dumps(body), now)])
        return new

    def order(self, ident: str, priority: int | None, before: str | None) -> Job:
        """Give a job that waits another place in the queue; the job then.

        Args:
            ident: The job.
            priority: Jobs with a higher one come first; None leaves it as it is.
            before: The job that it shall be just before, whose priority it takes; None leaves it where it is.

        Raises:
            BackendError: One of them doesn't wait (``job_not_waiting``).
        """
        with self._db.transaction(durable=True):
            self._demand_waiting(self.job(ident))
            if priority is not None:
                self._db.execute("UPDATE jobs SET priority = ? WHERE id = ?", (priority, ident))
            if before is not None and before != ident:
                other = self.job(before)
                self._demand_waiting(other)
                query = "UPDATE jobs SET place = ?, priority = ? WHERE id = ?"
                self._db.execute(query, (self._place_before(before, ident), other.priority, ident))
        return self.job(ident)

    def _place_before(self, before: str, moving: str) -> float:
        """A place between a job and the one before it, where no other job is."""
        query = "SELECT max(place) FROM jobs WHERE place < ? AND id != ?"
        for _ in range(2):
            place = self.job(before).place
            (below,) = self._db.execute(query, (place, moving)).fetchone()
            between = place - 1 if below is None else (below + place) / 2
            if between not in (below, place):
                break
            # No number is left between them: all get whole ones again.
            idents = self._db.execute("SELECT id FROM jobs ORDER BY place, number").fetchall()
            rows = ((number, ident) for number, (ident,) in enumerate(idents))
            self._db.executemany("UPDATE jobs SET place = ? WHERE id = ?", rows)
        return float(between)

    @staticmethod
    def _demand_waiting(job: Job) -> None:
        if job.state not in (State.QUEUED, State.PAUSED):
            raise BackendError(
                "job_not_waiting",
                f"Job '{job.id}' does not wait in the queue: it is {job.state.value}.",
                "List the jobs to see those that wait.",
            )

    def want_end(self, ident: str) -> None:
        """Note that a training shall end soon, with the best of what it has learnt."""
        with self._db.transaction(durable=True):
            self._db.execute("UPDATE jobs SET enough = 1 WHERE id = ?", (ident,))

    def wants_end(self, ident: str) -> bool:
        """Whether ``want_end`` was called for a job."""
        return bool(self._db.execute("SELECT enough FROM jobs WHERE id = ?", (ident,)).fetchone()[0])

    def keep(self, ident: str) -> None:
        """Note that a job would go on from a checkpoint that came after its last crash."""
        with self._db.transaction(durable=True):
            self._db.execute("UPDATE jobs SET kept = 1 WHERE id = ?", (ident,))

    def settle_lost(self, ident: str, reason: Mapping[str, Any], *, crashed: bool) -> State:
        """Settle a job whose worker is gone without a word: it is queued again, or has failed; its state.

        It goes on where it has left a checkpoint; after a crash only if it came further than at the crash
        before, and at most ``MOST_CRASHES`` times. One that was being cancelled is cancelled.
        """
        self.advance(ident, Happening.LOST)
        query = "SELECT kept, crashes FROM jobs WHERE id = ?"
        kept, crashes = self._db.execute(query, (ident,)).fetchone()
        if kept and (not crashed or (kept > 0 and crashes < MOST_CRASHES)):
            self.advance(ident, Happening.REQUEUE, crashed=crashed)
        else:
            self.advance(ident, Happening.GIVE_UP, error=reason)
        return self.job(ident).state

    def recover(self, reason: Mapping[str, Any]) -> dict[str, State]:
        """Settle the jobs whose server ended while they ran; their states, by id."""
        states = [*(state.value for state in ACTIVE), State.INTERRUPTED.value]
        query = f"SELECT id FROM jobs WHERE state IN ({marks(states)}) ORDER BY number"  # noqa: S608
        idents = [row[0] for row in self._db.execute(query, states).fetchall()]
        return {ident: self.settle_lost(ident, reason, crashed=True) for ident in idents}


def _job(row: tuple[Any, ...]) -> Job:
    values = dict(zip(_COLUMNS.split(", "), row))
    for name in ("spec", "error", "summary", "roots"):
        values[name] = None if values[name] is None else json.loads(values[name])
    return Job(**{**values, "state": State(values["state"])})


def _state_body(
    state: State,
    attempt: int,
    error: Mapping[str, Any] | None = None,
    summary: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    return {
        "state": state.value,
        "attempt": attempt,
        "error": None if error is None else dict(error),
        "summary": None if summary is None else dict(summary),
        "device": device,
    }
