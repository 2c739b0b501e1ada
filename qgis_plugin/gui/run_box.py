# SPDX-License-Identifier: GPL-3.0-or-later
"""A job while it runs and when it has ended: progress, time left, Cancel, and the error with what to do."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ..backend.jobs import JobView, time_left
from ..compat import label
from ..timing import slot


class RunBox(QFrame):
    """Follows one job. Hidden until there is one.

    Args:
        name: Prefix of the object names.
        done_text: The text of the button that is there when the job has succeeded.
        extra: A widget above the progress bar.
    """

    cancelled = pyqtSignal(str)
    """The id of the job that shall stop."""
    opened = pyqtSignal(str)
    """The id of the job whose result is asked for."""

    def __init__(self, name: str, done_text: str, extra: Optional[QWidget] = None) -> None:
        super().__init__()
        self.setObjectName(f"{name}Box")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.job: Optional[JobView] = None
        self.title = label("", f"{name}Title")
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.bar = QProgressBar()
        self.bar.setObjectName(f"{name}Progress")
        self.bar.setRange(0, 1000)
        self.bar.setFormat("%p %")
        self.message = label("", f"{name}Message", muted=True)
        self.cancel = QPushButton("Cancel")
        self.cancel.setObjectName(f"{name}Cancel")
        self.open = QPushButton(done_text)
        self.open.setObjectName(f"{name}Open")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.setSpacing(6)
        layout.addWidget(self.title)
        layout.addWidget(self.message)
        if extra is not None:
            layout.addWidget(extra)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel)
        layout.addLayout(row)
        layout.addWidget(self.open, 0, Qt.AlignmentFlag.AlignLeft)
        self.cancel.clicked.connect(self._on_cancel)
        self.open.clicked.connect(self._on_open)
        self.setVisible(False)

    def show_job(self, job: JobView) -> None:
        """Show a job as it is now."""
        self.job = job
        self.setVisible(True)
        self.title.setText(f"{job.name}: {job.state_name.lower()}")
        self.bar.setVisible(not job.final)
        self.bar.setValue(round(1000 * min(max(job.fraction, 0.0), 1.0)))
        self.cancel.setVisible(not job.final)
        self.cancel.setEnabled(job.state != "cancelling")
        self.open.setVisible(job.state == "succeeded")
        self.message.setText(_sentence(job))
        self.message.setVisible(bool(self.message.text()))

    @slot
    def _on_cancel(self) -> None:
        if self.job is not None:
            self.cancel.setEnabled(False)
            self.cancelled.emit(self.job.id)

    @slot
    def _on_open(self) -> None:
        if self.job is not None:
            self.opened.emit(self.job.id)


def _sentence(job: JobView) -> str:
    if job.state == "failed":
        error = job.error or {}
        return f"{error.get('message', 'The job failed.')} {error.get('action', '')}".strip()
    if job.final:
        warnings = [message for level, message in job.logs if level == "warning"]
        return " ".join(warnings[-3:])
    if job.state == "cancelling":
        return "The job is being stopped."
    if job.state == "queued":
        return "Waits for the jobs before it."
    if not job.message:
        return "The job is starting."
    return " · ".join(part for part in (job.message, time_left(job.eta_s)) if part)
