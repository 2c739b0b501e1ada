# SPDX-License-Identifier: GPL-3.0-or-later
"""Which jobs are shown: by state, by task, by a text."""

from __future__ import annotations

from typing import Iterable, Tuple

from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QGridLayout, QSizePolicy, QWidget

from ..backend.jobs import TASKS, JobView
from ..i18n import tr, trn
from ..timing import slot

STATES = (
    ("", tr("All states")),
    ("active", tr("Running")),
    ("waiting", tr("Waiting")),
    ("done", tr("Done")),
    ("failed", tr("Failed or cancelled")),
)


class JobBar(QWidget):
    """The filter above the table."""

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.state = _combo("timoJobsState", tr("Show the jobs of a state"))
        for name, text in STATES:
            self.state.addItem(text, name)
        self.task = _combo("timoJobsTask", tr("Show the jobs of a task"))
        self.task.addItem(tr("All tasks"), "")
        for name, text in TASKS.items():
            self.task.addItem(text, name)
        self.text = QgsFilterLineEdit()
        self.text.setObjectName("timoJobsFilter")
        self.text.setPlaceholderText(tr("Filter by name"))
        self.text.setAccessibleName(tr("Filter by name"))
        self.text.setShowClearButton(True)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        for column, widget in enumerate((self.text, self.state, self.task)):
            grid.addWidget(widget, 0, column)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(1, 2)
        grid.setColumnStretch(2, 2)
        self.state.currentIndexChanged.connect(self._on_change)
        self.task.currentIndexChanged.connect(self._on_change)
        self.text.textChanged.connect(self._on_change)

    def wanted(self) -> Tuple[str, str, str]:
        """State, task and text that are asked for; empty: all."""
        return self.state.currentData(), self.task.currentData(), self.text.text()

    def show_all(self) -> None:
        """Leave nothing out."""
        self.state.setCurrentIndex(0)
        self.task.setCurrentIndex(0)
        self.text.clear()

    @slot
    def _on_change(self) -> None:
        self.changed.emit()


def counts(jobs: Iterable[JobView]) -> str:
    """How many jobs do what, in a line."""
    running = waiting = paused = ended = 0
    for job in jobs:
        running += not job.final and job.state not in ("queued", "paused")
        waiting += job.waiting
        paused += job.state == "paused"
        ended += job.final
    parts = [
        (running, trn("{count} running", "{count} running", running)),
        (waiting, trn("{count} waiting", "{count} waiting", waiting)),
        (paused, trn("{count} paused", "{count} paused", paused)),
        (ended, trn("{count} ended", "{count} ended", ended)),
    ]
    return ", ".join(text for number, text in parts if number) or tr("No jobs yet.")


def _combo(name: str, tip: str) -> QComboBox:
    combo = QComboBox()
    combo.setObjectName(name)
    combo.setToolTip(tip)
    combo.setAccessibleName(tip)
    combo.setMinimumContentsLength(6)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo
