# SPDX-License-Identifier: GPL-3.0-or-later
"""What an analyst may want of a job that waits or runs: a pause, an early end, another place, another try."""

import math
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.timo_backend.conftest import final, wait_for, wait_until_gone, wait_until_running
from tests.timo_backend.test_server import states
from timo_backend import process
from timo_backend.errors import RequestError
from timo_backend.store import Store


@pytest.fixture
def training(client, tmp_path):
    """Submits one that takes so many steps."""

    def submit(steps, name="model"):
        spec = {"series": ["/series"], "labels": f"/acts/learn-{steps}", "class_field": "kind"}
        return client.submit("finetune", {**spec, "out": str(tmp_path / name)})

    return submit


def learning(client, job, step):
    """Wait until it has done so many steps."""
    wait_for(client, job, lambda event: event.kind == "metric" and event.body["step"] >= step)


def test_a_paused_job_lets_the_next_one_run_and_goes_on_where_it_was(client, spec, training):
    job, other = training(300), client.submit("predict", spec("succeed"))
    learning(client, job, 20)
    assert client.pause(job) == "pausing"
    assert final(client, other)["state"] == "succeeded"
    assert client.job(job)["state"] == "paused"
    assert client.pause(job) == "paused", "twice is once"
    assert client.resume(job) == "queued"
    assert final(client, job)["summary"] == {"step": 300}
    told = list(client.events(job))
    assert states(told) == [
        *("queued", "starting", "running", "pausing", "paused"),
        *("queued", "starting", "running", "succeeded"),
    ]
    steps = [event.body["step"] for event in told if event.kind == "metric"]
    assert steps == list(range(1, 301)), "no step was done twice"


def test_a_job_that_is_still_being_paused_cannot_be_resumed_yet(client, spec):
    job = client.submit("predict", spec("slow"))
    wait_until_running(client, job)
    client.pause(job)
    with pytest.raises(RequestError) as caught:
        client.resume(job)
    assert caught.value.code == "job_pausing" and caught.value.retryable
    client.cancel(job)
    assert final(client, job)["state"] == "cancelled"


def test_a_paused_job_that_goes_on_replaces_no_other_job_s_output(client, spec, tmp_path):
    first = client.submit("predict", spec("keep"))
    wait_until_running(client, first)
    client.pause(first)
    wait_for(client, first, lambda event: event.body.get("state") == "paused")
    other = client.submit("predict", spec("succeed"))
    assert final(client, other)["state"] == "succeeded"
    (tmp_path / "act").write_text("made")  # what the first does when it goes on
    client.resume(first)
    assert final(client, first)["error"]["code"] == "output_exists"
    assert (tmp_path / "map.tif").read_text() == "a map"


def test_a_paused_job_that_goes_on_replaces_no_file_of_the_analyst(client, spec, tmp_path):
    job = client.submit("predict", spec("keep"))
    wait_until_running(client, job)
    client.pause(job)
    wait_for(client, job, lambda event: event.body.get("state") == "paused")
    (tmp_path / "map.tif").write_text("the analyst's own")
    (tmp_path / "act").write_text("made")  # what the job does when it goes on
    client.resume(job)
    assert final(client, job)["error"]["code"] == "output_exists"
    assert (tmp_path / "map.tif").read_text() == "the analyst's own"


def test_a_job_that_waits_can_be_paused_and_never_starts_until_it_is_resumed(client, spec):
    first, second = client.submit("predict", spec("hold")), client.submit("predict", spec("succeed"))
    wait_until_running(client, first)
    assert client.pause(second) == "paused"
    client.cancel(first)
    assert final(client, first)["state"] == "cancelled"
    assert client.job(second)["state"] == "paused"
    client.resume(second)
    assert final(client, second)["state"] == "succeeded"


def test_a_paused_job_waits_for_the_next_server_too(server, spec):
    with server.client() as client:
        job = client.submit("predict", spec("keep"))
        pid = wait_until_running(client, job)
        client.pause(job)
        server.kill()
        wait_until_gone(pid)
    server.start()
    with server.client() as client:
        assert client.job(job)["state"] == "paused"
        assert client.cancel(job) == "cancelled"


def test_cancelling_a_job_that_is_being_paused_ends_it(client, spec):
    job = client.submit("predict", spec("slow"))
    wait_until_running(client, job)
    assert client.pause(job) == "pausing"
    assert client.cancel(job) == "cancelling"
    assert final(client, job)["state"] == "cancelled"


def test_a_training_ends_early_with_what_it_has_learnt(client, training):
    job = training(100_000)
    learning(client, job, 5)
    assert client.finish(job) == "running"
    ended = final(client, job)
    assert ended["state"] == "succeeded" and 5 <= ended["summary"]["step"] < 100_000


def test_a_training_that_shall_end_early_does_so_also_with_the_next_server(server, client, training):
    job = training(100_000)
    learning(client, job, 5)
    client.pause(job)
    wait_for(client, job, lambda event: event.body.get("state") == "paused")
    client.finish(job)
    server.kill()
    server.start()
    with server.client() as again:
        again.resume(job)
        ended = final(again, job)
        assert ended["state"] == "succeeded" and 5 <= ended["summary"]["step"] < 1000


def test_a_map_cannot_be_finished_early(client, spec):
    job = client.submit("predict", spec("hold"))
    with pytest.raises(RequestError) as caught:
        client.finish(job)
    assert caught.value.code == "not_training"
    client.cancel(job)


def started(client, jobs):
    """The jobs in the order in which they were started."""
    rows = [client.job(job) for job in jobs]
    return [row["id"] for row in sorted(rows, key=lambda row: row["started"])]


def test_jobs_run_in_the_order_that_the_analyst_gives_them(client, spec):
    hold = client.submit("predict", spec("hold"))
    a, b, c, d = (client.submit("predict", spec("succeed")) for _ in range(4))
    wait_until_running(client, hold)
    client.order(c, before=a)  # c a b d
    client.order(d, before=a)  # c d a b
    assert client.order(b, priority=5)["priority"] == 5  # b c d a
    client.cancel(hold)
    for job in (a, b, c, d):
        assert final(client, job)["state"] == "succeeded"
    assert started(client, [a, b, c, d]) == [b, c, d, a]


def test_the_order_holds_however_often_it_is_changed(client, spec):
    hold = client.submit("predict", spec("hold"))
    a, b, c = (client.submit("predict", spec("succeed")) for _ in range(3))
    wait_until_running(client, hold)
    for _ in range(60):  # places between two others get ever closer
        client.order(b, before=c)
        client.order(a, before=c)
        client.order(b, before=a)
    client.cancel(hold)
    for job in (a, b, c):
        final(client, job)
    assert started(client, [a, b, c]) == [b, a, c]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=80), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_a_job_is_just_before_the_one_that_it_was_put_before(moves, squeezed):
    with tempfile.TemporaryDirectory() as folder, closing(Store(Path(folder) / "jobs.sqlite")) as store:
        jobs = [store.submit("predict", {}, str(n))[0].id for n in range(8)]
        for n, job in enumerate(jobs):  # so close that no number lies between some
            place = n if n > squeezed else math.nextafter(0.0, 1.0) * n
            store._db.execute("UPDATE jobs SET place = ? WHERE id = ?", (place, job))
        expected = list(jobs)
        for a, b in moves:
            store.order(jobs[a], None, jobs[b])
            if a != b:
                expected.remove(jobs[a])
                expected.insert(expected.index(jobs[b]), jobs[a])
        assert [job.id for job in sorted(store.jobs(), key=lambda job: job.place)] == expected
        assert len({job.place for job in store.jobs()}) == 8


def test_a_job_that_does_not_wait_has_no_place_in_the_queue(client, spec):
    hold, waiting = client.submit("predict", spec("hold")), client.submit("predict", spec("succeed"))
    wait_until_running(client, hold)
    for job, before in ((hold, waiting), (waiting, hold)):
        with pytest.raises(RequestError) as caught:
            client.order(job, before=before)
        assert caught.value.code == "job_not_waiting" and hold in caught.value.message
    client.cancel(hold)


def test_a_failed_job_is_tried_again_as_a_new_one(client, spec):
    failed = client.submit("predict", spec("deny"))
    assert final(client, failed)["state"] == "failed"
    again = client.retry(failed, key="again")
    assert client.retry(failed, key="again") == again
    row = client.job(again)
    assert (row["parent"], row["spec"]) == (failed, client.job(failed)["spec"])
    assert final(client, again)["state"] == "failed"
    assert client.job(failed)["state"] == "failed"


def test_a_job_that_succeeded_is_not_tried_again(client, spec):
    job = client.submit("predict", spec("succeed"))
    final(client, job)
    with pytest.raises(RequestError) as caught:
        client.retry(job)
    assert caught.value.code == "job_not_failed"


def test_a_late_cancel_of_an_earlier_attempt_stops_nothing(client, spec):
    job = client.submit("predict", spec("keep"))
    wait_until_running(client, job)
    client.pause(job)
    wait_for(client, job, lambda event: event.body.get("state") == "paused")
    client.resume(job)
    with pytest.raises(RequestError) as caught:
        client.cancel(job, attempt=1)
    assert caught.value.code == "stale_attempt" and caught.value.detail == {"attempt": 2}
    assert client.job(job)["state"] in ("queued", "starting", "running")
    client.cancel(job, attempt=2)
    assert final(client, job)["state"] == "cancelled"


def test_a_job_that_goes_on_keeps_no_more_than_the_end_of_a_long_log(server, client, spec, tmp_path):
    job = client.submit("predict", spec("keep"))
    wait_until_running(client, job)
    client.pause(job)
    wait_for(client, job, lambda event: event.body.get("state") == "paused")
    log = server.home / "logs" / f"{job}.log"
    log.write_text("begin" + "x" * 3 * process.MOST_LOG + "end\n")
    (tmp_path / "act").write_text("succeed")
    client.resume(job)
    assert final(client, job)["state"] == "succeeded"
    text = log.read_text()
    assert text.endswith("xend\na library that prints\n")
    assert len(text) == process.MOST_LOG + len("a library that prints\n")
