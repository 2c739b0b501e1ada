# SPDX-License-Identifier: GPL-3.0-or-later
"""The state machine alone, and the store that carries it out, under arbitrary sequences."""

import json
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from timo_backend.states import ACTIVE, FINAL, TRANSITIONS, Happening, State, advance
from timo_backend.store import MOST_CRASHES, Store

REASON = {"code": "interrupted"}


def test_a_final_state_is_never_left():
    assert all(advance(state, happening) is None for state in FINAL for happening in Happening)


def test_every_state_can_reach_an_end():
    ends = set(FINAL)
    while True:
        more = {old for (old, _), new in TRANSITIONS.items() if new in ends} - ends
        if not more:
            break
        ends |= more
    assert ends == set(State)


def test_a_job_can_be_cancelled_wherever_it_stands():
    for state in set(State) - FINAL - {State.CANCELLING}:
        assert advance(state, Happening.CANCEL) in (State.CANCELLED, State.CANCELLING)


def test_a_server_that_ends_leaves_no_job_with_a_worker():
    assert all(advance(state, Happening.LOST) not in ACTIVE for state in ACTIVE)


def begun(store):
    """A job whose worker is at work."""
    job = store.submit("predict", {}, "k")[0].id
    go_on(store, job)
    return job


def go_on(store, job):
    store.advance(job, Happening.START)
    store.advance(job, Happening.READY)


def test_a_job_that_crashes_twice_at_the_same_checkpoint_has_failed(tmp_path):
    with closing(Store(tmp_path / "jobs.sqlite")) as store:
        job = begun(store)
        store.keep(job)
        assert store.settle_lost(job, REASON, crashed=True) is State.QUEUED
        go_on(store, job)
        assert store.settle_lost(job, REASON, crashed=True) is State.FAILED
        assert store.job(job).error == REASON


@pytest.mark.parametrize("ending", ["paused", "ended in order"])
def test_a_power_cut_before_the_next_checkpoint_fails_no_job_that_went_on_in_order(tmp_path, ending):
    with closing(Store(tmp_path / "jobs.sqlite")) as store:
        job = begun(store)
        store.keep(job)
        if ending == "paused":
            for happening in (Happening.PAUSE, Happening.STOPPED, Happening.RESUME):
                store.advance(job, happening)
        else:
            store.settle_lost(job, REASON, crashed=False)
        store.advance(job, Happening.START)
        assert store.recover(REASON) == {job: State.QUEUED}
        go_on(store, job)
        assert store.recover(REASON) == {job: State.FAILED}, "it has not moved on since"


def test_a_job_that_moves_on_between_its_crashes_goes_on(tmp_path):
    with closing(Store(tmp_path / "jobs.sqlite")) as store:
        job = begun(store)
        for _ in range(MOST_CRASHES):
            store.keep(job)
            assert store.recover(REASON) == {job: State.QUEUED}
            go_on(store, job)
        store.keep(job)
        assert store.recover(REASON) == {job: State.FAILED}


def test_a_job_goes_on_from_its_checkpoint_however_often_the_server_is_ended_in_order(tmp_path):
    with closing(Store(tmp_path / "jobs.sqlite")) as store:
        job = begun(store)
        store.keep(job)
        for _ in range(2 * MOST_CRASHES):
            assert store.settle_lost(job, REASON, crashed=False) is State.QUEUED
            go_on(store, job)


class StoreMachine(RuleBasedStateMachine):
    """Anything may happen to any job at any time: the store follows the table and numbers without a gap."""

    jobs = Bundle("jobs")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name) / "jobs.sqlite")
        self.expected = {}
        self.keys = {}
        self.kept = set()  # those with a checkpoint since their last crash
        self.crashes = {}

    @rule(target=jobs, key=st.sampled_from("abc"))
    def submit(self, key):
        job, new = self.store.submit("predict", {"key": key}, key)
        assert new is (key not in self.keys)
        assert self.keys.setdefault(key, job.id) == job.id
        self.expected.setdefault(job.id, State.QUEUED)
        return job.id

    @rule(job=jobs, happening=st.sampled_from(Happening))
    def happen(self, job, happening):
        expected = advance(self.expected[job], happening)
        assert self.store.advance(job, happening, error={"code": "x"}, summary={"y": 1}) == expected
        self.expected[job] = expected or self.expected[job]

    @rule(job=jobs, count=st.integers(0, 3))
    def tell(self, job, count):
        self.store.history.append(
            job, [("metric", f'{{"name":"loss","step":{n},"value":{n}}}', 0.0) for n in range(count)]
        )

    @rule()
    def open_anew(self):
        self.store.close()
        self.store = Store(Path(self.folder.name) / "jobs.sqlite")

    @rule(job=jobs)
    def keep(self, job):
        if self.expected[job] in ACTIVE:  # there is a worker that says it
            self.store.keep(job)
            self.kept.add(job)

    @rule()
    def recover(self):
        found = self.store.recover({"code": "interrupted"})
        for job, state in self.expected.items():
            if state in (State.CANCELLING, State.PAUSING):
                self.expected[job] = State.CANCELLED if state is State.CANCELLING else State.PAUSED
            elif state in ACTIVE or state is State.INTERRUPTED:
                goes_on = job in self.kept and self.crashes.get(job, 0) < MOST_CRASHES
                self.kept.discard(job)
                self.expected[job] = State.QUEUED if goes_on else State.FAILED
                self.crashes[job] = self.crashes.get(job, 0) + goes_on
            else:
                continue
            assert found[job] is self.expected[job]

    @invariant()
    def rows_and_events_agree(self):
        assert {job.id: job.state for job in self.store.jobs()} == self.expected
        for job in self.store.jobs():
            events = list(self.store.history.records(job.id, 0, 10_000))
            assert [event.seq for event in events] == list(range(1, job.last_seq + 1))
            states = [json.loads(event.body)["state"] for event in events if event.kind == "state"]
            assert states[-1] == job.state.value
            assert sum(state in {end.value for end in FINAL} for state in states) == job.state.final
            assert (job.ended is not None) == job.state.final
            assert (job.error is not None) == (job.state is State.FAILED)
            assert (job.summary is not None) == (job.state is State.SUCCEEDED)

    def teardown(self):
        self.store.close()
        self.folder.cleanup()


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestStore = StoreMachine.TestCase
