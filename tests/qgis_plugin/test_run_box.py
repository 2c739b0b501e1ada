# SPDX-License-Identifier: GPL-3.0-or-later
"""The box that follows a job on its page: how it stands in words, and what can be done."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtWidgets import QMessageBox


@pytest.fixture
def make_job(package):
    from timo_qgis.backend.jobs import JobView

    return lambda **values: JobView(**{"id": "a", "task": "finetune", "spec": {"out": "/x/wood"}, **values})


@pytest.fixture
def backend(package, qtbot):
    """The real face of the backend, whose requests are kept and not sent."""
    from pathlib import Path

    from timo_qgis.backend.link import Backend
    from timo_qgis.backend.link_state import LinkState

    backend = Backend("", Path("/nowhere"))
    backend.sent = []
    backend._send = backend.sent.append
    backend._on_state(LinkState("ready"))
    backend._on_hello(
        {"devices": [{"id": "GPU-1", "name": "NVIDIA GeForce RTX 4090"}, {"id": "cpu", "name": "A CPU"}]}
    )
    return backend


@pytest.fixture
def box(backend, qtbot):
    from timo_qgis.gui.run_box import RunBox

    box = RunBox("box", "Use this model")
    qtbot.addWidget(box)
    box.attach(backend)
    box.cancelled.connect(backend.cancel)
    return box


@pytest.fixture
def tell(backend, box, make_job):
    """The job, and others, as the backend tells them."""

    def told(*others, **values):
        job = make_job(**values)
        backend._on_jobs([job, *(make_job(**other) for other in others)])
        box.show_job(job)

    return told


def buttons(box):
    names = ("pause", "resume", "finish", "cancel", "retry", "log", "open")
    return {name for name in names if not getattr(box, name).isHidden() and getattr(box, name).isEnabled()}


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_run_box_says_how_it_stands(tell, box):
    tell(state="running", fraction=0.5, message="Epoch 3 of 40", eta_s=125.0, device="GPU-1")
    assert box.message.text() == "Epoch 3 of 40 · about 2 min left · NVIDIA GeForce RTX 4090"
    assert box.bar.value() == 500
    tell(state="failed", error={"message": "Out of memory.", "action": "Take a smaller model."})
    assert box.message.text() == "Out of memory. Take a smaller model."
    assert box.bar.isHidden()


@pytest.mark.parametrize(
    ("state", "task", "offered"),
    [
        ("queued", "finetune", {"pause", "finish", "cancel"}),
        ("running", "finetune", {"pause", "finish", "cancel"}),
        ("running", "predict", {"pause", "cancel"}),
        ("pausing", "predict", {"cancel"}),
        ("paused", "finetune", {"resume", "finish", "cancel"}),
        ("cancelling", "finetune", set()),
        ("failed", "finetune", {"retry", "log"}),
        ("cancelled", "predict", {"retry"}),
        ("succeeded", "predict", {"open"}),
    ],
)
def test_only_what_makes_sense_is_offered(tell, box, state, task, offered):
    tell(state=state, task=task)
    assert buttons(box) == offered


def test_nothing_is_offered_while_the_backend_is_gone(tell, box, backend):
    from timo_qgis.backend.link_state import LinkState

    tell(state="running")
    backend._on_state(LinkState("connecting"))
    assert buttons(box) == set()
    backend._on_state(LinkState("ready"))
    assert buttons(box) == {"pause", "finish", "cancel"}


def test_job_that_waits_says_how_many_are_before_it(tell, box):
    others = [{"id": "r", "state": "running"}, {"id": "b", "place": 1.0}, {"id": "late", "place": 9.0}]
    tell(*others, state="queued", place=5.0)
    assert box.message.text() == "Waiting, 2 jobs before it."


def test_place_in_the_queue_follows_the_other_jobs(tell, box, backend, make_job):
    tell({"id": "r", "state": "running"}, state="queued", place=5.0)
    assert box.message.text() == "Waiting, 1 job before it."
    backend._on_jobs([make_job(id="r", state="succeeded")])
    assert box.message.text() == "Waiting: it is the next."


def test_early_stop_is_confirmed_in_words(tell, box, backend, qtbot):
    curves = {"val_miou": ((1, 0.3), (2, 0.6), (3, 0.5))}
    tell(state="running", metrics=curves)
    press(qtbot, box.finish)
    assert backend.sent[-1].type == "finish"
    backend._on_answer(backend.sent[-1].token, {"job": "a", "state": "running"})
    assert "keeps the best so far, of epoch 2" in box.note.text()
    assert not box.finish.isEnabled()
    tell(state="succeeded", metrics=curves)
    assert box.note.isHidden()


@pytest.mark.parametrize("name", ["pause", "finish", "cancel"])
def test_what_is_refused_is_said_and_can_be_tried_again(tell, box, backend, qtbot, name):
    tell(state="running", attempt=1)
    button = getattr(box, name)
    press(qtbot, button)
    assert not button.isEnabled()
    refusal = {"message": "Job 'a' is at attempt 2, not 1.", "action": "Look at the job again."}
    backend._on_refused(backend.sent[-1].token, refusal)
    assert box.note.text() == "Job 'a' is at attempt 2, not 1. Look at the job again."
    assert not box.note.isHidden() and button.isEnabled()
    tell(state="paused", attempt=2)
    assert box.note.isHidden()


@pytest.mark.parametrize("agree", [False, True])
def test_cancelling_asks_where_work_would_be_lost(tell, box, backend, qtbot, agree):
    tell(state="running", fraction=0.4, attempt=1)
    press(qtbot, box.cancel)
    asked = box.findChild(QMessageBox, "timoQuestion")
    assert "Cancel wood?" in asked.text() and not backend.sent
    button = next(b for b in asked.buttons() if (b.text().replace("&", "") == "Cancel it") == agree)
    with qtbot.waitSignal(asked.destroyed):
        press(qtbot, button)
    assert [one.type for one in backend.sent] == (["cancel"] if agree else [])
    assert box.cancel.isEnabled() != agree


def test_job_that_ends_while_the_question_stands_there_is_not_cancelled(tell, box, backend, qtbot):
    tell(state="running", fraction=0.9, attempt=1)
    press(qtbot, box.cancel)
    asked = box.findChild(QMessageBox, "timoQuestion")
    tell(state="succeeded", attempt=1)
    with qtbot.waitSignal(asked.destroyed):
        press(qtbot, next(b for b in asked.buttons() if b.text().replace("&", "") == "Cancel it"))
    assert not backend.sent


def test_other_jobs_refusals_are_not_shown(tell, box, backend):
    tell(state="running")
    backend._on_refused("pause of-another", {"message": "No."})
    assert box.note.isHidden()


def test_box_follows_the_new_try(backend, make_job, qtbot, package):
    from timo_qgis.gui.follow import Follower

    parent = QObject()
    follower = Follower(backend, "finetune", parent)
    shown = []
    follower.changed.connect(lambda job: shown.append(job.id))
    backend._on_jobs([make_job(state="running")])
    backend._on_jobs([make_job(state="failed")])
    backend._on_jobs([make_job(id="b", state="queued", parent="a")])
    backend._on_jobs([make_job(id="c", state="running", spec={"out": "/x", "dry_run": True}, created=9.0)])
    assert shown[-1] == "b"
