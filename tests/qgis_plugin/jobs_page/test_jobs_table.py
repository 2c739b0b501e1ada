# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of jobs: their order, what is said of them, and which are shown."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QLabel, QWidget


def test_what_runs_is_on_top_then_what_waits_in_turn_then_what_ended_newest_first(dock, tell, names):
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


def test_selection_stays_with_its_job_when_rows_move(dock, tell, queue, names, select):
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


def test_counts_say_how_many_do_what(dock, tell, queue):
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


# which are shown


def test_jobs_are_found_by_state_task_and_name(dock, tell, qtbot, names):
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


# when there is no backend


def test_jobs_stay_in_sight_paler_when_the_backend_is_gone(dock, tell, names, select):
    from timo_qgis.backend.link_state import LinkState

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
        "timoJobsCleanUp",
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
