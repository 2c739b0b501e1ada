# SPDX-License-Identifier: GPL-3.0-or-later
"""The Jobs page: all jobs of the backend, also those of earlier days, and what became of each."""

from __future__ import annotations

from typing import List, Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QSplitter

from ..backend.jobs import JobView
from ..shared import Shared
from ..timing import slot
from .jobs_table import JobsModel, JobsView, when
from .page import Page

INTRO = "Jobs go on when QGIS is closed. Double-click one to see its curve or to add its map to the project."
OPEN = {"predict": "Add to the project", "finetune": "Use this model"}


class JobsPage(Page):
    """Shows, cancels, and opens results."""

    opened = pyqtSignal(object)
    """The JobView whose result is asked for, or that shall be shown on its page."""

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared, "timoJobs", INTRO)
        self.model = JobsModel()
        self.view = JobsView(self.model)
        self.details = QPlainTextEdit()
        self.details.setObjectName("timoJobsDetails")
        self.details.setReadOnly(True)
        self.details.setPlaceholderText("Pick a job to see what it did.")
        self.details.setMinimumHeight(70)
        self.cancel = QPushButton("Cancel")
        self.cancel.setObjectName("timoJobsCancel")
        self.open = QPushButton("Open")
        self.open.setObjectName("timoJobsOpen")
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.view)
        split.addWidget(self.details)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setChildrenCollapsible(False)
        self.body.addWidget(split, 1)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.open)
        self.footer.addLayout(row)
        shared.backend.jobs_changed.connect(self._on_jobs)
        self.view.selectionModel().selectionChanged.connect(self._on_selection)
        self.view.doubleClicked.connect(self._on_open)
        self.open.clicked.connect(self._on_open)
        self.cancel.clicked.connect(self._on_cancel)
        self._show_details()

    def selected(self) -> Optional[JobView]:
        """The job of the selected row."""
        rows = self.view.selectionModel().selectedRows()
        return self.model.job(rows[0].row()) if rows else None

    @slot
    def _on_jobs(self, changed: List[JobView]) -> None:
        self.model.update(changed)
        job = self.selected()
        if job is not None and any(one.id == job.id for one in changed):
            self._show_details()

    @slot
    def _on_selection(self) -> None:
        job = self.selected()
        if job is not None and job.final:
            self.shared.backend.watch(job.id)
        self._show_details()

    def _show_details(self) -> None:
        job = self.selected()
        text = describe(job) if job is not None else ""
        if text != self.details.toPlainText():
            self.details.setPlainText(text)
        self.cancel.setEnabled(job is not None and not job.final and job.state != "cancelling")
        self.open.setText(OPEN.get(job.task, "Open") if job is not None and job.final else "Show")
        self.open.setEnabled(
            job is not None and (not job.final or job.state == "succeeded" or bool(job.metrics))
        )

    @slot
    def _on_open(self) -> None:
        job = self.selected()
        if job is not None:
            self.opened.emit(job)

    @slot
    def _on_cancel(self) -> None:
        job = self.selected()
        if job is not None:
            self.cancel.setEnabled(False)
            self.shared.backend.cancel(job.id)


def describe(job: JobView) -> str:
    """A job in lines of plain text: the error and what to do first, then outputs, then its log."""
    lines = [f"{job.task_name} {job.name}: {job.state_name.lower()}"]
    error = job.error or {}
    if error:
        lines += [str(error.get("message", "")), str(error.get("action", ""))]
    if job.started:
        lines.append(f"Started {when(job.started)}" + (f", ended {when(job.ended)}" if job.ended else ""))
    summary = job.summary or {}
    if isinstance(summary.get("overall_accuracy"), (int, float)):
        lines.append(f"{100 * summary['overall_accuracy']:.1f} % of the validation pixels right")
    lines += [f"{kind.capitalize()}: {path}" for kind, path in job.outputs().items()]
    lines += [
        message if level == "info" else f"{level.capitalize()}: {message}" for level, message in job.logs
    ]
    return "\n".join(line for line in lines if line)
