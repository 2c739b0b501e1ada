# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done with jobs by buttons, keys and dragging."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import QModelIndex, Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QMessageBox


def test_only_a_job_that_runs_can_be_cancelled(dock, tell, sent, qtbot, asked, select, press):
    tell({"id": "done", "created": 1.0, "state": "succeeded", "spec": {"out": "/x/done"}},
         {"id": "runs", "created": 2.0, "attempt": 3, "spec": {"out": "/x/runs"}})  # fmt: skip
    page = dock.jobs
    select(page, "done")
    assert not page.cancel.isEnabled()
    assert "has ended" in page.cancel.toolTip()
    select(page, "runs")
    press(qtbot, page, "timoJobsCancel")
    assert asked(sent) == [("cancel", {"job": "runs", "attempt": 3})]


def test_cancelling_asks_only_where_work_would_be_lost(dock, tell, sent, qtbot, asked, select):
    tell({"state": "running", "fraction": 0.5, "attempt": 1})
    page = dock.jobs
    select(page, "wood")
    for agree in (False, True):
        qtbot.keyClick(page.view, Qt.Key.Key_Delete)
        box = page.findChild(QMessageBox, "timoQuestion")
        assert "Cancel wood?" in box.text()
        assert asked(sent) == []
        button = next(b for b in box.buttons() if (b.text().replace("&", "") == "Cancel it") == agree)
        with qtbot.waitSignal(box.destroyed):
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert asked(sent) == [("cancel", {"job": "a", "attempt": 1})]


@pytest.mark.parametrize(
    ("state", "button", "request_"),
    [("running", "Pause", "pause"), ("paused", "Resume", "resume"), ("running", "Finish", "finish")],
)
def test_a_training_is_paused_goes_on_and_ends_early(
    dock, tell, sent, qtbot, state, button, request_, asked, select, press
):
    tell({"state": state})
    select(dock.jobs, "wood")
    press(qtbot, dock.jobs, f"timoJobs{button}")
    assert asked(sent) == [(request_, {"job": "a"})]


def test_map_cannot_keep_its_best_and_the_button_says_why(dock, tell, select):
    tell({"task": "predict", "state": "running"})
    select(dock.jobs, "wood")
    button = dock.jobs.findChild(QAbstractButton, "timoJobsFinish")
    assert not button.isEnabled()
    assert "Only a training" in button.toolTip()


def test_keys_pressed_in_the_map_do_nothing_to_jobs(dock, iface, tell, sent, qtbot, asked, select):
    tell({"id": "1", "state": "queued", "spec": {"out": "/x/1"}})
    select(dock.jobs, "1")
    canvas = iface.mapCanvas()
    iface.window.activateWindow()
    canvas.setFocus()
    qtbot.waitUntil(canvas.hasFocus)
    for key in (Qt.Key.Key_Delete, Qt.Key.Key_R):
        qtbot.keyClick(canvas, key)
        qtbot.keyClick(canvas, key, Qt.KeyboardModifier.ControlModifier)
    assert asked(sent) == []


def test_several_jobs_are_tried_again_by_the_keyboard(dock, tell, sent, qtbot, asked, select):
    tell({"id": "1", "state": "failed", "spec": {"out": "/x/1"}},
         {"id": "2", "state": "cancelled", "spec": {"out": "/x/2"}},
         {"id": "3", "state": "succeeded", "spec": {"out": "/x/3"}})  # fmt: skip
    page = dock.jobs
    select(page, "1", "2", "3")
    qtbot.keyClick(page.view, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    assert sorted(body["job"] for kind, body in asked(sent) if kind == "retry") == ["1", "2"]


def carried_out(order, requests):
    """The queue after the backend has done what it was asked for."""
    order = list(order)
    for kind, body in requests:
        assert kind == "order"
        order.remove(body["job"])
        order.insert(order.index(body["before"]), body["job"])
    return "".join(order)


@pytest.mark.parametrize(
    ("chosen", "button", "after"),
    [
        ("c", "Up", "acbd"), ("b", "Down", "acbd"), ("d", "Top", "dabc"), ("c", "Down", "abdc"),
        ("bd", "Up", "bdac"), ("ac", "Down", "bdac"), ("cd", "Top", "cdab"), ("ad", "Down", "bcad"),
    ],
)  # fmt: skip
def test_jobs_that_wait_change_places(
    dock, tell, sent, qtbot, chosen, button, after, asked, queue, select, press
):
    queue(tell, *"abcd")
    select(dock.jobs, *chosen)
    press(qtbot, dock.jobs, f"timoJobs{button}")
    assert carried_out("abcd", asked(sent)) == after


@pytest.mark.parametrize(
    ("chosen", "button"), [("a", "Up"), ("a", "Top"), ("ab", "Up"), ("d", "Down"), ("cd", "Down")]
)
def test_job_at_the_end_of_its_way_cannot_be_moved_on(dock, tell, chosen, button, queue, select):
    queue(tell, *"abcd")
    select(dock.jobs, *chosen)
    found = dock.jobs.findChild(QAbstractButton, f"timoJobs{button}")
    assert not found.isEnabled()
    assert "any further" in found.toolTip()


@pytest.mark.parametrize(
    ("chosen", "row", "after"),
    [("d", 1, "dabc"), ("a", 4, "bcad"), ("ab", 5, "cdab"), ("c", 0, "cabd"), ("b", -1, "acdb")],
)
def test_jobs_that_wait_are_dragged_to_their_place(dock, tell, sent, chosen, row, after, asked, queue, names):
    """Row 0 runs, so the queue begins with row 1."""
    tell({"id": "r", "state": "running", "created": 9.0})
    queue(tell, *"abcd")
    page = dock.jobs
    data = page.view.proxy.mimeData([page.view.proxy.index(names(page).index(name), 0) for name in chosen])
    page.view.proxy.dropMimeData(data, Qt.DropAction.MoveAction, row, 0, QModelIndex())
    assert carried_out("abcd", asked(sent)) == after
    assert names(page)[1:] == list("abcd"), "rows move when the backend has taken it"


def test_what_the_backend_refuses_is_said(dock, tell, sent, qtbot, select, press):
    tell({"state": "running", "attempt": 1})
    page = dock.jobs
    select(page, "wood")
    press(qtbot, page, "timoJobsCancel")
    refusal = {"code": "stale_attempt", "message": "Job 'a' is at attempt 2, not 1.", "action": "Look again."}
    dock.shared.backend.refused.emit(sent[-1].token, refusal)
    assert page.told.text() == "Job 'a' is at attempt 2, not 1. Look again."


def test_a_refusal_comes_with_what_helps_until_the_next_request(dock, tell, sent, select, press, qtbot):
    tell({"state": "running", "attempt": 1})
    page = dock.jobs
    dock.setUserVisible(True)
    dock.tabs.setCurrentWidget(page)
    select(page, "wood")
    press(qtbot, page, "timoJobsPause")
    full = {"code": "disk_full", "message": "The disk is full.", "action": "Free some of it."}
    dock.shared.backend.refused.emit(sent[-1].token, full)
    assert page.told.text() == "The disk is full. Free some of it."
    assert page.help.isVisible() and page.help.text() == "Open the folder"
    press(qtbot, page, "timoJobsPause")
    assert not page.help.isVisible() and not page.told.isVisible()


def test_a_refusal_on_the_jobs_own_page_comes_with_what_helps(dock, tell, sent, press, qtbot):
    tell({"state": "running", "task": "finetune", "attempt": 1})
    dock.train.follower.follow("a")
    box = dock.train.box
    qtbot.mouseClick(box.pause, Qt.MouseButton.LeftButton)
    full = {"code": "disk_full", "message": "The disk is full.", "action": "Free some of it."}
    dock.shared.backend.refused.emit(sent[-1].token, full)
    assert box.note.text() == "The disk is full. Free some of it."
    assert not box.remedy.isHidden() and box.remedy.text() == "Open the folder"
    tell({"state": "pausing", "task": "finetune", "attempt": 1})
    assert box.remedy.isHidden() and box.note.isHidden()


def test_log_of_a_failed_job_is_one_click_from_its_page(dock, tell, qtbot):
    tell(
        {"id": "old", "state": "succeeded", "spec": {"out": "/x/old"}},
        {"id": "bad", "state": "failed", "error": {"message": "It ended."}, "spec": {"out": "/x/bad"}},
    )
    dock.jobs.bar.state.setCurrentIndex(dock.jobs.bar.state.findData("done"))
    dock.train.follower.follow("bad")
    dock.tabs.setCurrentWidget(dock.train)
    qtbot.waitUntil(lambda: not dock.train.box.log.isHidden())
    dock.train.box.log.click()
    assert dock.tabs.currentWidget() is dock.jobs
    assert dock.jobs.selected().id == "bad"
