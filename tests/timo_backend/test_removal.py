# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that have ended are removed, with all that they alone have in the home, and nothing else."""

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.timo_backend.conftest import ServerProcess, final, wait_until_running
from tests.timo_backend.test_owners import configure, connect
from timo_backend import removal
from timo_backend.errors import RequestError
from timo_backend.states import Happening
from timo_backend.store import Store


def rows(home, table):
    """How many rows a table of a home without a server has."""
    with closing(sqlite3.connect(home / "jobs.sqlite")) as db:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def refusal(call, *values):
    with pytest.raises(RequestError) as caught:
        call(*values)
    return caught.value


@pytest.fixture
def ended(client, spec):
    """Submits a job that ends at once; its id."""

    def submit(act="succeed", **more):
        job = client.submit("predict", spec(act, **more))
        final(client, job)
        return job

    return submit


@pytest.fixture
def train(client):
    """A training that is cancelled; its id. What a real one leaves beside its output is written there."""

    def submit(out, labels="/acts/hold", state=b"what was learnt"):
        spec = {"series": ["/series"], "labels": str(labels), "class_field": "kind", "out": str(out)}
        job = client.submit("finetune", spec)
        client.cancel(job)
        final(client, job)
        if state:
            folder = Path(f"{out}.training")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "checkpoint.pt").write_bytes(state)
            (folder / ".placing.1").touch()  # it was killed while it noted what it puts in place
        return job

    return submit


@pytest.fixture
def busy(monkeypatch):
    """While it lasts nothing can be deleted: another program reads it."""

    def refuse(path):
        raise PermissionError(13, "it is being read", str(path))

    @contextmanager
    def made():
        with monkeypatch.context() as patch:
            patch.setattr(removal, "delete", refuse)
            yield

    return made


# the request ----------------------------------------


def test_a_job_that_ended_is_gone_with_its_log_and_events_and_its_map_stays(server, client, ended, tmp_path):
    kept, gone = ended(out=str(tmp_path / "kept.tif")), ended("succeed-500", out=str(tmp_path / "gone.tif"))
    log = server.home / "logs" / f"{gone}.log"
    assert log.exists()
    would = client.remove([gone], dry_run=True)
    assert log.exists() and len(client.jobs()) == 2, "asked, and not done"
    freed = client.remove([gone])
    assert freed == would > log.parent.joinpath(f"{kept}.log").stat().st_size + 500
    assert not log.exists()
    assert [row["id"] for row in client.jobs()] == [kept]
    assert refusal(client.job, gone).code == "unknown_job"
    assert (tmp_path / "gone.tif").read_text() == "a map"
    assert server.end() == 0
    with closing(Store(server.home / "jobs.sqlite")) as store:
        assert [row.id for row in store.jobs()] == [kept]
        list(store.shrink())
    assert [rows(server.home, table) for table in ("jobs", "metrics", "artifacts")] == [1, 4, 1]
    with closing(Store(server.home / "jobs.sqlite")) as store:
        assert list(store.history.records(gone, 0, 10)) == [] != list(store.history.records(kept, 0, 10))


def test_removing_twice_is_removing_once(client, ended):
    job = ended()
    assert client.remove([job]) > 0
    assert client.remove([job, job]) == 0
    assert client.remove([job], dry_run=True) == 0


def test_a_job_is_removed_beside_whose_output_nothing_can_be_looked_at(client, ended, tmp_path):
    job = ended(out=str(tmp_path / ("m" * 248 + ".tif")))  # no file's name has room for ".training" behind it
    assert client.remove([job]) > 0
    assert client.jobs() == []


def test_of_jobs_of_which_one_has_not_ended_none_is_removed(client, ended, spec):
    done, running = ended(), client.submit("predict", spec("hold"))
    wait_until_running(client, running)
    error = refusal(client.remove, [done, running])
    assert (error.code, error.detail) == ("job_not_ended", {"jobs": [running]})
    assert {row["id"] for row in client.jobs()} == {done, running}
    client.cancel(running)
    final(client, running)
    assert client.remove([done, running]) > 0
    assert client.jobs() == []


def test_a_job_of_another_owner_or_of_nobody_cannot_be_removed(home, spec):
    configure(home, default={"roots": None}, nightly={"roots": None})
    server = ServerProcess(home).start()
    try:
        with connect(home) as mine, connect(home, "nightly") as other:
            job = mine.submit("predict", spec("succeed"))
            final(mine, job)
            for dry_run in (True, False):
                assert refusal(other.remove, [job], dry_run).code == "unknown_job"
                assert refusal(other.remove, ["nobody"], dry_run).code == "unknown_job"
            assert [row["id"] for row in mine.jobs()] == [job]
            mine.remove([job])
            assert refusal(other.remove, [job]).code == "unknown_job", "not even that there was one"
            assert other._request("jobs", {})["removals"] == 0
    finally:
        server.kill()


def test_another_client_hears_of_a_removal(server, client, ended, monkeypatch):
    job = ended("succeed-20000")  # more than is sent ahead
    monkeypatch.setattr("timo_backend.core.ACKNOWLEDGE_EVERY", 10**9)  # it reads, and does not say so
    assert client._request("jobs", {})["removals"] == 0
    with server.client() as other:
        events = other.events(job)
        next(events)
        client.remove([job])
        other.core.send("ack", {"n": 1})
        told = list(events)  # and does not wait for ever
    assert told[-1].kind == "removed" and told[-1].final
    assert client._request("jobs", {})["removals"] == 1


def test_a_list_goes_on_behind_a_job_that_was_removed_meanwhile(client, ended):
    first, second, third = ended(), ended(), ended()
    page = client._request("jobs", {"limit": 2})
    client.remove([second])
    rest = client._request("jobs", {"limit": 2, "before": page["jobs"][-1]["id"]})
    assert [row["id"] for row in page["jobs"] + rest["jobs"]] == [third, second, first]


def test_all_jobs_are_listed_where_they_are_many(client, spec, monkeypatch):
    monkeypatch.setattr("timo_backend.client.MOST_LISTED", 2)
    jobs = [client.submit("predict", spec("succeed")) for _ in range(5)]
    assert [row["id"] for row in client.jobs()] == jobs[::-1]


# files ----------------------------------------


def test_what_a_job_left_to_go_on_from_goes_in_the_home_and_stays_elsewhere(server, client, train, tmp_path):
    mine, elsewhere = server.home / "models" / "woods", tmp_path / "woods"
    mine.mkdir(parents=True)
    (mine / "model.json").write_text("{}")  # made by hand, or by an earlier job of this name
    jobs = [train(mine, state=b"x" * 100_000), train(elsewhere)]
    assert client.remove(jobs) > 100_000
    assert not Path(f"{mine}.training").exists()
    assert Path(f"{elsewhere}.training", "checkpoint.pt").exists(), "it is not ours"
    assert (mine / "model.json").exists()


def test_blocks_of_a_map_that_was_not_finished_go(server, client, ended):
    out = server.home / "results" / "map.tif"
    blocks = Path(f"{out}.partial")
    (blocks / "blocks").mkdir(parents=True)
    (blocks / "plan.json").write_text("{}")
    (blocks / "blocks" / "0.tif").write_bytes(b"x" * 50_000)
    other = out.with_name("other.tif.partial")
    other.mkdir()
    (other / "mine.txt").write_text("an analyst's folder, by its name alone")
    jobs = [ended("deny", out=str(out)), ended("deny", out=str(out.with_name("other.tif")))]
    assert client.remove(jobs) > 50_000
    assert not blocks.exists()
    assert (other / "mine.txt").exists()


def test_what_another_job_may_still_go_on_from_stays(server, client, train):
    out = server.home / "models" / "woods"
    first, again = train(out), train(out)
    client.remove([first])
    assert Path(f"{out}.training", "checkpoint.pt").exists()
    client.remove([again])
    assert not Path(f"{out}.training").exists()


def test_a_model_that_is_named_like_a_state_stays(server, client, train):
    out = server.home / "models" / "woods"
    train(out)
    (Path(f"{out}.training") / "model.json").write_text("{}")
    client.remove([row["id"] for row in client.jobs()])
    assert (Path(f"{out}.training") / "model.json").exists()


def test_copies_of_a_layer_go_and_layers_stay(server, client, train, tmp_path):
    copies, drawn = server.home / "copies", server.home / "labels"
    for folder in (copies, drawn):
        folder.mkdir()
        for name in ("one", "two"):
            (folder / f"{name}.gpkg").write_bytes(b"labels")
    one = train(tmp_path / "a", copies / "one.gpkg")
    two, more = train(tmp_path / "b", copies / "two.gpkg"), train(tmp_path / "c", copies / "two.gpkg")
    own = train(tmp_path / "d", drawn / "one.gpkg")
    client.remove([one, two, own])
    assert not (copies / "one.gpkg").exists()
    assert (copies / "two.gpkg").exists(), "another job names it"
    assert len(list(drawn.iterdir())) == 2
    client.remove([more])
    assert not (copies / "two.gpkg").exists()


def test_a_link_does_not_lead_out_of_the_home(server, client, train, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (server.home / "models").symlink_to(outside)
    job = train(server.home / "models" / "woods")
    client.remove([job])
    assert (outside / "woods.training" / "checkpoint.pt").exists()


def test_what_cannot_be_deleted_now_is_deleted_by_the_next_server(home, tmp_path, busy):
    home.mkdir(mode=0o700)
    logs = home / "logs"
    logs.mkdir()
    with closing(Store(home / "jobs.sqlite")) as store:
        job = store.submit("predict", {"out": str(tmp_path / "map.tif")}, "k")[0].id
        store.advance(job, Happening.CANCEL)
        (logs / f"{job}.log").write_text("a line")
        removals = removal.Removal(store, home, logs)
        with busy():
            removals.remove([store.job(job)])
        assert list(store.jobs()) == [] and (logs / f"{job}.log").exists()
    server = ServerProcess(home).start()
    try:
        assert not (logs / f"{job}.log").exists()
        assert server.end() == 0
        assert rows(home, "litter") == 0
    finally:
        server.process.kill()


def test_what_a_newer_job_goes_on_from_is_not_deleted_late(tmp_path, busy):
    """A folder that could not be deleted with its job is another's by the time that it can be."""
    out, logs = tmp_path / "models" / "woods", tmp_path / "logs"
    state = Path(f"{out}.training", "checkpoint.pt")
    state.parent.mkdir(parents=True)
    state.write_bytes(b"x" * 1000)
    with closing(Store(tmp_path / "jobs.sqlite")) as store:
        job = store.submit("finetune", {"out": str(out)}, "a")[0].id
        store.advance(job, Happening.CANCEL)
        removals = removal.Removal(store, tmp_path, logs)
        with busy():
            removals.remove([store.job(job)])
        assert store.gone.litter() == [str(state), str(state.parent)]
        store.submit("finetune", {"out": str(out)}, "b")
        assert removals.finish() == 0
        assert state.exists() and store.gone.litter() == []


def test_a_full_disk_while_files_go_ends_no_server(tmp_path, monkeypatch):
    logs = tmp_path / "logs"
    logs.mkdir()
    with closing(Store(tmp_path / "jobs.sqlite")) as store:
        job = store.submit("predict", {}, "a")[0].id
        store.advance(job, Happening.CANCEL)
        (logs / f"{job}.log").write_text("a line")
        removals = removal.Removal(store, tmp_path, logs)

        def full(path):
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(store.gone, "forget_litter", full)
            removals.remove([store.job(job)])
        assert list(store.jobs()) == [] and len(store.gone.litter()) == 1
        removals.finish()
        assert store.gone.litter() == []


# the database ----------------------------------------


def test_what_a_removed_job_told_goes_bit_by_bit_and_the_next_server_goes_on_with_it(tmp_path):
    path = tmp_path / "jobs.sqlite"
    with closing(Store(path)) as store:
        gone, kept = (store.submit("finetune", {}, key)[0].id for key in "ab")
        for job in (gone, kept):
            points = [("metric", f'{{"name": "loss", "step": {n}, "value": 0.5}}', 0.0) for n in range(1200)]
            store.history.append(job, points)
            store.advance(job, Happening.CANCEL)
        store.gone.add([gone], [])
        assert [job.id for job in store.jobs()] == [kept] and store.find("default", "a") is None
        again = store.submit("finetune", {}, "a")[0].id
        sweep = store.gone.sweep()
        next(sweep)
    left = rows(tmp_path, "events")
    assert 1200 < left < 2400, "some of it went"
    with closing(Store(path)) as store:
        list(store.shrink())
        assert {job.id for job in store.jobs()} == {kept, again}
    assert [rows(tmp_path, table) for table in ("jobs", "metrics", "removed")] == [2, 1200, 1]


def test_the_database_gets_smaller(tmp_path):
    path = tmp_path / "jobs.sqlite"
    with closing(Store(path)) as store:
        job = store.submit("predict", {}, "k")[0].id
        store.history.append(job, [("log", f'{{"message": "{"x" * 1000}"}}', 0.0)] * 5000)
        store.advance(job, Happening.CANCEL)
        said = store.gone.size_of([job])
    large = path.stat().st_size
    with closing(Store(path)) as store:
        store.gone.add([job], [])
        steps = list(store.shrink())
        assert len(steps) > 20, "other things are done meanwhile"
        assert sum(steps) > 0.9 * said > 4_500_000
    assert path.stat().st_size < large - 4_500_000
