# SPDX-License-Identifier: GPL-3.0-or-later
"""The database of every earlier version, as its own code wrote it: no row, and nothing in one, is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from timo_backend.migrations import MIGRATIONS
from timo_backend.store import Store

STORES = Path(__file__).parents[1] / "data" / "stores"
VERSIONS = range(1, len(MIGRATIONS))


def rows(path):
    """All rows of all tables, as dictionaries."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: [dict(row) for row in db.execute(f"SELECT * FROM {table}")] for table in tables}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_database_of_any_earlier_version_keeps_every_row(tmp_path, version):
    path = tmp_path / "jobs.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript((STORES / f"v{version}.sql").read_text(encoding="utf-8"))
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
    before = rows(path)
    Store(path).close()
    after = rows(path)
    assert rows(path.with_name(f"jobs.sqlite.v{version}.bak")) == before
    for job in before["jobs"]:
        if version == 1:  # it numbered an attempt when it started; now it has its number when it is queued
            job["attempt"] = max(job["attempt"], 1)
    for table, kept in before.items():
        now = [{name: row[name] for name in old} for row, old in zip(after[table], kept, strict=True)]
        assert key_sorted(now) == key_sorted(kept), table
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def key_sorted(table):
    return sorted(table, key=str)


def test_there_is_a_database_of_every_earlier_version():
    assert {path.name for path in STORES.iterdir()} == {f"v{version}.sql" for version in VERSIONS}
