# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs told is kept: through a new release of the database, and when there is too much of it."""

import itertools
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timo_backend import history as history_module
from timo_backend.database import Database
from timo_backend.errors import HomeError
from timo_backend.migrations import MIGRATIONS
from timo_backend.states import Happening, State
from timo_backend.store import Store

STORES = Path(__file__).parents[1] / "data" / "stores"


def event(kind, number=0):
    """What a worker tells, as the store takes it."""
    body = {
        "progress": {"fraction": 0.5, "message": "Mapping", "eta_s": None},
        "metric": {"name": "loss", "value": 1.0 / (number + 1), "step": number},
        "log": {"level": "info", "message": f"line {number}"},
        "artifact": {"path": f"/map{number}.tif", "kind": "map", "size": 1, "sha256": "0"},
    }[kind]
    return kind, json.dumps(body), float(number)


def rows(path, table):
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]


@pytest.fixture
def old(tmp_path):
    """A home's database as the first release wrote it."""
    path = tmp_path / "jobs.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript((STORES / "v1.sql").read_text(encoding="utf-8"))
    return path


def test_an_older_database_keeps_every_row_and_a_copy_of_it_is_left(old):
    jobs, events = rows(old, "jobs"), rows(old, "events")
    Store(old).close()
    assert rows(old, "events") == events
    now = [{name: row[name] for name in jobs[0]} for row in rows(old, "jobs")]
    assert now == [{**job, "attempt": 1} for job in jobs]
    assert all(row["place"] == row["number"] for row in rows(old, "jobs"))
    copy = old.with_name("jobs.sqlite.v1.bak")
    assert (rows(copy, "jobs"), rows(copy, "events")) == (jobs, events)
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_an_older_database_s_curves_and_outputs_are_there_afterwards(old):
    with closing(Store(old)) as store:
        done = next(job for job in store.jobs() if job.state is State.SUCCEEDED)
        assert store.history.metrics(done.id) == {"loss": [(1, 0.75), (2, 0.5)]}
        assert store.history.artifacts(done.id) == [{"path": "/data/map.tif", "kind": "map"}]


def test_a_migration_that_is_interrupted_leaves_the_older_database(old, monkeypatch):
    before = rows(old, "jobs")

    def broken(db):
        db.execute("UPDATE jobs SET key = number")
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("timo_backend.database.MIGRATIONS", (*MIGRATIONS[:1], broken))
    with pytest.raises(Exception, match="disk I/O error"):
        Store(old)
    assert rows(old, "jobs") == before


def test_one_server_alone_opens_a_database(tmp_path):
    with closing(Database(tmp_path / "jobs.sqlite")):
        with pytest.raises(HomeError) as caught:
            Database(tmp_path / "jobs.sqlite")
        assert caught.value.code == "server_running"
    Database(tmp_path / "jobs.sqlite").close()


def test_of_a_step_told_twice_the_later_value_counts(tmp_path):
    with closing(Store(tmp_path / "jobs.sqlite")) as store:
        job = store.submit("predict", {}, "k")[0].id
        store.history.append(job, [event("metric", n) for n in range(5)])
        again = json.dumps({"name": "loss", "value": None, "step": 3})
        store.history.append(job, [("metric", again, 0.0), event("metric", 5)])
        curve = store.history.metrics(job)["loss"]
        assert [step for step, _ in curve] == list(range(6))
        assert curve[3] == (3, None)


jobs_told = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["progress", "metric", "log", "artifact"]), max_size=40), st.booleans()
    ),
    min_size=1,
    max_size=4,
)


@given(jobs_told, st.integers(0, 60), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_pruning_leaves_a_history_without_holes(tmp_path_factory, told, most, step):
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"STEP": step, "LOG_EVENTS": 3, "RECENT_EVENTS": 5}.items():
            patch.setattr(history_module, name, value)
        with closing(Store(folder / "jobs.sqlite")) as store:
            for number, (kinds, ends) in enumerate(told):
                job = store.submit("predict", {}, str(number))[0].id
                store.advance(job, Happening.START)
                store.history.append(job, [event(kind, n) for n, kind in enumerate(kinds)])
                if ends:
                    store.advance(job, Happening.FAIL, error={})
            before = {job.id: list(store.history.records(job.id, 0, 1000)) for job in store.jobs()}
            curves = {job: store.history.metrics(job) for job in before}
            store.history.most_events = most
            for _ in range(2):  # the second finds the gaps of the first
                standing = {job.id: list(store.history.records(job.id, 0, 1000)) for job in store.jobs()}
                for _ in store.history.prune():
                    pass
                demand_pruned(store, standing, most)
            left = 0
            for job in store.jobs():
                after, now = 0, list(store.history.records(job.id, 0, 1000))
                left += len(now)
                for record in now:
                    first = json.loads(record.body)["first"] if record.kind == "gap" else record.seq
                    assert first == after + 1
                    after = record.seq
                assert after == job.last_seq
                kept = [record for record in before[job.id] if record.kind in ("state", "artifact")]
                kept += [record for record in before[job.id] if record.kind == "log"][-3:]
                kept += [] if job.state.final else before[job.id][-5:]
                assert set(kept) <= set(now)
                assert store.history.metrics(job.id) == curves[job.id]
            if sum(map(len, before.values())) <= most:
                assert left == sum(map(len, before.values())), "there was room for all"


def demand_pruned(store, standing, most):
    """Newest jobs first: what came before there were too many events is whole, the rest is pruned."""
    counted = 0
    for job in store.jobs():
        counted += len(standing[job.id])
        now = list(store.history.records(job.id, 0, 1000))
        if counted <= most:
            assert now == standing[job.id]
            continue
        counted -= len(standing[job.id]) - len(now)
        if job.state.final:
            gone = ["progress", "metric", "gap"]
            pairs = itertools.pairwise(now)
            assert not any(a.kind in gone and b.kind in gone for a, b in pairs), "they are one gap"


def test_a_client_reads_over_a_gap(server, client, spec):
    job = client.submit("predict", spec("succeed-3000"))
    whole = list(client.events(job))
    server.end()
    with closing(Store(server.home / "jobs.sqlite")) as store:
        store.history.most_events = 10
        assert sum(store.history.prune()) > 2900
    server.start()
    with server.client() as again:
        events = list(again.events(job))
        assert events[-1].body == whole[-1].body and events[-1].seq == whole[-1].seq
        assert [event.kind for event in events].count("gap") >= 1
        assert len(again.metrics(job)["loss"]["steps"]) == 3000
        assert again.job(job)["artifacts"][0]["size"] == len("a map")
