# SPDX-License-Identifier: GPL-3.0-or-later
"""The view of the jobs: which of them are shown, the bars of progress, and dragging those that wait."""

from __future__ import annotations

from typing import Any, Callable, List, Optional

from qgis.PyQt.QtCore import QEvent, QModelIndex, QSortFilterProxyModel, Qt
from qgis.PyQt.QtGui import QKeyEvent, QKeySequence, QResizeEvent
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QAction,
    QApplication,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionProgressBar,
    QTableView,
)

from ..backend.jobs import JobView
from ..compat import Ink, plain_table
from ..i18n import tr
from ..timing import slot
from .jobs_table import JOB, JOB_ROLE, MESSAGE, PROGRESS, JobsModel

NARROW = 70
"""Digits of width below which the messages give their room to the jobs' names."""

Rule = Callable[[JobView], bool]

STATES = {
    "": lambda job: True,
    "active": lambda job: not job.final and job.state not in ("queued", "paused"),
    "waiting": lambda job: job.state in ("queued", "paused"),
    "done": lambda job: job.state == "succeeded",
    "failed": lambda job: job.state in ("failed", "cancelled"),
}
"""Groups of states that an analyst asks for."""


class JobsFilter(QSortFilterProxyModel):
    """The jobs that are shown, in the model's order."""

    def __init__(self, model: JobsModel) -> None:
        super().__init__()
        self._state, self._task, self._text = "", "", ""
        self.setSourceModel(model)

    def show_only(self, state: str, task: str, text: str) -> None:
        """Show the jobs of a group of states, of a task, with a text in their name or message; empty: all."""
        wanted = (state, task, text.strip().lower())
        if wanted != (self._state, self._task, self._text):
            self._state, self._task, self._text = wanted
            self.invalidateFilter()

    def filterAcceptsRow(self, row: int, _parent: QModelIndex) -> bool:
        """Qt's question."""
        job = self.sourceModel().jobs[row]
        return (
            STATES[self._state](job)
            and (not self._task or job.task == self._task)
            and (not self._text or self._text in f"{job.name} {job.task_name} {job.message}".lower())
        )


class ProgressDelegate(QStyledItemDelegate):
    """Draws a job's progress as the theme's bar while it runs.

    Args:
        view: The table.
    """

    def __init__(self, view: QTableView) -> None:
        super().__init__(view)
        self._ink = Ink(view)

    @slot
    def paint(self, painter: Any, option: Any, index: QModelIndex) -> None:
        """A bar for a job that runs or pauses; what the theme draws for others."""
        job = index.data(JOB_ROLE)
        if job is None or job.final or job.waiting:
            super().paint(painter, option, index)
            return
        bar = QStyleOptionProgressBar()
        bar.rect = option.rect.adjusted(2, 3, -2, -3)
        bar.minimum, bar.maximum = 0, 100
        bar.progress = round(100 * job.fraction)
        bar.text = f"{bar.progress} %"
        bar.textVisible = True
        bar.palette.setColor(bar.palette.ColorRole.Text, self._ink.color())
        # Not as selected: the bar is drawn on a ground of its own, where the selection's text would be lost.
        bar.state = (option.state & ~QStyle.StateFlag.State_Selected) | QStyle.StateFlag.State_Horizontal
        QApplication.style().drawControl(QStyle.ControlElement.CE_ProgressBar, bar, painter)


class JobsView(QTableView):
    """The table."""

    def __init__(self, model: JobsModel) -> None:
        super().__init__()
        self.setObjectName("timoJobsTable")
        self.setAccessibleName(tr("Jobs"))
        self.proxy = JobsFilter(model)
        self.proxy.setParent(self)
        self.setModel(self.proxy)
        self.setItemDelegateForColumn(PROGRESS, ProgressDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setDragDropOverwriteMode(False)
        self.setDropIndicatorShown(True)
        self.setTabKeyNavigation(False)
        plain_table(self)
        header = self.horizontalHeader()
        header.setSectionResizeMode(JOB, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(MESSAGE, QHeaderView.ResizeMode.Stretch)
        self.setMinimumHeight(110)

    def selected(self) -> List[JobView]:
        """The jobs of the selected rows, from the top."""
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        return [self.proxy.index(row, JOB).data(JOB_ROLE) for row in rows]

    def current(self) -> Optional[JobView]:
        """The selected job that the keyboard is at, else the first that is selected."""
        chosen = self.selected()
        here = self.currentIndex().data(JOB_ROLE) if self.currentIndex().isValid() else None
        if here is not None and any(job.id == here.id for job in chosen):
            return here
        return chosen[0] if chosen else None

    def choose(self, job: str) -> None:
        """Select this job's row alone, if it is shown."""
        row = self.proxy.sourceModel().row(job)
        index = self.proxy.mapFromSource(self.proxy.sourceModel().index(row, JOB))
        if index.isValid():
            self.selectRow(index.row())
            self.scrollTo(index)

    @slot
    def event(self, event: QEvent) -> bool:
        """Keep our actions' keys from QGIS's own shortcuts while the table has the focus."""
        if event.type() == QEvent.Type.ShortcutOverride and self._action_of(event) is not None:
            event.accept()
            return True
        return super().event(event)

    @slot
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Take the action of the key."""
        action = self._action_of(event)
        if action is None:
            super().keyPressEvent(event)
        elif action.isEnabled():
            action.trigger()

    def _action_of(self, event: QKeyEvent) -> Optional[QAction]:
        modifiers = event.modifiers()
        pressed = QKeySequence(event.key() | int(getattr(modifiers, "value", modifiers)))  # an enum in Qt 6
        return next((action for action in self.actions() if action.shortcut() == pressed), None)

    @slot
    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out the message where the table is narrow: it stands below, for the selected job."""
        super().resizeEvent(event)
        narrow = self.width() < NARROW * self.fontMetrics().horizontalAdvance("0")
        if self.isColumnHidden(MESSAGE) != narrow:
            self.setColumnHidden(MESSAGE, narrow)
