# SPDX-License-Identifier: GPL-3.0-or-later
"""Which jobs are shown: by state, by task, by a text; and what was cleared away."""

from __future__ import annotations

from typing import Callable, Iterable, List, Tuple

from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QActionGroup, QComboBox, QGridLayout, QMenu, QSizePolicy, QToolButton, QWidget

from ..backend.jobs import TASKS, JobView
from ..compat import icon, menu_button
from ..i18n import tr, trn
from ..settings import Settings
from ..timing import slot

STATES = (
    ("", tr("All states")),
    ("active", tr("Running")),
    ("waiting", tr("Waiting")),
    ("done", tr("Done")),
    ("failed", tr("Failed or cancelled")),
)
DAYS = (
    (0, tr("Show jobs of any age")),
    (30, tr("Show those of the last month")),
    (7, tr("Show those of the last week")),
    (1, tr("Show those of the last day")),
)
MOST_HIDDEN = 5000


class JobBar(QWidget):
    """The filter above the table. What is hidden is remembered; the backend keeps all jobs."""

    changed = pyqtSignal()
    cleared = pyqtSignal()
    """All that have ended shall be hidden."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
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
        self.hide_button = QToolButton()
        self.hide_button.setObjectName("timoJobsHideMenu")
        self.hide_button.setIcon(icon("job-hide"))
        self.hide_button.setToolTip(tr("Clear away jobs that have ended"))
        self.hide_button.setAccessibleName(tr("Clear away jobs that have ended"))
        self.hide_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.hide_button.setMenu(self._menu())
        menu_button(self.hide_button)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        for column, widget in enumerate((self.text, self.state, self.task, self.hide_button)):
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

    def hide_jobs(self, jobs: List[str]) -> None:
        """Show these no more, until all are asked for."""
        known = [*self._settings.hidden_jobs, *(job for job in jobs if job not in self._settings.hidden_jobs)]
        self._settings.save(hidden_jobs=known[-MOST_HIDDEN:])
        self.changed.emit()

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        menu.addAction(tr("Hide all that have ended"), self._on_clear)
        menu.addSeparator()
        self.ages = []
        only_one = QActionGroup(menu)
        for days, text in DAYS:
            action = menu.addAction(text, self._ager(days))
            action.setCheckable(True)
            only_one.addAction(action)
            self.ages.append((days, action))
        menu.addSeparator()
        self.everything = menu.addAction(tr("Show all again"), self._on_everything)
        menu.aboutToShow.connect(self._on_menu)
        return menu

    def _ager(self, days: int) -> Callable[[], None]:
        @slot
        def age() -> None:
            self._settings.save(jobs_days=days)
            self.changed.emit()

        return age

    @slot
    def _on_menu(self) -> None:
        for days, action in self.ages:
            action.setChecked(days == self._settings.jobs_days)
        self.everything.setEnabled(bool(self._settings.hidden_jobs or self._settings.jobs_days))

    @slot
    def _on_change(self) -> None:
        self.changed.emit()

    @slot
    def _on_clear(self) -> None:
        self.cleared.emit()

    @slot
    def _on_everything(self) -> None:
        self._settings.save(hidden_jobs=[], jobs_days=0)
        self.changed.emit()


def counts(jobs: Iterable[JobView], hidden: int) -> str:
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
        (hidden, trn("{count} of them hidden", "{count} of them hidden", hidden)),
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
