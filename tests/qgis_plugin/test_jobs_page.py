# SPDX-License-Identifier: GPL-3.0-or-later
"""The Jobs page: what it shows of jobs, and what is done with them by buttons, keys and dragging."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import QModelIndex, Qt
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtWidgets import QAbstractButton, QFileDialog, QLabel, QMessageBox, QWidget


@pytest.fixture
def make_job(package):
    from timo_qgis.backend.jobs import JobView

    return lambda **values: JobView(**{"id": "a", "task": "finetune", "spec": {"out": "/x/wood"}, **values})


@pytest.fixture
def sent(dock, qtbot, monkeypatch):
    """The dock as if the backend were there; the requests that it would have got."""
    from timo_qgis.backend.link import LinkState

    backend = dock.shared.backend
    qtbot.waitUntil(lambda: backend.state.phase == "missing")
    backend.close()
    commands = []
    monkeypatch.setattr(backend, "_send", commands.append)
    backend._on_state(LinkState("ready"))
    dock.tabs.setCurrentWidget(dock.jobs)
    return commands


@pytest.fixture
def tell(dock, sent, make_job):
    """Jobs as the backend tells them."""

    def told(*jobs):
        dock.shared.backend._on_jobs([make_job(**values) for values in jobs])

    return told


def asked(sent):
    return [(one.type, dict(one.body)) for one in sent if one.type != "subscribe"]


def queue(tell, *names):
    tell(
        *(
            {"id": name, "place": float(n), "created": 1.0, "spec": {"out": f"/x/{name}"}}
            for n, name in enumerate(names)
        )
    )


def names(page):
    proxy = page.view.proxy
    return [proxy.index(row, 0).data() for row in range(proxy.rowCount())]


def select(page, *wanted):
    page.view.clearSelection()
    for name in wanted:
        index = page.view.proxy.index(names(page).index(name), 0)
        flags = page.view.selectionModel().Select | page.view.selectionModel().Rows
        page.view.selectionModel().setCurrentIndex(index, flags)


def press(qtbot, page, name):
    button = page.findChild(QAbstractButton, name)
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


# what is shown


def test_failed_job_says_what_went_wrong_and_what_to_do(dock, tell):
    error = {"code": "band_missing", "message": "x.tif has no band 'nir'.", "action": "Pick another raster."}
    tell({"state": "failed", "error": error})
    page = dock.jobs
    assert page.model.index(0, 4).data() == "x.tif has no band 'nir'."
    select(page, "wood")
    assert "x.tif has no band 'nir'.\nPick another raster." in page.details.toPlainText()


@pytest.mark.parametrize("task, pixels", [("evaluate", "labelled"), ("finetune", "validation")])
def test_share_that_is_right_names_the_pixels_that_judged(dock, tell, task, pixels):
    tell({"task": task, "state": "succeeded", "created": 1.0, "summary": {"overall_accuracy": 0.9996}})
    dock.jobs.view.selectRow(0)
    assert f"99.9 % of the {pixels} pixels right" in dock.jobs.details.toPlainText()


def test_what_runs_is_on_top_then_what_waits_in_turn_then_what_ended_newest_first(dock, tell):
    tell(
        {"id": "1", "state": "succeeded", "created": 1.0, "spec": {"out": "/x/old"}},
        {"id": "2", "state": "failed", "created": 2.0, "spec": {"out": "/x/newer"}},
        {"id": "3", "state": "queued", "created": 5.0, "place": 9.0, "spec": {"out": "/x/later"}},
        {"id": "4", "state": "queued", "created": 9.0, "place": 3.0, "spec": {"out": "/x/sooner"}},
        {
            "id": "5",
            "state": "queued",
            "created": 9.0,
            "place": 99.0,
            "priority": 1,
            "spec": {"out": "/x/urgent"},
        },
        {"id": "6", "state": "running", "created": 3.0, "spec": {"out": "/x/runs"}},
        {"id": "7", "state": "paused", "created": 3.0, "spec": {"out": "/x/rests"}},
    )
    assert names(dock.jobs) == ["runs", "urgent", "sooner", "later", "rests", "newer", "old"]


def test_selection_stays_with_its_job_when_rows_move(dock, tell):
    queue(tell, "a", "b", "c")
    page = dock.jobs
    select(page, "c")
    tell({"id": "a", "state": "succeeded", "created": 1.0, "spec": {"out": "/x/a"}})
    tell({"id": "d", "state": "running", "created": 2.0, "spec": {"out": "/x/d"}})
    assert names(page) == ["d", "b", "c", "a"]
    assert page.selected().id == "c"


def test_estimates_are_no_jobs(dock, tell):
    tell({"spec": {"out": "/x/map.tif", "dry_run": True}})
    assert dock.jobs.model.rowCount() == 0
    assert dock.findChild(QLabel, "timoJobsCount").text() == "No jobs yet."


def test_counts_say_how_many_do_what(dock, tell):
    queue(tell, "a", "b", "c")
    tell({"id": "d", "state": "running"}, {"id": "e", "state": "paused"}, {"id": "f", "state": "failed"})
    assert dock.jobs.count.text() == "1 running, 3 waiting, 1 paused, 1 ended"


def test_names_get_the_room_of_the_messages_where_the_table_is_narrow(dock, tell, qtbot):
    view = dock.jobs.view
    view.setParent(None)
    qtbot.addWidget(view)
    view.resize(700, 300)
    view.show()
    assert not view.isColumnHidden(4)
    view.resize(350, 300)
    qtbot.waitUntil(lambda: view.isColumnHidden(4))


def test_job_that_waits_says_how_many_are_before_it(dock, tell):
    queue(tell, "a", "b", "c")
    tell({"id": "d", "state": "running"})
    select(dock.jobs, "c")
    assert "3 jobs are before it." in dock.jobs.details.toPlainText()


def test_finished_job_shows_its_curve_here_too(dock, tell, sent):
    tell({"state": "succeeded"})
    page = dock.jobs
    select(page, "wood")
    assert [(one.type, one.body["job"]) for one in sent if one.type == "subscribe"][-1] == ("subscribe", "a")
    assert not page.panel.isTabEnabled(1)
    tell({"state": "succeeded", "metrics": {"train_loss": ((1, 0.9), (2, 0.5))}})
    page.panel.setCurrentIndex(1)
    assert page.panel.curve.metrics["train_loss"] == ((1, 0.9), (2, 0.5))


def test_log_can_be_searched_and_shows_warnings_alone(dock, tell, qtbot):
    logs = (("info", "Read 5 dates"), ("warning", "Two labels disagree"), ("info", "Epoch 1"))
    tell({"state": "running", "logs": logs})
    page = dock.jobs
    select(page, "wood")
    page.panel.setCurrentIndex(2)
    log = page.panel.log
    assert log.text.toPlainText().splitlines() == ["Read 5 dates", "WARNING  Two labels disagree", "Epoch 1"]
    qtbot.keyClicks(log.find, "epoch")
    assert log.text.textCursor().selectedText() == "Epoch"
    log.warnings.setChecked(True)
    assert log.text.toPlainText() == "WARNING  Two labels disagree"
    tell({"state": "running", "logs": (*logs, ("warning", "The disk is nearly full"))})
    assert log.text.toPlainText().splitlines()[-1] == "WARNING  The disk is nearly full"
    press(qtbot, page, "timoJobsLogCopy")
    assert QGuiApplication.clipboard().text() == log.text.toPlainText()


def test_log_is_kept_in_a_file_of_the_analysts(dock, tell, qtbot, tmp_path):
    tell({"state": "failed", "logs": (("info", "Read 5 dates"),)})
    page = dock.jobs
    select(page, "wood")
    page.panel.setCurrentIndex(2)
    press(qtbot, page, "timoJobsLogSave")
    dialog = page.findChild(QFileDialog, "timoSaveDialog")
    dialog.fileSelected.emit(str(tmp_path / "log.txt"))
    dialog.close()
    assert (tmp_path / "log.txt").read_text(encoding="utf-8") == "Read 5 dates\n"


def test_outputs_say_how_large_they_are_and_which_are_gone(dock, tell, qtbot, tmp_path):
    (tmp_path / "map.tif").write_bytes(b"x" * 2048)
    (tmp_path / "dates").mkdir()
    (tmp_path / "dates" / "1.tif").write_bytes(b"x" * 1024)
    artifacts = (("map", str(tmp_path / "map.tif")), ("maps_per_date", str(tmp_path / "dates")),
                 ("confidence", str(tmp_path / "gone.tif")))  # fmt: skip
    tell({"task": "predict", "state": "succeeded", "artifacts": artifacts})
    page = dock.jobs
    select(page, "wood")
    page.panel.setCurrentIndex(3)
    tree = page.panel.outputs.tree

    def rows():
        return [tuple(tree.topLevelItem(n).text(c) for c in (0, 1)) for n in range(tree.topLevelItemCount())]

    qtbot.waitUntil(lambda: all(size for _, size in rows()))
    assert [kind for kind, _ in rows()] == ["Map", "Maps of the dates", "Confidence"]
    assert rows()[0][1].startswith("2") and rows()[1][1].startswith("1")
    assert rows()[2][1] == "moved or deleted"
    with qtbot.waitSignal(page.opened):
        press(qtbot, page, "timoJobsOpen")


# which are shown


def test_jobs_are_found_by_state_task_and_name(dock, tell, qtbot):
    tell(
        {"id": "1", "state": "running", "spec": {"out": "/x/oaks"}},
        {"id": "2", "state": "failed", "spec": {"out": "/x/birches"}},
        {"id": "3", "state": "succeeded", "task": "predict", "spec": {"out": "/x/oaks.tif"}},
    )
    page = dock.jobs
    qtbot.keyClicks(page.bar.text, "OAK")
    assert names(page) == ["oaks", "oaks.tif"]
    page.bar.task.setCurrentIndex(page.bar.task.findData("predict"))
    assert names(page) == ["oaks.tif"]
    page.bar.text.clear()
    page.bar.task.setCurrentIndex(0)
    page.bar.state.setCurrentIndex(page.bar.state.findData("failed"))
    assert names(page) == ["birches"]


def test_hidden_jobs_stay_hidden_when_qgis_starts_again_and_can_be_shown(dock, tell, qtbot, package):
    from timo_qgis.settings import Settings

    tell({"id": "1", "state": "running"}, {"id": "2", "state": "failed"}, {"id": "3", "state": "cancelled"})
    page = dock.jobs
    page.bar.hide_button.menu().actions()[0].trigger()
    assert len(names(page)) == 1
    assert "2 of them hidden" in page.count.text()
    assert set(Settings.load().hidden_jobs) == {"2", "3"}
    page.bar.everything.trigger()
    assert len(names(page)) == 3
    assert Settings.load().hidden_jobs == []


def test_jobs_that_ended_long_ago_are_hidden_where_that_is_wished(dock, tell):
    import time

    tell(
        {"id": "1", "state": "failed", "ended": time.time() - 3 * 86400, "spec": {"out": "/x/old"}},
        {"id": "2", "state": "failed", "ended": time.time() - 60, "spec": {"out": "/x/new"}},
        {"id": "3", "state": "queued", "created": 1.0, "spec": {"out": "/x/waits"}},
    )
    page = dock.jobs
    dict(page.bar.ages)[1].trigger()
    assert names(page) == ["waits", "new"]


# what can be done


def test_only_a_job_that_runs_can_be_cancelled(dock, tell, sent, qtbot):
    tell({"id": "done", "created": 1.0, "state": "succeeded", "spec": {"out": "/x/done"}},
         {"id": "runs", "created": 2.0, "attempt": 3, "spec": {"out": "/x/runs"}})  # fmt: skip
    page = dock.jobs
    select(page, "done")
    assert not page.cancel.isEnabled()
    assert "has ended" in page.cancel.toolTip()
    select(page, "runs")
    press(qtbot, page, "timoJobsCancel")
    assert asked(sent) == [("cancel", {"job": "runs", "attempt": 3})]


def test_cancelling_asks_only_where_work_would_be_lost(dock, tell, sent, qtbot):
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
def test_a_training_is_paused_goes_on_and_ends_early(dock, tell, sent, qtbot, state, button, request_):
    tell({"state": state})
    select(dock.jobs, "wood")
    press(qtbot, dock.jobs, f"timoJobs{button}")
    assert asked(sent) == [(request_, {"job": "a"})]


def test_map_cannot_keep_its_best_and_the_button_says_why(dock, tell):
    tell({"task": "predict", "state": "running"})
    select(dock.jobs, "wood")
    button = dock.jobs.findChild(QAbstractButton, "timoJobsFinish")
    assert not button.isEnabled()
    assert "Only a training" in button.toolTip()


def test_several_jobs_are_tried_again_by_the_keyboard(dock, tell, sent, qtbot):
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
def test_jobs_that_wait_change_places(dock, tell, sent, qtbot, chosen, button, after):
    queue(tell, *"abcd")
    select(dock.jobs, *chosen)
    press(qtbot, dock.jobs, f"timoJobs{button}")
    assert carried_out("abcd", asked(sent)) == after


@pytest.mark.parametrize(
    ("chosen", "button"), [("a", "Up"), ("a", "Top"), ("ab", "Up"), ("d", "Down"), ("cd", "Down")]
)
def test_job_at_the_end_of_its_way_cannot_be_moved_on(dock, tell, chosen, button):
    queue(tell, *"abcd")
    select(dock.jobs, *chosen)
    found = dock.jobs.findChild(QAbstractButton, f"timoJobs{button}")
    assert not found.isEnabled()
    assert "any further" in found.toolTip()


@pytest.mark.parametrize(
    ("chosen", "row", "after"),
    [("d", 1, "dabc"), ("a", 4, "bcad"), ("ab", 5, "cdab"), ("c", 0, "cabd"), ("b", -1, "acdb")],
)
def test_jobs_that_wait_are_dragged_to_their_place(dock, tell, sent, chosen, row, after):
    """Row 0 runs, so the queue begins with row 1."""
    tell({"id": "r", "state": "running", "created": 9.0})
    queue(tell, *"abcd")
    page = dock.jobs
    data = page.view.proxy.mimeData([page.view.proxy.index(names(page).index(name), 0) for name in chosen])
    page.view.proxy.dropMimeData(data, Qt.DropAction.MoveAction, row, 0, QModelIndex())
    assert carried_out("abcd", asked(sent)) == after
    assert names(page)[1:] == list("abcd"), "rows move when the backend has taken it"


def test_what_the_backend_refuses_is_said(dock, tell, sent, qtbot):
    tell({"state": "running", "attempt": 1})
    page = dock.jobs
    select(page, "wood")
    press(qtbot, page, "timoJobsCancel")
    refusal = {"code": "stale_attempt", "message": "Job 'a' is at attempt 2, not 1.", "action": "Look again."}
    dock.shared.backend.refused.emit(sent[-1].token, refusal)
    assert page.told.text() == "Job 'a' is at attempt 2, not 1. Look again."


def test_report_has_what_a_helper_needs(dock, tell, qtbot):
    error = {"code": "x", "message": "The disk is full.", "action": "Free some.", "detail": {"path": "/d"}}
    tell({"state": "failed", "error": error, "logs": (("warning", "Little room"),)})
    page = dock.jobs
    select(page, "wood")
    press(qtbot, page, "timoJobsCopy")
    text = QGuiApplication.clipboard().text()
    for part in ("The disk is full.", "/x/wood", "Little room", '"path": "/d"', "Job a"):
        assert part in text


# when there is no backend


def test_jobs_stay_in_sight_paler_when_the_backend_is_gone(dock, tell):
    from timo_qgis.backend.link import LinkState

    tell({"state": "running"})
    page = dock.jobs
    select(page, "wood")
    live = page.view.proxy.index(0, 0).data(Qt.ItemDataRole.ForegroundRole)
    dock.shared.backend._on_state(LinkState("failed", "The backend keeps ending.", "See its log."))
    assert names(page) == ["wood"]
    assert page.view.proxy.index(0, 0).data(Qt.ItemDataRole.ForegroundRole) != live
    assert page.count.text() == "As last heard of: 1 running"
    assert not page.cancel.isEnabled()
    assert "backend is not ready" in page.cancel.toolTip()
    dock.shared.backend._on_state(LinkState("ready"))
    assert page.cancel.isEnabled()
    assert page.view.proxy.index(0, 0).data(Qt.ItemDataRole.ForegroundRole) == live


def test_everything_has_a_name_for_screen_readers(dock, tell):
    page = dock.jobs
    for kind in (
        "timoJobsState",
        "timoJobsTask",
        "timoJobsFilter",
        "timoJobsHideMenu",
        "timoJobsUp",
        "timoJobsLogFind",
    ):
        widget = page.findChild(QWidget, kind)
        assert widget.accessibleName(), kind
        assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus, kind


# many


def test_only_rows_whose_texts_changed_are_told(dock, make_job, sent):
    """500 jobs, of which one tells something: the table draws one row again, and is never reset."""
    backend, model = dock.shared.backend, dock.jobs.model
    jobs = [
        make_job(id=f"{n:03}", state="running" if n < 3 else "succeeded", created=float(n))
        for n in range(500)
    ]
    inserted, told, resets, layouts = [], [], [], []
    model.rowsInserted.connect(lambda _parent, first, last: inserted.append((first, last)))
    model.dataChanged.connect(lambda first, last: told.append((first.row(), last.row())))
    model.modelReset.connect(lambda: resets.append(1))
    model.layoutChanged.connect(lambda *_: layouts.append(1))
    backend._on_jobs(jobs)
    assert inserted == [(0, 499)], "all at once"
    for step in range(1, 101):
        some = make_job(
            id="001", state="running", created=1.0, fraction=step / 100, metrics={"a": ((step, 0.1),)}
        )
        backend._on_jobs([some, jobs[0], jobs[250], jobs[499]])
    assert told == [(model.row("001"),) * 2] * 100
    told.clear()
    backend._on_jobs(
        [make_job(id=f"{n:03}", state="running", created=float(n), fraction=0.5) for n in range(3)]
    )
    assert told == [(0, 2)], "neighbours together"
    assert not resets and not layouts
