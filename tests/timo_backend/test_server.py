# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs over real sockets, in real processes."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.timo_backend.conftest import facts, final, wait_for, wait_until_gone, wait_until_running
from timo_backend.auth import Home
from timo_backend.client import Client
from timo_backend.errors import ConnectionFailed, RequestError
from timo_backend.server import Server


def states(events):
    return [event.body["state"] for event in events if event.kind == "state"]


def test_a_job_runs_to_its_end_and_tells_all_of_it(client, spec):
    job = client.submit("predict", spec("succeed"), key="one")
    events = list(client.events(job))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert states(events) == ["queued", "starting", "running", "succeeded"]
    metrics = [event.body for event in events if event.kind == "metric"]
    assert metrics[0] == {"name": "loss", "value": 1.0, "step": 1}
    assert metrics[-1] == {"name": "never", "value": None, "step": 1}, "no number travels as null"
    assert [event.body["kind"] for event in events if event.kind == "artifact"] == ["map"]
    assert events[-1].body["summary"] == {"out": spec("")["out"], "iou": None}
    row = client.jobs()[0]
    assert (row["id"], row["state"], row["fraction"], row["message"]) == (job, "succeeded", 1.0, "Done")
    assert row["created"] <= row["started"] <= row["ended"]


def test_the_stored_spec_is_complete(client, spec):
    job = client.submit("predict", spec("succeed"))
    assert client.job(job)["spec"]["precision"] == "float32"
    assert client.job(job)["spec"]["series"] == ["/series"]


def test_jobs_run_one_after_the_other_in_their_order(client, spec):
    jobs = [client.submit("predict", spec("succeed")) for _ in range(3)]
    for job in jobs:
        assert final(client, job)["state"] == "succeeded"
    rows = {row["id"]: row for row in client.jobs()}
    assert [row["id"] for row in client.jobs()] == jobs[::-1]
    assert rows[jobs[0]]["ended"] <= rows[jobs[1]]["started"]
    assert rows[jobs[1]]["ended"] <= rows[jobs[2]]["started"]


@pytest.mark.parametrize("count", [5, 5000])
def test_a_replay_is_what_was_live(server, client, spec, count):
    job = client.submit("predict", spec(f"succeed-{count}"))
    live = list(client.events(job))
    assert len(live) > count
    with server.client() as other:
        assert facts(other.events(job)) == facts(live)
        assert facts(other.events(job, after=4)) == facts(live)[4:]
        assert list(other.events(job, after=len(live))) == []


def test_two_subscriptions_at_once_both_see_everything(client, spec):
    job = client.submit("predict", spec("succeed-1500"))
    pairs = list(zip(client.events(job), client.events(job)))
    assert [first.seq for first, _ in pairs] == [second.seq for _, second in pairs]
    assert pairs[-1][0].final


def test_a_client_that_does_not_read_misses_nothing_later(client, spec):
    job = client.submit("predict", spec("succeed-3000"))
    events = client.events(job)
    seen = [next(events)]
    with_other = final(client, job)  # the job has ended, and `events` was not read meanwhile
    seen.extend(events)
    assert with_other["state"] == "succeeded"
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))


def test_cancelling_a_running_job_ends_it(client, spec):
    job = client.submit("predict", spec("hold"))
    pid = wait_until_running(client, job)
    assert client.cancel(job) == "cancelling"
    events = list(client.events(job))
    assert states(events)[-2:] == ["cancelling", "cancelled"]
    assert events[-1].body["error"] is None
    wait_until_gone(pid)


@pytest.mark.parametrize("act", ["slow", "child"])
def test_cancelling_ends_a_job_that_does_not_look_at_the_flag(client, spec, act):
    job = client.submit("predict", spec(act))
    pid = wait_until_running(client, job)
    client.cancel(job)
    assert final(client, job)["state"] == "cancelled"
    wait_until_gone(pid)


def test_a_cancelled_task_may_clean_up(client, spec, tmp_path):
    job = client.submit("predict", spec("slow"))
    wait_until_running(client, job)
    client.cancel(job)
    assert final(client, job)["state"] == "cancelled"
    assert (tmp_path / "map.tif").read_text() == "cleaned up"


def test_cancelling_a_queued_job_never_starts_it(client, spec):
    first = client.submit("predict", spec("hold"))
    second = client.submit("predict", spec("succeed"))
    wait_until_running(client, first)
    assert client.cancel(second) == "cancelled"
    assert states(client.events(second)) == ["queued", "cancelled"]
    client.cancel(first)
    assert final(client, first)["state"] == "cancelled"


def test_cancelling_a_job_as_it_starts_ends_it(client, spec):
    job = client.submit("predict", spec("hold"))
    client.cancel(job)
    assert final(client, job)["state"] == "cancelled"


def test_cancelling_an_ended_job_changes_nothing(client, spec):
    job = client.submit("predict", spec("succeed"))
    before = list(client.events(job))
    assert client.cancel(job) == "succeeded"
    assert facts(client.events(job)) == facts(before)


def test_cancelling_twice_is_cancelling_once(client, spec):
    job = client.submit("predict", spec("hold"))
    wait_until_running(client, job)
    client.cancel(job)
    client.cancel(job)
    assert states(client.events(job)).count("cancelling") == 1


def test_a_killed_worker_fails_its_job_with_a_sentence_and_the_next_job_runs(client, spec):
    job, after = client.submit("predict", spec("child")), client.submit("predict", spec("succeed"))
    pid = wait_until_running(client, job)
    child = wait_for(client, job, lambda event: event.kind == "log" and "child" in event.body["message"])
    os.kill(pid, signal.SIGKILL)
    ended = final(client, job)
    assert ended["state"] == "failed"
    assert ended["error"]["code"] == "worker_killed"
    assert "SIGKILL" in ended["error"]["message"] and "memory" in ended["error"]["action"]
    wait_until_gone(int(child.body["message"].split()[1]))
    assert final(client, after)["state"] == "succeeded"


def test_a_worker_ended_by_a_signal_cleans_up_and_its_job_has_failed(client, spec, tmp_path):
    job = client.submit("predict", spec("slow"))
    os.kill(wait_until_running(client, job), signal.SIGTERM)
    error = final(client, job)["error"]
    assert error["code"] == "worker_killed" and "SIGTERM" in error["message"]
    assert (tmp_path / "map.tif").read_text() == "cleaned up"


@pytest.mark.parametrize(
    ("act", "code"),
    [
        ("segfault", "worker_killed"),
        ("exit", "worker_ended"),
        ("deny", "series_empty"),
        ("break", "internal"),
        ("huge", "internal"),
    ],
)
def test_a_job_that_fails_says_why(client, spec, act, code):
    error = final(client, client.submit("predict", spec(act)))["error"]
    assert error["code"] == code
    assert error["message"].endswith(".") and error["action"].endswith(".")
    assert "Traceback" not in error["message"]


def test_a_fault_of_the_code_leaves_its_traceback_in_detail_and_log(client, spec):
    error = final(client, client.submit("predict", spec("break")))["error"]
    assert "ZeroDivisionError" in error["detail"]["traceback"]
    assert "ZeroDivisionError" in Path(error["detail"]["log"]).read_text()


def test_a_killed_server_takes_its_worker_along_and_the_next_one_tells_what_became(server, spec):
    with server.client() as client:
        done = client.submit("predict", spec("succeed"))
        final(client, done)
        running, waiting = client.submit("predict", spec("hold")), client.submit("predict", spec("succeed"))
        pid = wait_until_running(client, running)
        server.kill()
        wait_until_gone(pid)
    server.start()
    with server.client() as client:
        ended = final(client, running)
        assert ended["state"] == "failed" and ended["error"]["code"] == "interrupted"
        assert ended["error"]["retryable"] and ended["error"]["action"]
        assert states(client.events(running))[-2:] == ["interrupted", "failed"]
        assert final(client, waiting)["state"] == "succeeded"
        assert [row["id"] for row in client.jobs()] == [waiting, running, done]


def pids(events):
    """Those of a job's workers, one after the other."""
    for event in events:
        if event.kind == "log" and event.body["message"].startswith("pid "):
            yield int(event.body["message"].split()[1])


def test_a_job_with_a_checkpoint_goes_on_after_its_worker_was_killed_three_times_at_most(client, spec):
    job, after = client.submit("predict", spec("keep")), client.submit("predict", spec("succeed"))
    killed = 0
    for pid in pids(client.events(job)):
        wait_until_kept(client, job, killed + 1)
        os.kill(pid, signal.SIGKILL)
        killed += 1
    assert killed == 4
    told = list(client.events(job))
    once = ["queued", "starting", "running", "interrupted"]
    assert states(told) == [*once * 4, "failed"]
    attempts = [event.body["attempt"] for event in told if event.kind == "state"]
    assert attempts == [*(n for n in (1, 2, 3, 4) for _ in once), 4]
    assert told[-1].body["error"]["code"] == "worker_killed"
    assert final(client, after)["state"] == "succeeded"


def wait_until_kept(client, job, attempt):
    """Until the server knows of this attempt's checkpoint; a worker tells things in their order."""
    for event in client.events(job):
        if event.kind == "log" and event.body["message"] == f"kept {attempt}":
            return


@pytest.mark.parametrize("end", ["kill", "end"])
def test_a_job_with_a_checkpoint_goes_on_with_the_next_server(server, spec, end):
    with server.client() as client:
        job, waiting = client.submit("predict", spec("keep")), client.submit("predict", spec("succeed"))
        wait_until_kept(client, job, 1)
        pid = next(pids(client.events(job)))
        getattr(server, end)()
        wait_until_gone(pid)
    server.start()
    with server.client() as client:
        wait_until_kept(client, job, 2)
        assert client.job(waiting)["state"] == "queued", "it keeps its turn"
        client.cancel(job)
        assert final(client, job)["state"] == "cancelled"
        assert final(client, waiting)["state"] == "succeeded"


def test_a_job_killed_when_its_output_was_whole_makes_it_anew(client, spec, tmp_path):
    job = client.submit("predict", spec("made"))
    assert final(client, job)["state"] == "succeeded"
    assert states(client.events(job)).count("interrupted") == 1


def test_a_job_that_goes_on_replaces_no_file_that_stood_there_before(client, spec, tmp_path):
    (tmp_path / "map.tif").write_text("somebody's")
    assert final(client, client.submit("predict", spec("made")))["error"]["code"] == "output_exists"
    assert (tmp_path / "map.tif").read_text() == "somebody's"


def test_events_go_on_with_the_next_server(server, spec):
    with server.client() as client:
        job = client.submit("predict", spec("hold"))
        wait_until_running(client, job)
        seen = []
        for event in client.events(job):
            seen.append(event)
            if event.kind == "log":
                server.kill()
                server.start()
        assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
        assert seen[-1].body["error"]["code"] == "interrupted"
        assert client.hello()["pid"] == server.process.pid


def test_a_stopped_server_says_which_job_it_ended(server, spec):
    with server.client() as client:
        job = client.submit("predict", spec("hold"))
        pid = wait_until_running(client, job)
        assert client.stop() == [job]
        assert server.wait() == 0
        wait_until_gone(pid)
    assert not (server.home / "connection.json").exists()
    server.start()
    with server.client() as client:
        ended = final(client, job)
        assert (ended["state"], ended["error"]["code"]) == ("failed", "interrupted")


def test_a_server_ends_by_itself_without_client_and_job(server):
    server.end()
    server.start(idle_s=0.3)
    assert server.wait() == 0
    assert not (server.home / "connection.json").exists()


def test_an_idle_server_stays_while_a_client_is_connected_or_a_job_runs(server, spec):
    server.end()
    server.start(idle_s=1.0)
    with server.client() as client:
        for _ in range(8):
            client.core.poll(250)  # nothing comes: the idle time passes twice
        assert client.hello()["pid"] == server.process.pid
        job = client.submit("predict", spec("linger-2"))
        wait_until_running(client, job)
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(1.5)
    assert server.wait() == 0
    server.start()
    with server.client() as client:
        assert final(client, job)["state"] == "succeeded"


@pytest.mark.parametrize("field", ["series", "model", "out", "confidence", "aoi"])
def test_a_relative_path_is_refused_by_name(client, spec, field):
    value = ["some/where"] if field == "series" else "some/where"
    with pytest.raises(RequestError, match=f"'{field}'") as caught:
        client.submit("predict", spec("succeed", **{field: value}))
    assert caught.value.code == "path_relative"
    assert client.jobs() == []


@pytest.mark.parametrize(
    ("task", "change", "code", "names"),
    [
        ("predict", {"batch": 0}, "spec_invalid", "batch"),
        ("predict", {"colour": "red"}, "spec_invalid", "colour"),
        ("forecast", {}, "unknown_task", "forecast"),
    ],
)
def test_a_wrong_spec_is_refused_by_name(client, spec, task, change, code, names):
    with pytest.raises(RequestError, match=names) as caught:
        client.submit(task, spec("succeed", **change))
    assert caught.value.code == code


@pytest.mark.parametrize("ask", [Client.cancel, Client.job, lambda client, job: list(client.events(job))])
def test_an_unknown_job_is_an_error(client, ask):
    with pytest.raises(RequestError, match="nobody") as caught:
        ask(client, "nobody")
    assert caught.value.code == "unknown_job"


def test_a_request_too_large_is_refused_before_it_is_sent(client, spec):
    with pytest.raises(Exception, match="limit") as caught:
        client.submit("predict", spec("succeed", series=["/" + "x" * 1000] * 2000))
    assert caught.value.code == "message_too_large"
    assert client.jobs() == []


def test_a_list_of_jobs_too_large_for_one_message_is_cut_and_says_so(client, spec):
    for _ in range(5):
        client.submit("predict", spec("succeed", series=["/" + "x" * 1000] * 250))
    first = client._request("jobs", {})
    assert first["more"] is True and 0 < len(first["jobs"]) < 5
    rest = client._request("jobs", {"before": first["jobs"][-1]["id"]})
    assert len({row["id"] for row in first["jobs"] + rest["jobs"]}) == 5 and rest["more"] is False


def test_a_list_goes_on_from_the_job_that_was_told_last(client, spec):
    jobs = [client.submit("predict", spec("succeed")) for _ in range(5)][::-1]
    pages, before = [], {}
    while not pages or pages[-1]["more"]:
        pages.append(client._request("jobs", {"limit": 2, **before}))
        before = {"before": pages[-1]["jobs"][-1]["id"]}
    assert [[row["id"] for row in page["jobs"]] for page in pages] == [jobs[:2], jobs[2:4], jobs[4:]]
    assert client._request("jobs", {"limit": 5})["more"] is False
    with pytest.raises(RequestError) as caught:
        client._request("jobs", {"before": "nobody"})
    assert caught.value.code == "unknown_job"


def test_a_server_killed_for_good_is_one_sentence(server):
    with server.client(timeout=0.5) as client:
        server.kill()
        with pytest.raises(ConnectionFailed, match=r"does not run any more\. Start it with"):
            client.hello()


def test_a_server_that_can_answer_nobody_ends_with_an_error(home, monkeypatch):
    """Rather than run on: no client could tell, and none would start another."""

    async def deaf(_server):
        raise ZeroDivisionError("a fault of the code")

    monkeypatch.setattr(Server, "_receive", deaf)
    place = Home(home)
    place.lock()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(Server(place).run())
    assert not place.connection_file.exists(), "nobody is led to it"
    place.unlock()
