# SPDX-License-Identifier: GPL-3.0-or-later
"""How the database came to be as it is: each step once, in this order, never changed afterwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable


def _jobs_and_events(db: sqlite3.Connection) -> None:
    db.execute(
        """
        CREATE TABLE jobs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            key TEXT NOT NULL UNIQUE,
            task TEXT NOT NULL,
            spec TEXT NOT NULL,
            state TEXT NOT NULL,
            attempt INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL,
            started REAL,
            ended REAL,
            fraction REAL NOT NULL DEFAULT 0,
            message TEXT NOT NULL DEFAULT '',
            error TEXT,
            summary TEXT,
            last_seq INTEGER NOT NULL DEFAULT 0
        )
        """
    )
    db.execute("CREATE INDEX jobs_by_state ON jobs (state, number)")
    db.execute(
        """
        CREATE TABLE events (
            job TEXT NOT NULL REFERENCES jobs (id),
            seq INTEGER NOT NULL,
            kind TEXT NOT NULL,
            ts REAL NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (job, seq)
        ) WITHOUT ROWID
        """
    )


def _curves_and_artifacts(db: sqlite3.Connection) -> None:
    """Curves and finished outputs in tables of their own: they stay when a job's events are pruned."""
    db.execute(
        """
        CREATE TABLE metrics (
            job TEXT NOT NULL REFERENCES jobs (id),
            name TEXT NOT NULL,
            step INTEGER NOT NULL,
            value REAL,
            PRIMARY KEY (job, name, step)
        ) WITHOUT ROWID
        """
    )
    db.execute(
        """
        CREATE TABLE artifacts (
            job TEXT NOT NULL REFERENCES jobs (id),
            path TEXT NOT NULL,
            seq INTEGER NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (job, path)
        ) WITHOUT ROWID
        """
    )
    rows = db.execute("SELECT job, seq, kind, body FROM events WHERE kind IN ('metric', 'artifact')")
    for job, seq, kind, text in rows:
        match kind, json.loads(text):
            case "metric", {"name": str(name), "step": int(step), "value": int() | float() | None as value}:
                db.execute("INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?)", (job, name, step, value))
            case "artifact", {"path": str(path)}:
                db.execute("INSERT OR REPLACE INTO artifacts VALUES (?, ?, ?, ?)", (job, path, seq, text))
    # An attempt has its number from when it is queued, not from when it starts.
    db.execute("UPDATE jobs SET attempt = 1 WHERE attempt = 0")


def _going_on(db: sqlite3.Connection) -> None:
    """What it takes to go on with a job whose worker or server ended."""
    db.execute("ALTER TABLE jobs ADD COLUMN kept INTEGER NOT NULL DEFAULT 0")  # a checkpoint
    db.execute("ALTER TABLE jobs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE jobs ADD COLUMN makes_new INTEGER")  # which nobody asks any more


def _controls(db: sqlite3.Connection) -> None:
    """What an analyst wants of a job: its place in the queue, its end before all is learnt, another try."""
    db.execute("ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE jobs ADD COLUMN place REAL")
    db.execute("UPDATE jobs SET place = number")
    db.execute("ALTER TABLE jobs ADD COLUMN enough INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE jobs ADD COLUMN parent TEXT")
    db.execute("DROP INDEX jobs_by_state")
    db.execute("CREATE INDEX jobs_by_state ON jobs (state, priority DESC, place)")


def _owners(db: sqlite3.Connection) -> None:
    """Whose a job is, and which folders it may use; a key is one owner's, which takes a new table."""
    db.execute(
        """
        CREATE TABLE owned (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            owner TEXT NOT NULL DEFAULT 'default',
            key TEXT NOT NULL,
            task TEXT NOT NULL,
            spec TEXT NOT NULL,
            roots TEXT NOT NULL DEFAULT 'null',
            state TEXT NOT NULL,
            attempt INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL,
            started REAL,
            ended REAL,
            fraction REAL NOT NULL DEFAULT 0,
            message TEXT NOT NULL DEFAULT '',
            error TEXT,
            summary TEXT,
            last_seq INTEGER NOT NULL DEFAULT 0,
            kept INTEGER NOT NULL DEFAULT 0,
            crashes INTEGER NOT NULL DEFAULT 0,
            makes_new INTEGER,
            priority INTEGER NOT NULL DEFAULT 0,
            place REAL,
            enough INTEGER NOT NULL DEFAULT 0,
            parent TEXT,
            UNIQUE (owner, key)
        )
        """
    )
    names = (
        "number, id, key, task, spec, state, attempt, created, started, ended, fraction, message, error,"
        " summary, last_seq, kept, crashes, makes_new, priority, place, enough, parent"
    )
    db.execute(f"INSERT INTO owned ({names}) SELECT {names} FROM jobs")  # noqa: S608 - the names above
    db.execute("DROP TABLE jobs")
    db.execute("ALTER TABLE owned RENAME TO jobs")
    db.execute("CREATE INDEX jobs_by_state ON jobs (state, priority DESC, place)")


def _gpus(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE jobs ADD COLUMN gpu TEXT")  # the analyst's choice
    db.execute("ALTER TABLE jobs ADD COLUMN device TEXT")  # what it was started on


def _removals(db: sqlite3.Connection) -> None:
    """The jobs that were removed, by their former numbers, and the files of theirs that are yet to go."""
    db.execute(
        "CREATE TABLE removed (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL)"
    )
    db.execute("CREATE INDEX removed_by_owner ON removed (owner)")
    db.execute("CREATE TABLE litter (path TEXT PRIMARY KEY) WITHOUT ROWID")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _jobs_and_events,
    _curves_and_artifacts,
    _going_on,
    _controls,
    _owners,
    _gpus,
    _removals,
)
"""Numbered from 1; ``PRAGMA user_version`` says how many a database has seen."""
