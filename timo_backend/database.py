# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQLite file of one home: opened for one server alone, and brought up to date without losing a row."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from timo_backend.errors import HomeError, StoreError
from timo_backend.migrations import MIGRATIONS

BUSY_S = 2.0  # a backup program may look at the file for a moment

SHRINK_PAGES = 250  # as many as hold up the server for some milliseconds


def marks(values: Collection[object]) -> str:
    """What stands for so many values in a statement."""
    return ", ".join("?" * len(values))


def is_full(error: sqlite3.Error) -> bool:
    """Whether the disk is full, in SQLite's own words: the code of an error is there from Python 3.11 on."""
    return "full" in str(error)


class Database:
    """One connection, used by one thread; no other process can open the file meanwhile.

    Args:
        path: The database file; made if it is not there. Before it is brought up to date a copy is left
            beside it, named after its version: ``jobs.sqlite.v1.bak``.

    Raises:
        StoreError: It cannot be opened, is damaged, or was written by a newer release; its disk is full.
        HomeError: Another program has it open (``server_running``).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            if "locked" in str(error):  # as in is_full
                raise HomeError(
                    "server_running",
                    f"Another program has the job database {path} open.",
                    "If it is a backend, use that one, or end it with `timo-backend stop`.",
                ) from error
            if is_full(error):
                raise StoreError(
                    "disk_full",
                    f"The disk that holds the job database {path} is full.",
                    "Make room on it, and try again.",
                    retryable=True,
                ) from error
            raise StoreError(
                "store_unreadable",
                f"The job database {path} cannot be opened: {error}.",
                "Move it away to begin with an empty one.",
            ) from error

    def execute(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """One statement."""
        return self._db.execute(query, values)

    def executemany(self, query: str, rows: Iterator[Sequence[Any]]) -> None:
        """One statement for each row."""
        self._db.executemany(query, rows)

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator[None]:
        """All or nothing of what is done in the block.

        Args:
            durable: Wait for the disk: it survives a power cut. Otherwise it survives a crash of the server.
        """
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have ended it
                self._db.execute("ROLLBACK")
            raise

    def shrink(self) -> Iterator[int]:
        """Give the disk back pages that hold nothing any more; how many bytes, after each step.

        A file that a release made which did not foresee it keeps its size, and uses them again.
        """
        (size,) = self._db.execute("PRAGMA page_size").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        while free:
            self._db.executescript(f"PRAGMA incremental_vacuum({SHRINK_PAGES})")  # execute frees one page
            (left,) = self._db.execute("PRAGMA freelist_count").fetchone()
            if left >= free:
                return
            yield (free - left) * size
            free = left
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close the file; what was committed stays."""
        self._db.close()

    def _open(self) -> None:
        # A second lock beside the home's: this one is on what must not have two writers.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file: it can get smaller again
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
        if sys.platform == "darwin":  # there fsync alone leaves it in the disk's cache
            self._db.execute("PRAGMA fullfsync = ON")
        self._db.execute("PRAGMA foreign_keys = OFF")  # a migration may put a new table in a table's place
        self._migrate()
        self._db.execute("PRAGMA foreign_keys = ON")

    def _migrate(self) -> None:
        seen: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if seen > len(MIGRATIONS):
            raise StoreError(
                "store_newer",
                f"The job database {self.path} was written by a newer release of the backend.",
                "Update the backend, or give it another home.",
            )
        if 0 < seen < len(MIGRATIONS):
            self._back_up(seen)
        for number, migration in enumerate(MIGRATIONS[seen:], start=seen + 1):
            with self.transaction(durable=True):
                migration(self._db)
                self._db.execute(f"PRAGMA user_version = {number}")

    def _back_up(self, version: int) -> None:
        """Copy by SQLite itself: a copy of the file would lack what still stands in the log beside it."""
        part = self.path.with_name(f"{self.path.name}.v{version}.part")
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(part)) as copy:
            self._db.backup(copy)
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        part.replace(part.with_suffix(".bak"))
