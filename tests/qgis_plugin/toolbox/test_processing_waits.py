# SPDX-License-Identifier: GPL-3.0-or-later
"""What the analyst can do while an algorithm waits for the backend: cancel it, and work on in QGIS."""

from __future__ import annotations

import pytest
from qgis.core import QgsProcessingException
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialog


@pytest.fixture
def wait(algorithm, context, bundle, scene, script, tmp_path, monkeypatch):
    """Runs a prediction whose backend takes its time to start, on the interface's thread."""
    program = script(tmp_path / "slow", "exec sleep 90")
    monkeypatch.setenv("TIMO_BACKEND", str(program))
    values = {"series": scene, "model": str(bundle), "out": str(tmp_path / "map.tif")}
    return lambda feedback: algorithm("predict").run(values, context, feedback, {}, False)


def test_cancel_while_the_backend_is_still_starting_ends_it(make_feedback, wait):
    feedback = make_feedback()
    starting = feedback.cancel_at("Starting the backend.", 60)
    results, fine = wait(feedback)
    assert (results, fine) == ({}, True)  # without the cancel it fails when the backend's time is over
    assert starting.is_set()
    assert "The job was cancelled." in feedback.lines


def test_interface_goes_on_while_a_batch_waits_and_its_cancel_works(make_feedback, wait):
    feedback, beats = make_feedback(), []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(1))
    timer.start(20)
    QTimer.singleShot(600, feedback.cancel)
    assert wait(feedback) == ({}, True)
    assert len(beats) > 10
    assert "The job was cancelled." in feedback.lines


def test_another_run_that_is_started_while_one_waits_has_its_own_end(make_feedback, wait):
    outer, inner, ends, told = make_feedback(), make_feedback(), [], []

    def cancel_outer():
        outer.cancel()
        told.append("The job was cancelled." in inner.lines)

    def start():
        QTimer.singleShot(300, cancel_outer)
        QTimer.singleShot(600, inner.cancel)
        ends.append(wait(inner))

    QTimer.singleShot(200, start)
    assert wait(outer) == ({}, True)
    assert ends == [({}, True)] and told == [False]
    assert "The job was cancelled." in outer.lines and "The job was cancelled." in inner.lines


def test_cancel_of_a_run_reaches_the_backend_at_once_also_while_a_later_one_waits(
    make_feedback, wait, monkeypatch
):
    from timo_qgis.processing import job

    outer, inner, asked = make_feedback(), make_feedback(), []
    cancel = job._Follower.cancel

    def noted(follower, thread):
        asked.append((follower._feedback, inner.isCanceled()))
        cancel(follower, thread)

    monkeypatch.setattr(job._Follower, "cancel", noted)

    def start():
        QTimer.singleShot(300, outer.cancel)
        QTimer.singleShot(600, inner.cancel)
        wait(inner)

    QTimer.singleShot(200, start)
    wait(outer)
    assert asked[0] == (outer, False)


def test_window_of_a_batch_that_is_closed_while_it_waits_ends_it_in_a_sentence(make_feedback, wait):
    window = QDialog()
    window.show()
    QApplication.setActiveWindow(window)  # no window manager does it on a virtual screen
    QTimer.singleShot(300, window.close)
    with pytest.raises(QgsProcessingException, match="window was closed: what was begun goes on"):
        wait(make_feedback())


def test_plugin_that_is_unloaded_while_a_batch_waits_ends_the_batch_in_a_sentence(
    plugin, make_feedback, wait
):
    feedback = make_feedback()
    QTimer.singleShot(300, plugin.unload)
    with pytest.raises(QgsProcessingException, match="what was begun goes on"):
        wait(feedback)
    assert feedback.isCanceled()
