# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that have ended are removed: those of the table that are selected, or all of a kind in the window."""

from __future__ import annotations

import time

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel, QMessageBox, QRadioButton

DAY = 86400
KILOBYTE = 1024


@pytest.fixture
def ended(tell):
    """Jobs as they are left after some weeks."""
    now = time.time()
    tell(
        {
            "id": "old",
            "state": "succeeded",
            "created": 1.0,
            "ended": now - 40 * DAY,
            "spec": {"out": "/x/old"},
        },
        {"id": "new", "state": "succeeded", "created": 3.0, "ended": now - DAY, "spec": {"out": "/x/new"}},
        {
            "id": "failed",
            "state": "failed",
            "created": 2.0,
            "ended": now - 2 * DAY,
            "spec": {"out": "/x/failed"},
        },
        {"id": "runs", "state": "running", "created": now, "spec": {"out": "/x/runs"}},
        {"id": "estimate", "state": "succeeded", "ended": now - 9 * DAY, "spec": {"dry_run": True}},
    )


@pytest.fixture
def answer(dock, sent):
    """Answers the last request ``remove`` as the backend does, at so many bytes a job."""

    def answer(each):
        command = sent[-1]
        jobs = list(command.body["jobs"])
        if not command.body["dry_run"]:
            dock.shared.backend._on_removed(jobs)
        body = {"jobs": jobs, "freed": each * len(jobs)}
        dock.shared.backend._on_answer(command.token, body)

    return answer


@pytest.fixture
def window(dock, ended, qtbot, press):
    """The clean-up window, opened by its button."""
    press(qtbot, dock.jobs, "timoJobsCleanUp")
    return dock.window().findChild(QObject, "timoCleanUp")


def asked_for(sent):
    return {job for one in sent if one.type == "remove" for job in one.body["jobs"]}


@pytest.mark.parametrize(
    ("choice", "jobs", "says"),
    [
        ("All", {"old", "new", "failed", "estimate"}, "3 jobs, 4.0 kB on disk."),
        ("Old", {"old"}, "1 job, 1.0 kB on disk."),
        ("Failed", {"failed"}, "1 job, 1.0 kB on disk."),
    ],
)
def test_window_says_how_many_jobs_go_and_what_disk_they_take(window, sent, answer, choice, jobs, says):
    window.findChild(QRadioButton, f"timoCleanUp{choice}").setChecked(True)
    assert not window.remove.isEnabled(), "nothing is removed unseen"
    answer(KILOBYTE)
    assert set(sent[-1].body["jobs"]) == jobs and sent[-1].body["dry_run"]
    assert window.findChild(QLabel, "timoCleanUpFound").text().replace("KiB", "kB") == says
    assert window.remove.isEnabled()
    assert "Maps, models and reports stay." in window.findChild(QLabel, "timoCleanUpIntro").text()


def test_days_are_the_analysts(window, sent, answer):
    window.days.setValue(5)
    answer(KILOBYTE)
    assert set(sent[-1].body["jobs"]) == {"old", "estimate"}
    window.days.setValue(100)
    assert window.found.text() == "There is no such job."
    assert not window.remove.isEnabled()


def test_what_was_counted_is_removed_and_the_rest_stays(dock, window, sent, tell, answer, qtbot, names):
    page = dock.jobs
    window.choices["all"].setChecked(True)
    answer(KILOBYTE)
    tell({"id": "runs", "state": "failed", "ended": time.time(), "spec": {"out": "/x/runs"}})
    page.view.selectRow(names(page).index("new"))
    with qtbot.waitSignal(window.destroyed):
        qtbot.mouseClick(window.remove, Qt.MouseButton.LeftButton)
        assert asked_for(sent[-1:]) == {"old", "new", "failed", "estimate"}
        answer(KILOBYTE)
    assert names(page) == ["runs"]
    assert page.told.text().startswith("3 jobs removed, 4")
    assert page.count.text() == "1 ended"
    assert page.selected() is None and page.details.toPlainText() == ""


def test_many_jobs_are_asked_for_by_the_hundred(dock, tell, sent, qtbot, press, answer, names):
    tell(*({"id": f"{n}", "state": "failed", "ended": 1.0, "spec": {"out": f"/x/{n}"}} for n in range(250)))
    press(qtbot, dock.jobs, "timoJobsCleanUp")
    window = dock.window().findChild(QObject, "timoCleanUp")
    for count in (100, 100, 50):
        assert len(sent[-1].body["jobs"]) == count and not window.remove.isEnabled()
        answer(KILOBYTE)
    assert window.found.text().startswith("250 jobs, 250")
    qtbot.mouseClick(window.remove, Qt.MouseButton.LeftButton)
    for _ in range(3):
        answer(KILOBYTE)
    assert names(dock.jobs) == []
    assert dock.jobs.count.text() == "No jobs yet."


def test_refusal_is_said_in_the_window(dock, window, sent, answer, qtbot):
    answer(KILOBYTE)
    qtbot.mouseClick(window.remove, Qt.MouseButton.LeftButton)
    refusal = {"code": "disk_full", "message": "The disk is full.", "action": "Free some."}
    dock.shared.backend.refused.emit(sent[-1].token, refusal)
    assert window.found.text() == "The disk is full. Free some."


@pytest.mark.parametrize(("how", "agree"), [("menu", False), ("menu", True), ("key", True)])
def test_selected_jobs_are_removed_by_the_menu_or_the_key_after_a_question(
    dock, ended, sent, answer, qtbot, select, names, asked, how, agree
):
    page = dock.jobs
    select(page, "old", "new", "runs")
    if how == "key":
        qtbot.keyClick(page.view, Qt.Key.Key_Delete, Qt.KeyboardModifier.ShiftModifier)
    else:
        next(a for a in page.actions.menu(page).actions() if a.text() == "Remove").trigger()
    box = page.findChild(QMessageBox, "timoQuestion")
    assert box.text() == "Remove 2 jobs?" and "Maps, models and reports stay." in box.informativeText()
    assert asked(sent) == []
    button = next(b for b in box.buttons() if (b.text().replace("&", "") == "Remove them") == agree)
    with qtbot.waitSignal(box.destroyed):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    if agree:
        answer(KILOBYTE)
        assert page.told.text().startswith("2 jobs removed, 2")
    assert names(page) == (["runs", "failed"] if agree else ["runs", "new", "failed", "old"])


def test_job_that_runs_cannot_be_removed_and_the_button_says_why(dock, ended, select):
    select(dock.jobs, "runs")
    button = dock.jobs.findChild(QAbstractButton, "timoJobsRemove")
    assert not button.isEnabled()
    assert "cancel it first" in button.toolTip()


def test_removed_rows_are_told_together(dock, tell, make_job, sent):
    tell(*({"id": f"{n:03}", "state": "failed", "created": float(n + 1)} for n in range(500)))
    model, told = dock.jobs.model, []
    model.rowsRemoved.connect(lambda _parent, first, last: told.append((first, last)))
    dock.shared.backend._on_removed([f"{n:03}" for n in range(500) if n not in (100, 101)])
    assert told == [(400, 499), (0, 397)]
    assert [job.id for job in model.jobs] == ["101", "100"]
    assert [model.row(job) for job in ("101", "100", "099")] == [0, 1, -1]
    tell({"id": "100", "state": "failed", "created": 101.0, "message": "still there"})
    assert model.jobs[1].message == "still there"


def test_page_of_a_removed_job_shows_it_no_more(dock, tell, sent):
    tell({"id": "a", "state": "succeeded"})
    dock.train.follower.follow("a")
    assert dock.train.box.isVisibleTo(dock.train)
    dock.shared.backend._on_removed(["a"])
    assert not dock.train.box.isVisibleTo(dock.train)
    tell({"id": "b", "state": "running"})
    assert dock.train.box.job.id == "b" and dock.train.box.isVisibleTo(dock.train)


def test_results_of_a_removed_job_are_awaited_no_more(dock, tell, sent):
    dock.arrivals.waiting.keep(["a", "b"], QgsProject.instance().fileName())
    dock.shared.backend._on_removed(["a", "never heard of"])
    assert set(dock.arrivals.waiting.projects) == {"b"}
