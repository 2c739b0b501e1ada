# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to know about the selected job: in words, its curve, its log, its outputs."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtWidgets import QPlainTextEdit, QSizePolicy, QTabWidget

from ..backend.jobs import JobView
from ..backend.turns import jobs_before
from ..i18n import tr, trn
from ..shared import Shared
from .curve import CurveWidget
from .job_log import LogView
from .job_outputs import OutputsView
from .job_text import describe

WORDS, CURVE, LOG, OUTPUTS = range(4)


class JobPanel(QTabWidget):
    """Four views of one job. Only the one in sight is kept up to date."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self.setObjectName("timoJobsPanel")
        self.setDocumentMode(True)
        self._shared = shared
        self._job: Optional[JobView] = None
        self.words = QPlainTextEdit()
        self.words.setObjectName("timoJobsDetails")
        self.words.setAccessibleName(tr("Details"))
        self.words.setReadOnly(True)
        self.words.setPlaceholderText(tr("Pick a job to see what it did."))
        self.words.setMinimumHeight(70)
        self.curve = CurveWidget("timoJobsCurve")
        self.curve.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.log = LogView()
        self.outputs = OutputsView(shared.background)
        self.addTab(self.words, tr("Details"))
        self.addTab(self.curve, tr("Curve"))
        self.addTab(self.log, tr("Log"))
        self.addTab(self.outputs, tr("Outputs"))
        self.currentChanged.connect(lambda *_: self._show())
        self.show_job(None)

    def show_job(self, job: Optional[JobView]) -> None:
        """Show a job as it is now; None: no job is selected."""
        self._job = job
        self.setTabEnabled(CURVE, job is not None and bool(job.metrics))
        self.setTabEnabled(LOG, job is not None)
        self.setTabEnabled(OUTPUTS, job is not None and bool(job.outputs()))
        self._show()

    def _show(self) -> None:
        job, here = self._job, self.currentIndex()
        if here == WORDS:
            self._show_words(job)
        elif here == CURVE and job is not None:
            if self.curve.metrics is not job.metrics or self.curve.title != job.name:
                self.curve.title = job.name
                self.curve.show_metrics(job.metrics, 0 if job.final else int(job.spec.get("epochs") or 0))
        elif here == LOG:
            self.log.show_job(job)
        elif here == OUTPUTS:
            self.outputs.show_job(job)

    def _show_words(self, job: Optional[JobView]) -> None:
        text = ""
        if job is not None:
            device = self._shared.backend.device_name(job.device)
            text = describe(job, self._turn(job), device)
        if text != self.words.toPlainText():
            self.words.setPlainText(text)

    def _turn(self, job: JobView) -> str:
        if not job.waiting:
            return ""
        before = jobs_before(job, self._shared.backend.jobs.values())
        if not before:
            return tr("It is the next.")
        return trn("{count} job is before it.", "{count} jobs are before it.", before)
