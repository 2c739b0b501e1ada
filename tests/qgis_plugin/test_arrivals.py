# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of finished jobs come into the project that they were begun in, and into no other unasked."""

from __future__ import annotations

import numpy as np
import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtWidgets import QPushButton


@pytest.fixture
def predicted(dock, write_raster, qtbot):
    """Submits a job, and later ends it: ``predicted("running")``, ``predicted("succeeded")``."""
    from timo_qgis.backend.jobs import JobView

    qtbot.waitUntil(lambda: dock.shared.backend.state.phase == "missing")
    path = write_raster("map.tif", np.ones((1, 8, 8), np.uint8), ("class",))

    def tell(state, **values):
        spec = {"out": str(path)}
        dock.shared.backend._on_jobs([JobView("a", task="predict", state=state, spec=spec, **values)])

    dock.shared.backend._on_answer("key", {"job": "a"})
    tell("running")
    return tell


def names():
    return [layer.name() for layer in QgsProject.instance().mapLayers().values()]


def test_map_comes_into_the_project_it_was_begun_in(predicted, qtbot):
    predicted("succeeded")
    qtbot.waitUntil(lambda: names() == ["map"])


def test_map_comes_into_another_project_only_when_asked_for(predicted, iface, qtbot):
    QgsProject.instance().clear()
    predicted("running")
    predicted("succeeded")
    button = iface.bar.currentItem().findChild(QPushButton)
    assert button.text() == "Add to the project"
    assert names() == []
    button.click()
    qtbot.waitUntil(lambda: names() == ["map"])


def test_job_that_failed_is_shown_from_the_message_bar(predicted, dock, iface):
    predicted("failed", error={"message": "x.tif has no band 'nir'.", "action": "Pick another raster."})
    iface.bar.currentItem().findChild(QPushButton).click()
    assert dock.tabs.currentWidget() is dock.predict
    assert dock.predict.box.message.text() == "x.tif has no band 'nir'. Pick another raster."


def test_map_that_was_being_read_does_not_come_into_another_project(predicted, dock, iface, monkeypatch):
    waiting = []
    monkeypatch.setattr(
        dock.shared.background, "run", lambda read, done, **_: waiting.append(lambda: done(read()))
    )
    predicted("succeeded")
    QgsProject.instance().clear()
    for deliver in waiting:
        deliver()
    assert names() == []
    assert iface.bar.currentItem().findChild(QPushButton).text() == "Add to the project"
