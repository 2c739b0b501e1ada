# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as the plugin keeps them: what events and lists tell is folded in, whatever comes first."""

from __future__ import annotations

import pytest

ROW = {
    "id": "a", "task": "finetune", "state": "running", "created": 1.0, "started": 2.0, "ended": None,
    "fraction": 0.5, "message": "Epoch 1 of 2", "error": None, "summary": None,
    "spec": {"out": "/home/x/models/wood"}, "last_seq": 3,
}  # fmt: skip


@pytest.fixture
def book(package):
    from timo_qgis.backend.jobs import JobBook

    return JobBook()


def test_hundreds_of_jobs_are_told_in_turns_and_the_first_that_changed_first(book):
    for ident in "cab":
        book.take_listed({**ROW, "id": ident})
    assert [job.id for job in book.take_changed(2)] == ["c", "a"]
    book.apply("c", 4, "progress", 2.0, {"fraction": 0.6})
    book.apply("b", 4, "progress", 2.0, {"fraction": 0.7})
    assert [(job.id, job.fraction) for job in book.take_changed(2)] == [("b", 0.7), ("c", 0.6)]
    assert book.take_changed(2) == []


def test_list_and_events_make_one_job(book):
    book.take_listed(ROW)
    book.apply("a", 1, "state", 1.0, {"state": "queued", "attempt": 1, "error": None, "summary": None})
    book.apply("a", 2, "metric", 2.0, {"name": "train_loss", "value": 0.9, "step": 1})
    book.apply("a", 3, "progress", 2.0, {"fraction": 0.6, "message": "Epoch 2 of 2", "eta_s": 12.0})
    (job,) = book.take_changed()
    assert (job.name, job.message, job.fraction, job.eta_s) == ("wood", "Epoch 2 of 2", 0.6, 12.0)
    assert job.metrics == {"train_loss": ((1, 0.9),)}
    assert book.take_changed() == []


def test_job_has_its_name_from_the_submit_on(book):
    book.apply("a", 1, "state", 1.0, {"state": "starting", "attempt": 1})
    book.know("a", "finetune", ROW["spec"])
    (job,) = book.take_changed()
    assert (job.name, job.task, job.state) == ("wood", "finetune", "starting")


def test_event_that_comes_twice_counts_once(book):
    for _ in range(2):
        book.apply("a", 1, "metric", 1.0, {"name": "val_loss", "value": 0.5, "step": 1})
    assert book.take_changed()[0].metrics["val_loss"] == ((1, 0.5),)


def test_list_that_is_behind_the_events_changes_nothing(book):
    for seq in range(1, 5):
        book.apply("a", seq, "state", 9.0, {"state": "succeeded" if seq == 4 else "running", "attempt": 1})
    book.take_changed()
    book.take_listed(ROW)
    assert book.take_changed() == []


def test_end_of_a_job_is_seen_with_its_summary(book):
    book.take_listed(ROW)
    shown = {"path": "/home/x/models/wood.training/preview.tif", "kind": "preview"}
    assert not book.apply("a", 3, "artifact", 3.0, shown), "no output: it goes with the training"
    assert not book.apply("a", 4, "artifact", 3.0, {"path": "/home/x/models/wood", "kind": "bundle"})
    assert book.apply("a", 5, "state", 4.0, {"state": "succeeded", "attempt": 1, "summary": {"epoch": 2}})
    (job,) = book.take_changed()
    assert job.final and job.fraction == 1.0 and job.summary == {"epoch": 2}
    assert job.outputs() == {"bundle": "/home/x/models/wood"}


def test_curve_of_a_job_that_goes_on_from_a_checkpoint_is_one_curve(book):
    for seq, (step, value) in enumerate([(1, 0.9), (2, 0.8), (3, 0.7)], 1):
        book.apply("a", seq, "metric", 1.0, {"name": "val_loss", "value": value, "step": step})
    for seq, state in enumerate(["interrupted", "queued", "starting", "running"], 4):
        book.apply("a", seq, "state", 2.0, {"state": state, "attempt": 2})
    book.apply("a", 8, "metric", 3.0, {"name": "val_loss", "value": 0.75, "step": 2})
    book.apply("a", 9, "metric", 3.0, {"name": "val_loss", "value": 0.6, "step": 3})
    assert book.take_changed()[0].metrics["val_loss"] == ((1, 0.9), (2, 0.75), (3, 0.6))


def test_curve_whose_events_were_pruned_is_shown_whole(book):
    book.apply("a", 7, "gap", 1.0, {"first": 2})
    book.take_curves("a", {"val_loss": {"steps": [1, 2, 3], "values": [0.9, None, 0.7]}})
    book.apply("a", 8, "metric", 2.0, {"name": "val_loss", "value": 0.6, "step": 4})
    assert book.take_changed()[0].metrics["val_loss"] == ((1, 0.9), (3, 0.7), (4, 0.6))


def test_metric_that_was_no_number_is_left_out(book):
    book.apply("a", 1, "metric", 1.0, {"name": "val_loss", "value": None, "step": 1})
    assert "val_loss" not in book.take_changed()[0].metrics


# removed


def test_removed_job_stays_away_whatever_was_under_way(book):
    for row in (ROW, {**ROW, "id": "b"}):
        book.take_listed(row)
    assert book.drop(["a", "unknown"]) == ["a"]
    book.take_listed(ROW)
    book.apply("a", 9, "progress", 2.0, {"fraction": 0.6})
    book.take_curves("a", {"val_loss": {"steps": [1], "values": [0.9]}})
    assert [job.id for job in book.take_changed()] == ["b"]
    assert book.known() == {"b"} and book.drop(["a"]) == []


class Core:
    """Notes what would be sent."""

    def __init__(self):
        self.sent = []

    def send(self, kind, body):
        self.sent.append((kind, dict(body)))
        return str(len(self.sent))


@pytest.fixture
def link(package):
    """A connection that knows the jobs a, b and c; what it says is gone; and takes answers."""
    from timo_qgis._client.protocol import Message
    from timo_qgis.backend.thread import LinkThread

    class Link(LinkThread):
        def answer(self, *jobs, more=False, removals=0):
            rows = [{**ROW, "id": job, "state": "succeeded"} for job in jobs]
            body = {"jobs": rows, "more": more, "removals": removals}
            self._take(self.core, Message("reply", body, str(len(self.core.sent))))

        def ask(self, wanted):
            self._ask_for_list(self.core, wanted, self._book.known())

        def tell(self, job, kind, body):
            self._take(
                self.core, Message("event", {"job": job, "seq": 9, "kind": kind, "ts": 1.0, "body": body})
            )

    link = Link(None)
    link.core, link.gone = Core(), []
    link.jobs_removed.connect(link.gone.extend)
    link.ask(1000)
    link.answer("a", "b", "c")
    return link


def test_jobs_that_a_list_of_all_lacks_are_gone(link):
    from timo_qgis.backend.thread import AT_ONCE

    link.ask(1000)
    link._book.know("submitted meanwhile", "predict", {})
    link.answer("c", more=True)
    assert link.gone == [] and link.core.sent[-1] == ("jobs", {"limit": AT_ONCE, "before": "c"})
    link.answer("a")
    assert link.gone == ["b"]
    assert link._book.known() == {"a", "c", "submitted meanwhile"}


def test_a_list_comes_page_by_page_until_as_many_are_told_as_are_wanted(link):
    link.ask(150)
    assert link.core.sent[-1] == ("jobs", {"limit": 100})
    link.answer(*(f"n{number}" for number in range(100)), more=True)
    assert link.core.sent[-1] == ("jobs", {"limit": 50, "before": "n99"})
    link.answer(*(f"m{number}" for number in range(50)), more=True)
    assert link.core.sent[-1] == ("jobs", {"limit": 50, "before": "n99"}) and link.gone == []


def test_the_list_reaches_the_oldest_job_that_goes_on_and_is_not_followed(book):
    for number in range(9):
        state = "queued" if number == 4 else "succeeded"
        book.take_listed({**ROW, "id": str(number), "created": 1.0 + number, "state": state})
    assert book.depth(followed=()) == 5
    assert book.depth(followed={"4"}) == 0
    book.apply("4", 9, "state", 2.0, {"state": "cancelled"})
    assert book.depth(followed=()) == 0


def test_job_that_was_tried_again_is_followed_at_once(link):
    from timo_qgis._client.protocol import Message
    from timo_qgis.backend.thread import Command

    link._unanswered["x"] = Command("retry", {"job": "a"})
    link._take(link.core, Message("reply", {"job": "d"}, "x"))
    assert link.core.sent[-1] == ("subscribe", {"job": "d", "after": 0})


def test_what_was_submitted_is_told_before_all_else(book):
    book.take_listed(ROW)
    book.know("new", "predict", {})
    assert [job.id for job in book.take_changed(1)] == ["new"]


def test_the_thread_pauses_as_long_as_it_has_worked(package, monkeypatch):
    from timo_qgis.backend import pauses

    now, slept = [0.0], []
    monkeypatch.setattr(pauses.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(pauses.time, "sleep", slept.append)
    pause = pauses.Pauses()
    for spent in (0.0004, 0.0004, 0.0004, 0.0004, 0.0012, 0.2):
        now[0] += spent
        pause()
    assert slept == pytest.approx([0.0012, 0.0016, 0.005])
    now[0] += 1.0
    pause.begin()  # it waited
    pause()
    assert len(slept) == 3


def test_list_of_the_newest_says_nothing_of_the_others(link):
    link.ask(1)
    link.answer("c", more=True)
    assert link.gone == []


def test_all_are_listed_when_somebody_has_removed_one(link):
    from timo_qgis.backend.thread import LIST_ALL

    link._list = 0
    link.ask(1)
    link.answer("c", more=True)
    assert link._list == 0
    link.ask(1)
    link.answer("c", more=True, removals=1)
    assert link._list == LIST_ALL


def test_who_follows_a_job_hears_that_it_was_removed(link):
    link.tell("a", "removed", {"first": 4})
    assert link.gone == ["a"]
    assert link.core.sent[-1][0] == "unsubscribe"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (3, "about 5 s left"),
        (42, "about 40 s left"),
        (125, "about 2 min left"),
        (7200, "about 2.0 h left"),
    ],
)
def test_time_left_is_told_in_words(package, seconds, words):
    from timo_qgis.backend.jobs import time_left

    assert time_left(seconds) == words


def test_job_that_is_replayed_does_not_run_again(book):
    """A finished job is picked: its events are told from the first, and its state stays what it is."""
    book.take_listed({**ROW, "state": "succeeded", "fraction": 1.0, "last_seq": 6})
    book.take_changed()
    for seq, state in enumerate(["queued", "starting", "running"], 1):
        book.apply("a", seq, "state", 1.0, {"state": state, "attempt": 1})
        assert book.take_changed()[0].state == "succeeded"
    book.apply("a", 4, "progress", 2.0, {"fraction": 0.1, "message": "Epoch 1 of 9", "eta_s": 99.0})
    book.apply("a", 5, "metric", 2.0, {"name": "val_loss", "value": 0.5, "step": 1})
    (job,) = book.take_changed()
    assert (job.state, job.fraction, job.eta_s) == ("succeeded", 1.0, None)
    assert job.metrics == {"val_loss": ((1, 0.5),)}


def test_attempt_and_device_come_with_the_events(book):
    book.take_listed(ROW)
    book.apply("a", 4, "state", 1.0, {"state": "starting", "attempt": 2, "device": "cpu"})
    (job,) = book.take_changed()
    assert (job.attempt, job.device) == (2, "cpu")


def test_what_did_not_change_is_shared_between_views(book):
    """A long curve is not copied each time that a job tells its progress."""
    for step in range(1, 4):
        book.apply("a", step, "metric", 1.0, {"name": "val_loss", "value": 0.5, "step": step})
    before = book.take_changed()[0]
    book.apply("a", 4, "progress", 2.0, {"fraction": 0.1, "message": "x", "eta_s": None})
    after = book.take_changed()[0]
    assert after.metrics["val_loss"] is before.metrics["val_loss"]
    assert after.logs is before.logs


def test_long_log_keeps_its_end_and_says_what_is_new(book, package):
    from timo_qgis.backend.jobs import LOG_LINES

    known = 0
    for seq in range(1, 5 * LOG_LINES):
        book.apply("a", seq, "log", 1.0, {"level": "info", "message": "the same"})
        if seq % 700 == 0:
            (job,) = book.take_changed()
            assert len(job.logs) == min(seq, LOG_LINES)
            assert job.logged == seq and len(job.logged_since(known)) == 700
            known = job.logged


def test_points_are_those_of_their_moment_whatever_comes_after(package):
    from timo_qgis.backend.points import Curve

    curve = Curve([(1, 0.9), (2, 0.8)])
    before = curve.points()
    curve.add(3, 0.7)
    longer = curve.points()
    curve.add(2, 0.5)  # the job goes on from a checkpoint
    assert before == ((1, 0.9), (2, 0.8)) and longer == ((1, 0.9), (2, 0.8), (3, 0.7))
    assert curve.points() == ((1, 0.9), (2, 0.5))
    assert longer[-1] == (3, 0.7) and list(before) == [(1, 0.9), (2, 0.8)]
    assert longer[1:] == ((2, 0.8), (3, 0.7)) and before[::-1] == ((2, 0.8), (1, 0.9))
    assert not Curve().points()
    with pytest.raises(IndexError):
        before[2]
