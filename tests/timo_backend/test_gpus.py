# SPDX-License-Identifier: GPL-3.0-or-later
"""Several GPUs: one job each, that of the analyst's choice; what needs none runs beside them."""

import os
import signal

import pytest

from tests.timo_backend.conftest import final, wait_for, wait_until, wait_until_gone, wait_until_running
from tests.timo_backend.test_server import states
from timo_backend import devices, slots
from timo_backend.errors import RequestError

A, B = "GPU-aaaa", "GPU-bbbb"


@pytest.fixture
def server(server):
    """One of a computer with two GPUs."""
    server.end()
    return server.start(gpus=(A, B))


@pytest.fixture
def client(server):
    with server.client() as connected:
        wait_until_tried(connected)
        yield connected


def wait_until_tried(client):
    """Until it is known which GPUs can be used."""
    while any(device["usable"] is None for device in client.hello()["devices"]):
        client.core.poll(50)


def run(client, spec, name="map", **more):
    """A job that goes on until it is cancelled."""
    gpu = more.pop("gpu", None)
    given = spec("gpu", **more)
    given["out"] = given["out"].replace("map", name)
    return client.submit("predict", given, gpu=gpu)


def seen(client, job, attempt=1):
    """What the worker of an attempt sees of the GPUs, once it is at work."""
    told = [f"sees {one}" for one in (A, B, "", None)]
    count = 0
    for event in client.events(job):
        count += event.kind == "log" and event.body["message"] in told
        if count == attempt:
            return event.body["message"].removeprefix("sees ")
    raise AssertionError(f"job {job} ended before attempt {attempt} saw anything")


def cancelled(client, *jobs):
    """Cancel jobs, and wait for their end."""
    for job in jobs:
        client.cancel(job)
    return [final(client, job)["state"] for job in jobs]


def test_hello_tells_of_every_device(client):
    told = client.hello()
    assert [device["id"] for device in told["devices"]] == [A, B, "cpu"]
    assert [device["usable"] for device in told["devices"]] == [True, True, True]
    assert told["devices"][0]["free"] < told["devices"][0]["memory"]
    assert told["host"]["cores"] >= 1


def test_two_gpus_run_two_jobs_at_once_and_a_third_waits_for_one(client, spec):
    first, second, third = (run(client, spec, name) for name in ("one", "two", "three"))
    assert {seen(client, first), seen(client, second)} == {A, B}
    assert client.job(third)["state"] == "queued" and client.job(third)["device"] is None
    assert cancelled(client, second) == ["cancelled"]
    assert seen(client, third) == client.job(second)["device"]
    assert client.job(first)["state"] == "running"
    assert cancelled(client, first, third) == ["cancelled"] * 2


def test_a_job_says_which_device_it_got(client, spec):
    job = run(client, spec, gpu=B)
    assert seen(client, job) == B
    row = client.job(job)
    assert (row["gpu"], row["device"]) == (B, B)
    starting = wait_for(client, job, lambda event: event.body.get("state") == "starting")
    assert starting.body["device"] == B
    cancelled(client, job)


def test_a_busy_chosen_gpu_holds_up_no_other_job(client, spec):
    first, second = run(client, spec, "one", gpu=A), run(client, spec, "two", gpu=A)
    third = run(client, spec, "three")
    assert (seen(client, first), seen(client, third)) == (A, B)
    assert client.job(second)["state"] == "queued"
    assert cancelled(client, third, first) == ["cancelled"] * 2
    assert seen(client, second) == A
    cancelled(client, second)


def test_jobs_of_one_gpu_keep_their_order(client, spec):
    first, second, third = (run(client, spec, name, gpu=A) for name in ("one", "two", "three"))
    seen(client, first)
    client.order(third, before=second)
    cancelled(client, first)
    assert seen(client, third) == A
    assert client.job(second)["state"] == "queued"
    cancelled(client, third, second)


def test_a_job_for_the_cpu_runs_beside_those_on_gpus_and_one_at_a_time(client, spec):
    on_gpu = [run(client, spec, name) for name in ("one", "two")]
    first, second = run(client, spec, "three", device="cpu"), run(client, spec, "four", device="cpu")
    assert seen(client, first) == ""
    assert {seen(client, job) for job in on_gpu} == {A, B}
    assert client.job(first)["device"] == "cpu"
    assert client.job(second)["state"] == "queued"
    cancelled(client, first)
    assert seen(client, second) == ""
    assert cancelled(client, second, *on_gpu) == ["cancelled"] * 3


def test_what_befalls_one_job_leaves_the_other_alone(client, spec):
    first, second = run(client, spec, "one"), run(client, spec, "two")
    seen(client, first), seen(client, second)
    client.pause(first)
    wait_for(client, first, lambda event: event.body.get("state") == "paused")
    client.resume(first)
    assert seen(client, first, attempt=2) == client.job(first)["device"]
    os.kill(wait_until_running(client, second), signal.SIGKILL)
    seen(client, second, attempt=2)
    assert states(client_events(client, first)).count("starting") == 2
    assert client.job(first)["state"] == "running"
    assert cancelled(client, first, second) == ["cancelled"] * 2


def client_events(client, job):
    """Those that a job has by now."""
    last = client.job(job)["last_seq"]
    for event in client.events(job):
        yield event
        if event.seq >= last:
            return


def test_the_chosen_gpu_is_kept_after_the_server_was_killed(server, client, spec):
    job, waiting = run(client, spec, "one", gpu=B), run(client, spec, "two", gpu=B)
    seen(client, job)
    server.kill()
    server.start(gpus=(A, B))
    with server.client() as again:
        assert seen(again, job, attempt=2) == B
        assert again.job(waiting)["state"] == "queued"
        cancelled(again, job)
        assert seen(again, waiting) == B
        cancelled(again, waiting)


def test_a_job_that_is_tried_again_gets_the_gpu_that_was_chosen_for_it(client, spec):
    job = run(client, spec, gpu=B)
    seen(client, job)
    cancelled(client, job)
    again = client.retry(job)
    assert client.job(again)["gpu"] == B
    assert seen(client, again) == B
    cancelled(client, again)


def test_a_server_that_stops_ends_all_its_jobs(server, client, spec):
    jobs = [run(client, spec, "one"), run(client, spec, "two"), run(client, spec, "three", device="cpu")]
    pids = [wait_until_running(client, job) for job in jobs]
    for job in jobs:
        seen(client, job)
    assert sorted(client.stop()) == sorted(jobs)
    assert server.wait() == 0
    for pid in pids:
        wait_until_gone(pid)


@pytest.mark.parametrize("gpu", ["GPU-cccc", "cpu"])
def test_a_gpu_that_is_not_there_is_refused_and_those_that_are_there_named(client, spec, gpu):
    with pytest.raises(RequestError, match=rf"'{gpu}'.*'{A}'.*'{B}'") as caught:
        run(client, spec, gpu=gpu)
    assert caught.value.code == "unknown_gpu" and caught.value.detail == {"gpus": [A, B]}
    assert client.jobs() == []


def test_a_job_whose_gpu_was_taken_out_meanwhile_fails_with_a_sentence(server, client, spec):
    job, waiting = run(client, spec, "one", gpu=A), run(client, spec, "two", gpu=A)
    seen(client, job)
    cancelled(client, job)
    seen(client, waiting)
    server.kill()
    server.start(gpus=(B,))
    with server.client() as again:
        error = final(again, waiting)["error"]
        assert error["code"] == "unknown_gpu" and A in error["message"] and B in error["message"]
        other = run(again, spec, "three")
        assert seen(again, other) == B
        cancelled(again, other)


def test_only_gpus_that_the_environment_leaves_visible_get_jobs(server, spec, monkeypatch):
    server.end()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", B)
    server.start(gpus=(A, B))
    with server.client() as client:
        wait_until_tried(client)
        assert [device["usable"] for device in client.hello()["devices"]] == [False, True, True]
        first, second = run(client, spec, "one"), run(client, spec, "two")
        assert seen(client, first) == B
        assert client.job(second)["state"] == "queued"
        with pytest.raises(RequestError, match="can't be used") as caught:
            run(client, spec, gpu=A)
        assert caught.value.code == "gpu_unusable" and "CUDA_VISIBLE_DEVICES" in caught.value.action
        cancelled(client, first, second)


def test_a_job_for_a_gpu_waits_until_it_is_known_which_can_be_used(server, spec):
    server.end()
    (server.home / "wait").touch()
    server.start(gpus=(A,))
    with server.client() as client:
        assert client.hello()["devices"][0]["usable"] is None
        job, beside = run(client, spec, "one"), run(client, spec, "two", device="cpu")
        assert seen(client, beside) == ""
        assert client.job(job)["state"] == "queued"
        (server.home / "wait").unlink()
        assert seen(client, job) == A
        cancelled(client, job, beside)


def test_a_driver_that_takes_long_costs_no_job_the_gpu_that_was_chosen_for_it(server, spec):
    server.end()
    (server.home / "silent").touch()
    server.start(gpus=(A,))
    with server.client() as client:
        chosen, on_cpu = run(client, spec, "one", gpu=A), run(client, spec, "two", gpu=A, device="cpu")
        assert seen(client, on_cpu) == ""
        cancelled(client, on_cpu)
        any_device = run(client, spec, "three")
        assert seen(client, any_device) == ""  # it doesn't wait for the driver, and is kept from the GPU
        assert client.hello()["devices"][0]["reason"] == devices.SILENT
        assert client.job(chosen)["state"] == "queued"
        (server.home / "silent").unlink()
        assert seen(client, chosen) == A
        cancelled(client, chosen, any_device)


def test_a_driver_that_falls_silent_while_jobs_run_costs_none_its_gpu(server, client, spec):
    running = run(client, spec, "one", gpu=A)
    seen(client, running)
    (server.home / "silent").touch()
    wait_until(lambda: not client.hello()["devices"][0]["usable"])
    other, waiting = run(client, spec, "two", gpu=B), run(client, spec, "three")
    assert seen(client, other) == B
    assert client.job(waiting)["state"] == "queued"
    cancelled(client, running)
    assert seen(client, waiting) == A
    cancelled(client, other, waiting)


def test_a_server_ends_while_its_gpus_driver_is_silent(server):
    server.end()
    (server.home / "silent").touch()
    server.start(gpus=(A,))
    assert server.end() == 0


def test_a_server_ends_while_its_gpus_are_being_tried(server):
    server.end()
    (server.home / "wait").touch()
    server.start(gpus=(A,))
    assert server.end() == 0


def test_without_a_gpu_one_job_runs_at_a_time(server, spec):
    server.end()
    server.start()
    with server.client() as client:
        first, second = run(client, spec, "one"), run(client, spec, "two", device="cpu")
        assert seen(client, first) == "None"
        assert client.job(second)["state"] == "queued"
        cancelled(client, first, second)


@pytest.mark.parametrize(
    ("device", "gpu", "gpus", "taken", "slot"),
    [
        ("auto", None, [A, B], [], A),
        ("cuda", None, [A, B], [A], B),
        ("auto", None, [A, B], [A, B], None),
        ("auto", B, [A, B], [], B),
        ("auto", B, [A, B], [B], None),
        ("auto", "gone", [A], [], "gone"),
        ("cpu", None, [A, B], [A, B], "cpu"),
        ("cpu", B, [A, B], [], "cpu"),
        ("mps", None, [], [], "cpu"),
        ("auto", None, [], [], "cpu"),
        ("cuda", None, [], ["cpu"], None),
        ("auto", None, None, [], None),
        ("auto", A, None, [], None),
        ("cpu", None, None, [], "cpu"),
    ],
)
def test_a_job_gets_the_device_that_it_needs_or_waits(device, gpu, gpus, taken, slot):
    assert slots.slot_for(device, gpu, gpus, taken) == slot
