# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of all jobs of the backend, newest first."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.PyQt.QtCore import QAbstractTableModel, QDate, QDateTime, QLocale, QModelIndex, Qt
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionProgressBar,
    QTableView,
)

from ..backend.jobs import JobView, time_left
from ..compat import icon, plain
from ..timing import slot

COLUMNS = ("Job", "State", "Progress", "Started", "Message")
JOB, STATE, PROGRESS, STARTED, MESSAGE = range(5)
NARROW = 52
"""Digits of width below which the messages give their room to the jobs' names."""


class JobsModel(QAbstractTableModel):
    """Jobs as rows. New ones come in at the top; others change in place."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: List[JobView] = []
        self._rows: Dict[str, int] = {}

    def update(self, changed: List[JobView]) -> None:
        """Take jobs that are new or changed."""
        new = [job for job in changed if job.id not in self._rows]
        for job in changed:
            row = self._rows.get(job.id)
            if row is not None:
                self.jobs[row] = job
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))
        if new:
            self.layoutAboutToBeChanged.emit()
            before = self.persistentIndexList()
            ids = [self.jobs[index.row()].id for index in before]
            self.jobs = sorted([*self.jobs, *new], key=lambda job: -(job.created or 1e12))
            self._rows = {job.id: row for row, job in enumerate(self.jobs)}
            after = [self.index(self._rows[ident], index.column()) for ident, index in zip(ids, before)]
            self.changePersistentIndexList(before, after)
            self.layoutChanged.emit()

    def job(self, row: int) -> Optional[JobView]:
        """The job of a row."""
        return self.jobs[row] if 0 <= row < len(self.jobs) else None

    # Qt's interface

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008  Qt's signature
        """As many as jobs."""
        return 0 if parent.isValid() else len(self.jobs)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008  Qt's signature
        """The columns above."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Column titles."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        job, column = self.jobs[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(job, column)
        if role == Qt.ItemDataRole.DecorationRole and column == JOB:
            return icon({"finetune": "train", "predict": "predict"}.get(job.task, "timo"))
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain(_hint(job, column))
        if role == Qt.ItemDataRole.UserRole:
            return job
        return None


class ProgressDelegate(QStyledItemDelegate):
    """Draws a job's progress as the theme's bar while it runs."""

    @slot
    def paint(self, painter: Any, option: Any, index: QModelIndex) -> None:
        """A bar for a job that runs; what the theme draws for others."""
        job = index.data(Qt.ItemDataRole.UserRole)
        if job is None or job.final or job.state == "queued":
            super().paint(painter, option, index)
            return
        bar = QStyleOptionProgressBar()
        bar.rect = option.rect.adjusted(2, 3, -2, -3)
        bar.minimum, bar.maximum = 0, 100
        bar.progress = round(100 * job.fraction)
        bar.text = f"{bar.progress} %"
        bar.textVisible = True
        bar.state = option.state | QStyle.StateFlag.State_Horizontal
        QApplication.style().drawControl(QStyle.ControlElement.CE_ProgressBar, bar, painter)


class JobsView(QTableView):
    """The table."""

    def __init__(self, model: JobsModel) -> None:
        super().__init__()
        self.setObjectName("timoJobsTable")
        self.setModel(model)
        self.setItemDelegateForColumn(PROGRESS, ProgressDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(40)
        header.setResizeContentsPrecision(0)  # what can be seen decides, however many jobs there are
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(JOB, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(MESSAGE, QHeaderView.ResizeMode.Stretch)
        self.setMinimumHeight(140)

    @slot
    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out the message where the table is narrow: it stands below, for the selected job."""
        super().resizeEvent(event)
        narrow = self.width() < NARROW * self.fontMetrics().horizontalAdvance("0")
        if self.isColumnHidden(MESSAGE) != narrow:
            self.setColumnHidden(MESSAGE, narrow)


def when(seconds: Optional[float], *, brief: bool = False) -> str:
    """A time in the short form of the analyst's country.

    Args:
        seconds: Since 1970-01-01 UTC.
        brief: Leave out the date where it is today, and the time where it is not.
    """
    if not seconds:
        return ""
    moment, locale = QDateTime.fromSecsSinceEpoch(int(seconds)), QLocale()
    if not brief:
        return locale.toString(moment, QLocale.FormatType.ShortFormat)
    if moment.date() == QDate.currentDate():
        return locale.toString(moment.time(), QLocale.FormatType.ShortFormat)
    return locale.toString(moment.date(), QLocale.FormatType.ShortFormat)


def _text(job: JobView, column: int) -> str:
    if column == JOB:
        return job.name
    if column == STATE:
        return job.state_name
    if column == PROGRESS:
        return "" if job.state in ("queued", "failed", "cancelled") else f"{round(100 * job.fraction)} %"
    if column == STARTED:
        return when(job.started or job.created, brief=True)
    if job.state == "failed":
        return str((job.error or {}).get("message", ""))
    if job.final:
        return ""
    return " · ".join(part for part in (job.message, time_left(job.eta_s)) if part)


def _hint(job: JobView, column: int) -> str:
    if column == JOB:
        return f"{job.task_name}: {job.spec.get('out', job.id)}"
    return when(job.started or job.created) if column == STARTED else _text(job, column)
