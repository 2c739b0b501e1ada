# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that were removed: at once for whoever asks, and bit by bit from the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from timo_backend.database import Database, marks

NOBODY = ""
"""Owns the jobs that are removed, and yet in the database since other rows name them."""
STEP = 500
"""Rows that one transaction removes: it holds up the server for some milliseconds."""
SAMPLE = 200
"""Events of a job that tell how large they are."""
ROW = 50
"""About the bytes of a row beside its text."""


class Gone:
    """The jobs that were removed.

    Args:
        database: Where they were.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, idents: Sequence[str], litter: Iterable[str]) -> None:
        """Remove jobs, in one durable step; what they told goes with ``sweep``.

        Args:
            idents: The jobs.
            litter: Paths that are to be deleted, which ``litter`` tells of until ``forget_litter``.
        """
        these = marks(idents)
        with self._db.transaction(durable=True):
            self._db.execute(
                f"INSERT INTO removed SELECT number, id, owner FROM jobs WHERE id IN ({these})",  # noqa: S608
                idents,
            )
            self._db.executemany("INSERT OR IGNORE INTO litter VALUES (?)", ((path,) for path in litter))
            self._db.execute(f"DELETE FROM artifacts WHERE job IN ({these})", idents)  # noqa: S608
            self._db.execute(
                "UPDATE jobs SET owner = ?, key = id, spec = '{}', roots = 'null', error = NULL,"  # noqa: S608
                f" summary = NULL WHERE id IN ({these})",
                (NOBODY, *idents),
            )

    def knows(self, ident: str, owner: str) -> bool:
        """Whether there was such a job of an owner's."""
        query = "SELECT 1 FROM removed WHERE id = ? AND owner = ?"
        return self._db.execute(query, (ident, owner)).fetchone() is not None

    def count(self, owner: str) -> int:
        """How many jobs of an owner were ever removed."""
        query = "SELECT count(*) FROM removed WHERE owner = ?"
        return int(self._db.execute(query, (owner,)).fetchone()[0])

    def sweep(self) -> Iterator[int]:
        """Remove what removed jobs told, in steps that free no disk yet: other things can be done between."""
        for (ident,) in self._db.execute("SELECT id FROM jobs WHERE owner = ?", (NOBODY,)).fetchall():
            for query in (
                "DELETE FROM events WHERE job = ?1 AND seq IN"
                " (SELECT seq FROM events WHERE job = ?1 ORDER BY seq LIMIT ?2)",
                "DELETE FROM metrics WHERE job = ?1 AND (name, step) IN"
                " (SELECT name, step FROM metrics WHERE job = ?1 ORDER BY name, step LIMIT ?2)",
            ):
                more = True
                while more:
                    with self._db.transaction(durable=False):
                        more = self._db.execute(query, (ident, STEP)).rowcount == STEP
                    yield 0
            with self._db.transaction(durable=False):
                self._db.execute("DELETE FROM jobs WHERE id = ?", (ident,))

    def litter(self) -> list[str]:
        """Paths that are to be deleted; what lies in a folder comes before it."""
        return [path for (path,) in self._db.execute("SELECT path FROM litter ORDER BY path DESC")]

    def forget_litter(self, path: str) -> None:
        """It is deleted."""
        with self._db.transaction(durable=False):
            self._db.execute("DELETE FROM litter WHERE path = ?", (path,))

    def size_of(self, idents: Sequence[str]) -> int:
        """About how many bytes of the database jobs take: their first events stand for the others."""
        total = 0.0
        for ident in idents:
            spec, last = self._db.execute(
                "SELECT length(spec), last_seq FROM jobs WHERE id = ?", (ident,)
            ).fetchone()
            size, seq = self._db.execute(
                "SELECT total(length(body) + ?1), max(seq) FROM"
                " (SELECT seq, body FROM events WHERE job = ?2 ORDER BY seq LIMIT ?3)",
                (ROW, ident, SAMPLE),
            ).fetchone()
            (points,) = self._db.execute("SELECT count(*) FROM metrics WHERE job = ?", (ident,)).fetchone()
            total += ROW + spec + size * last / (seq or 1) + ROW * points
        return int(total)
