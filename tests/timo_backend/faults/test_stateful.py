# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever an analyst does to the jobs of one server, whenever: each ends once, and none for another."""

import os
import signal
import time
from collections import Counter
from contextlib import closing, suppress

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, rule, run_state_machine_as_test

from tests.timo_backend.conftest import PATIENCE_S
from tests.timo_backend.faults.checks import demand_nothing_left, demand_whole
from tests.timo_backend.faults.counts import RUN, count
from timo_backend.errors import RequestError

ENDS = {
    "hold": "cancelled",
    "keep": "cancelled",
    "succeed-20": "succeeded",
    "tick-100": "succeeded",
    "deny": "failed",
}
"""What jobs do, and how each ends if it was not killed and nobody but the test's end cancels it."""
STATES = {"queued", "starting", "running", "cancelling", "pausing", "paused"}
"""Those in which jobs stay long enough to be cancelled, beside the final ones."""
FINAL = {"succeeded", "failed", "cancelled"}


class Asked:
    """What was asked of one job."""

    def __init__(self, act):
        self.act = act
        self.cancelled = self.killed = False


class Whole:
    """What all examples did together, on one server."""

    def __init__(self, client, spec):
        self.client, self.spec = client, spec
        self.number = 0
        self.cancels = Counter()  # by the state that the job was in
        self.ended = {}  # the last event's number, by job

    def at_work(self):
        """How many cancels had something to end."""
        return sum(self.cancels[state] for state in STATES)

    def missed(self):
        """The states, all the final ones as one, in which no job was cancelled."""
        return STATES - set(self.cancels) | ({"ended"} if not FINAL & set(self.cancels) else set())


class Analyst(RuleBasedStateMachine):
    def __init__(self, whole):
        super().__init__()
        self.whole, self.client = whole, whole.client
        self.asked = {}

    jobs = Bundle("jobs")

    @rule(target=jobs, acts=st.lists(st.sampled_from(list(ENDS)), min_size=1, max_size=2))
    def submit(self, acts):
        new = [self.client.submit("predict", self.spec_of(act)) for act in acts]
        self.asked.update(zip(new, map(Asked, acts)))
        return multiple(*new)

    def spec_of(self, act):
        self.whole.number += 1  # each has an output of its own
        out = self.whole.spec(act)["out"] + str(self.whole.number)
        return self.whole.spec(act, out=out)

    @rule(job=jobs, stale=st.booleans())
    def cancel(self, job, stale):
        row = self.client.job(job)
        try:
            state = self.client.cancel(job, attempt=row["attempt"] + 100 * stale)
        except RequestError as error:
            assert error.code == "stale_attempt"
            return
        self.whole.cancels[row["state"]] += 1  # or the one that followed meanwhile
        self.asked[job].cancelled |= state in ("cancelling", "cancelled")

    @rule()
    def cancel_what_runs(self):
        """As soon as a worker is at work: moments taken by chance are nearly always before that."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            states = {job: self.client.job(job)["state"] for job in self.asked}
            for job, state in states.items():
                if state == "running":
                    self.cancel(job, stale=False)
                    self.cancel(job, stale=False)  # while its worker ends
                    return
            if not {"queued", "starting"} & set(states.values()):
                return
            time.sleep(0.02)

    @rule(job=jobs)
    def pause(self, job):
        self.client.pause(job)

    @rule(job=jobs)
    def resume(self, job):
        with suppress(RequestError):  # it is still being paused
            self.client.resume(job)

    @rule(job=jobs, before=jobs, priority=st.none() | st.integers(-2, 2))
    def order(self, job, before, priority):
        with suppress(RequestError):  # one of them doesn't wait
            self.client.order(job, priority, before)

    @rule(target=jobs, job=jobs)
    def retry(self, job):
        try:
            new = self.client.retry(job)
        except RequestError as error:
            assert error.code == "job_not_failed"
            return job  # as many in the bundle, whatever the moment was: hypothesis counts them
        self.asked[new] = Asked(self.asked[job].act)
        return new

    @rule(seconds=st.floats(0, 0.2))
    def sleep(self, seconds):
        time.sleep(seconds)

    @rule()
    def kill_the_worker(self):
        for row in map(self.client.job, self.asked):  # those of earlier examples have ended
            if row["state"] in ("running", "cancelling", "pausing"):
                self.kill_worker_of(row)

    def kill_worker_of(self, row):
        with closing(self.client.events(row["id"])) as events:
            told = [next(events) for _ in range(row["last_seq"])]
        pids = [e.body["message"].split()[1] for e in told if e.kind == "log" and "pid " in e.body["message"]]
        if pids:
            self.asked[row["id"]].killed = True
            with suppress(ProcessLookupError):
                os.kill(int(pids[-1]), signal.SIGKILL)

    def teardown(self):
        deadline = time.monotonic() + PATIENCE_S
        left = set(self.asked)
        while left := {job for job in left if not self.has_ended(job)}:
            assert time.monotonic() < deadline, f"jobs {left} do not end"
            time.sleep(0.01)
        for job, asked in self.asked.items():
            self.client.cancel(job)  # which comes too late
            self.client.pause(job)
            events = list(self.client.events(job))
            demand_whole(events)
            state = events[-1].body["state"]
            if asked.cancelled:
                assert state == "cancelled" or (state == "succeeded" and ENDS[asked.act] == "succeeded")
            elif asked.killed:
                assert state in (ENDS[asked.act], "failed")
            else:
                assert state == ENDS[asked.act], f"nobody asked that of a job that shall '{asked.act}'"
            self.whole.ended[job] = events[-1].seq

    def has_ended(self, job):
        """Whether it has; what waits for the analyst, or for ever, is helped to its end."""
        asked, state = self.asked[job], self.client.job(job)["state"]
        if state in ("succeeded", "failed", "cancelled"):
            return True
        if ENDS[asked.act] == "cancelled":
            self.client.cancel(job)
            asked.cancelled = True
        elif state == "paused":
            self.client.resume(job)
        return False


def test_each_job_ends_once_and_never_for_another_s_sake(server, client, spec):
    whole = Whole(client, spec)
    few = settings(
        max_examples=3,
        stateful_step_count=15,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # what depends on the moment can't be made smaller
        suppress_health_check=list(HealthCheck),
    )
    enough = count(short=8, all=200)
    while whole.at_work() < enough or (RUN != "short" and whole.missed() and whole.at_work() < 3 * enough):
        run_state_machine_as_test(lambda: Analyst(whole), settings=few)
    if RUN != "short":
        assert not whole.missed(), f"no cancel came in these states, of {whole.cancels}"
    assert {job: client.job(job)["last_seq"] for job in whole.ended} == whole.ended, (
        "none went on after its end"
    )
    server.end()
    demand_nothing_left(server.home)
