# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of all jobs: what runs, then what waits, in turn, then what has ended, newest first."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Dict, Iterable, List, Optional, Tuple

from qgis.PyQt.QtCore import QAbstractTableModel, QMimeData, QModelIndex, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor

from ..backend.jobs import JobView, time_left
from ..compat import icon, plain
from ..i18n import tr
from .times import when

COLUMNS = (tr("Job"), tr("State"), tr("Progress"), tr("Started"), tr("Message"))
JOB, STATE, PROGRESS, STARTED, MESSAGE = range(5)
JOB_ROLE = Qt.ItemDataRole.UserRole
MIME = "application/x-timo-jobs"
ICONS = {"finetune": "train", "pretrain": "train", "predict": "predict", "embed": "predict"}
FAINT = QColor(128, 128, 128)
"""What is not live; it shows in light and dark themes, whose palettes do not know their tables."""

Key = Tuple[int, float, float, str]


def key(job: JobView) -> Key:
    """Where a job stands in the table; no two are alike."""
    newest = -(job.created or 1e12)
    if job.waiting:
        return (1, -job.priority, job.place, job.id)
    if job.final:
        return (3, newest, 0.0, job.id)
    return (2 if job.state == "paused" else 0, newest, 0.0, job.id)


class JobsModel(QAbstractTableModel):
    """Jobs as rows. Only rows whose texts changed are told, and no others move: it is never reset."""

    dropped = pyqtSignal(object, object)
    """The ids of jobs that were dragged, and the id of the job that they were put before; None: the end."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: List[JobView] = []
        self._keys: List[Key] = []
        self._key_of: Dict[str, Key] = {}
        self._shown: Dict[str, Tuple[Any, ...]] = {}
        self._live = True

    def update(self, changed: Iterable[JobView]) -> None:
        """Take jobs that are new or changed. Estimates, and those of no known task, are left out."""
        told: List[int] = []
        new: List[JobView] = []
        for job in changed:
            if not job.task or job.dry_run:
                continue
            old, now = self._key_of.get(job.id), key(job)
            if old is None:
                new.append(job)
                continue
            if old != now:
                self._move(old, now)
            row = bisect_left(self._keys, now)
            self.jobs[row] = job
            shown = _shown(job)
            if self._shown[job.id] != shown:
                self._shown[job.id] = shown
                told.append(row)
        self._tell(told)
        self._insert(sorted(new, key=key))

    def remove(self, gone: Iterable[str]) -> None:
        """Take jobs off the table, neighbours together."""
        rows = sorted((self.row(job) for job in gone if job in self._key_of), reverse=True)
        while rows:
            first = last = rows.pop(0)
            while rows and rows[0] == first - 1:
                first = rows.pop(0)
            self.beginRemoveRows(QModelIndex(), first, last)
            for job in self.jobs[first : last + 1]:
                del self._key_of[job.id], self._shown[job.id]
            del self.jobs[first : last + 1], self._keys[first : last + 1]
            self.endRemoveRows()

    def row(self, job: str) -> int:
        """The row of a job; -1 if there is none."""
        known = self._key_of.get(job)
        return bisect_left(self._keys, known) if known is not None else -1

    def job(self, row: int) -> Optional[JobView]:
        """The job of a row."""
        return self.jobs[row] if 0 <= row < len(self.jobs) else None

    def set_live(self, live: bool) -> None:
        """Draw all rows paler while the backend does not tell how they stand."""
        if live != self._live:
            self._live = live
            self._tell(range(len(self.jobs)))

    def _move(self, old: Key, new: Key) -> None:
        row = bisect_left(self._keys, old)
        to = bisect_left(self._keys, new)
        if to in (row, row + 1):  # it stays where it is
            self._keys[row] = new
        else:
            self.beginMoveRows(QModelIndex(), row, row, QModelIndex(), to)
            job = self.jobs.pop(row)
            del self._keys[row]
            to -= to > row
            self.jobs.insert(to, job)
            self._keys.insert(to, new)
            self.endMoveRows()
        self._key_of[new[-1]] = new

    def _insert(self, new: List[JobView]) -> None:
        """Insert sorted jobs, all that come between the same two rows at once."""
        start = 0
        while start < len(new):
            row = bisect_left(self._keys, key(new[start]))
            end = start + 1
            while end < len(new) and (row == len(self._keys) or key(new[end]) < self._keys[row]):
                end += 1
            some = new[start:end]
            self.beginInsertRows(QModelIndex(), row, row + len(some) - 1)
            self.jobs[row:row] = some
            self._keys[row:row] = [key(job) for job in some]
            self._key_of.update((job.id, key(job)) for job in some)
            self._shown.update((job.id, _shown(job)) for job in some)
            self.endInsertRows()
            start = end

    def _tell(self, rows: Iterable[int]) -> None:
        """Tell of changed rows, neighbours together."""
        first = last = -1
        for row in sorted(set(rows)):
            if row != last + 1 and first >= 0:
                self.dataChanged.emit(self.index(first, 0), self.index(last, len(COLUMNS) - 1))
                first = row
            first, last = (row if first < 0 else first), row
        if first >= 0:
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(COLUMNS) - 1))

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

    def flags(self, index: QModelIndex) -> Qt.ItemFlags:
        """Jobs that wait can be dragged, and dropped between others."""
        flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        job = self.job(index.row())
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        if job is not None and job.waiting and self._live:
            flags |= Qt.ItemFlag.ItemIsDragEnabled
        return flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        job, column = self.jobs[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(job, column)
        if role == Qt.ItemDataRole.DecorationRole and column == JOB:
            return icon(ICONS.get(job.task, "timo"))
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain(_hint(job, column))
        if role == Qt.ItemDataRole.ForegroundRole and not self._live:
            return FAINT
        if role == JOB_ROLE:
            return job
        return None

    # dragging

    def supportedDropActions(self) -> Qt.DropActions:
        """Rows are moved."""
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> List[str]:
        """Jobs alone."""
        return [MIME]

    def mimeData(self, indexes: Iterable[QModelIndex]) -> QMimeData:
        """The ids of the dragged jobs."""
        rows = sorted({index.row() for index in indexes})
        data = QMimeData()
        data.setData(MIME, "\n".join(self.jobs[row].id for row in rows).encode())
        return data

    def dropMimeData(
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: QModelIndex
    ) -> bool:
        """Ask for the new order; the rows move when the backend has taken it."""
        if action == Qt.DropAction.IgnoreAction or not data.hasFormat(MIME):
            return False
        moving = bytes(data.data(MIME)).decode().split("\n")
        row = parent.row() if parent.isValid() else row
        behind = self.jobs[row:] if row >= 0 else []
        before = next((job.id for job in behind if job.waiting and job.id not in moving), None)
        self.dropped.emit(moving, before)
        return False  # Qt would remove the rows that were dragged


def _shown(job: JobView) -> Tuple[Any, ...]:
    """What the texts of a row are made from."""
    return (
        job.name,
        job.state,
        round(100 * job.fraction),
        job.started,
        job.ended,
        job.message,
        time_left(job.eta_s),
        job.error,
    )


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
    if job.final or job.waiting:
        return ""
    return " · ".join(part for part in (job.message, time_left(job.eta_s)) if part)


def _hint(job: JobView, column: int) -> str:
    if column == JOB:
        return f"{job.task_name}: {job.spec.get('out', job.id)}"
    return when(job.started or job.created) if column == STARTED else _text(job, column)
