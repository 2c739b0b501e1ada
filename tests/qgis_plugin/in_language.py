# SPDX-License-Identifier: GPL-3.0-or-later
"""The dock in another language: ``test_i18n.py`` runs this in a process of its own, with TIMO_LANGUAGE set.

With TIMO_PICTURES set to a folder, a picture of each page is left there, to be looked at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel, QWidget

LANGUAGE = os.environ["TIMO_LANGUAGE"]
TABS = {
    "de": ["Serie", "Trainieren", "Vorhersagen", "Aufträge"],
    "fr": ["Série", "Entraîner", "Prédire", "Travaux"],
}
BUTTONS = {"de": {"Neu…", "Klassen…", "Anhalten"}, "fr": {"Nouvelle…", "Classes…", "Pause"}}
WIDTH = 460
CARD = {
    "format": 1,
    "task": "segmentation",
    "name": "woods",
    "architecture": {"name": "timo_tiny"},
    "classes": [
        {"value": 3, "name": "oak", "color": "#228844"},
        {"value": 7, "name": "birch", "color": "#ddcc88"},
    ],
    "bands": [{"key": name, "name": name, "role": name} for name in ("blue", "green", "red", "nir")],
    "dates": {"count": 12, "first": "2020-01-15", "last": "2020-12-15", "minimum": 2},
    "chip": 32,
    "metrics": {"overall_accuracy": 0.931, "mean_iou": 0.8},
    "training": {"started_from": "random weights"},
}


@pytest.fixture
def full(tmp_path, plugin, twelve_dates, make_labels, qtbot):
    """The dock with a ticked series, labels, a model, and a job in each state."""
    from timo_qgis.backend.jobs import STATES, JobView
    from timo_qgis.backend.link_state import LinkState

    folder = tmp_path / "home" / "models" / "woods"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps(CARD), encoding="utf-8")
    make_labels([("oak", (0, 0, 2, 2)), ("oak", (2, 0, 4, 2)), ("birch", (0, 4, 2, 6))])
    dock = plugin.open()
    backend = dock.shared.backend
    qtbot.waitUntil(lambda: backend.state.phase == "missing")
    backend.close()
    qtbot.waitUntil(lambda: len(dock.series.rows) == 12)
    dock.series.model.tick(list(range(12)), True)
    dock.predict.refresh()
    qtbot.waitUntil(lambda: dock.predict.models.count() == 1)
    backend._on_state(LinkState("ready"))
    jobs = [
        JobView(id=state, task="finetune", state=state, created=1.6e9, spec={"out": f"/x/w-{number}"})
        for number, state in enumerate(STATES)
    ]
    backend._on_jobs(jobs)
    dock.train.follower.follow("running")
    for box in dock.findChildren(QgsCollapsibleGroupBox):
        box.setCollapsed(False)
    qtbot.wait(300)
    backend._on_state(LinkState("ready"))
    dock.parent().resizeDocks([dock], [WIDTH], Qt.Orientation.Horizontal)
    qtbot.wait(100)
    return dock


def cut_off(root: QWidget) -> list[str]:
    """The texts that their widgets have no room for."""
    return [
        f"{widget.objectName()}: {widget.text()}"
        for kind in (QAbstractButton, QLabel)
        for widget in root.findChildren(kind)
        if widget.isVisible() and widget.text() and not (kind is QLabel and widget.wordWrap())
        if widget.width() < widget.sizeHint().width()
    ]


def test_tabs_and_buttons_are_in_the_language_and_have_room(full, qtbot):
    bar = full.tabs.tabBar()
    assert [full.tabs.tabText(number) for number in range(4)] == TABS[LANGUAGE]
    assert not [one for one in bar.findChildren(QAbstractButton) if one.isVisible()], "tabs must be scrolled"
    full.tabs.setCurrentWidget(full.train)
    qtbot.wait(50)
    texts = {one.text() for one in full.train.findChildren(QAbstractButton) if one.isVisible()}
    assert texts >= BUTTONS[LANGUAGE]


@pytest.mark.parametrize("page", ["series", "train", "predict", "jobs"])
def test_nothing_of_a_page_is_cut_off(full, page, qtbot):
    shown = getattr(full, page)
    full.tabs.setCurrentWidget(shown)
    qtbot.wait(300)
    if os.environ.get("TIMO_PICTURES"):
        folder = Path(os.environ["TIMO_PICTURES"])
        full.grab().save(str(folder / f"{LANGUAGE}-{page}.png"))
        shown.scroller.widget().grab().save(str(folder / f"{LANGUAGE}-{page}-all.png"))
    assert full.width() <= WIDTH, "a text that does not wrap makes the dock wider"
    assert not cut_off(full)
