# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as the plugin keeps and shows them: what events and lists tell is folded in, whatever comes first."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import QSize

ROW = {
    "id": "a", "task": "finetune", "state": "running", "created": 1.0, "started": 2.0, "ended": None,
    "fraction": 0.5, "message": "Epoch 1 of 2", "error": None, "summary": None,
    "spec": {"out": "/home/x/models/wood"}, "last_seq": 3,
}  # fmt: skip


@pytest.fixture
def book(package):
    from timo_qgis.backend.jobs import JobBook

    return JobBook()


@pytest.fixture
def make_job(package):
    from timo_qgis.backend.jobs import JobView

    return lambda **values: JobView(**{"id": "a", "task": "finetune", "spec": {"out": "/x/wood"}, **values})


def test_list_and_events_make_one_job(book):
    book.list([ROW])
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
    book.list([ROW])
    assert book.take_changed() == []


def test_end_of_a_job_is_seen_with_its_summary(book):
    book.list([ROW])
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


def test_failed_job_says_what_went_wrong_and_what_to_do(make_job):
    from timo_qgis.gui.page_jobs import describe

    error = {"code": "band_missing", "message": "x.tif has no band 'nir'.", "action": "Pick another raster."}
    text = describe(make_job(state="failed", error=error))
    assert "x.tif has no band 'nir'." in text
    assert "Pick another raster." in text


def test_table_shows_newest_first_and_keeps_the_selection(dock, make_job):
    page = dock.jobs
    page.model.update([make_job(id="old", created=1.0)])
    page.view.selectRow(0)
    page.model.update([make_job(id="new", created=2.0, state="running", fraction=0.25)])
    assert [job.id for job in page.model.jobs] == ["new", "old"]
    assert page.selected().id == "old"


def test_names_get_the_room_of_the_messages_where_the_table_is_narrow(dock, make_job, qtbot):
    view = dock.jobs.view
    view.setParent(None)
    qtbot.addWidget(view)
    view.resize(700, 300)
    view.show()
    assert not view.isColumnHidden(4)
    view.resize(350, 300)
    qtbot.waitUntil(lambda: view.isColumnHidden(4))


def test_error_stands_in_the_table_and_its_details(dock, make_job):
    page = dock.jobs
    page.model.update(
        [make_job(state="failed", error={"message": "The disk is full.", "action": "Free some."})]
    )
    assert page.model.index(0, 4).data() == "The disk is full."
    page.view.selectRow(0)
    assert "Free some." in page.details.toPlainText()


def test_only_a_job_that_runs_can_be_cancelled(dock, make_job):
    page = dock.jobs
    page.model.update([make_job(id="done", created=1.0, state="succeeded"), make_job(id="runs", created=2.0)])
    page.view.selectRow(0)
    assert page.cancel.isEnabled()
    page.view.selectRow(1)
    assert not page.cancel.isEnabled()


@pytest.mark.parametrize("points", [0, 1, 2, 5000])
def test_curve_is_painted_with_any_number_of_epochs(package, qtbot, points):
    from timo_qgis.gui.curve import CurveWidget

    widget = CurveWidget("curve")
    qtbot.addWidget(widget)
    widget.resize(QSize(380, 180))
    empty = widget.grab().toImage()
    metrics = {
        "train_loss": tuple((n, 1 / n) for n in range(1, points + 1)),
        "val_miou": tuple((n, 1 - 1 / n) for n in range(1, points + 1)),
    }
    widget.show_metrics(metrics, points)
    assert (widget.grab().toImage() != empty) == (points > 0)
    assert ("validation mean iou" in widget.accessibleDescription()) == (points > 0)


def test_run_box_says_how_it_stands(package, qtbot, make_job):
    from timo_qgis.gui.run_box import RunBox

    box = RunBox("box", "Use this model")
    qtbot.addWidget(box)
    box.show_job(make_job(state="running", fraction=0.5, message="Epoch 3 of 40", eta_s=125.0))
    assert box.message.text() == "Epoch 3 of 40 · about 2 min left"
    assert box.bar.value() == 500
    assert not box.cancel.isHidden() and box.open.isHidden()
    box.show_job(
        make_job(state="failed", error={"message": "Out of memory.", "action": "Take a smaller model."})
    )
    assert box.message.text() == "Out of memory. Take a smaller model."
    assert box.cancel.isHidden() and box.bar.isHidden()
    box.show_job(make_job(state="succeeded"))
    assert not box.open.isHidden()
