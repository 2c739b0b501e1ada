# SPDX-License-Identifier: GPL-3.0-or-later
"""A job while it runs and when it has ended: progress, what can be done, the error and what to do."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Set

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ..backend.job_rules import TRAININGS, can
from ..backend.jobs import JobView, in_words, time_left
from ..backend.link import Backend
from ..backend.turns import jobs_before
from ..compat import ProgressBar, icon, label
from ..i18n import tr, trn
from ..timing import slot
from .curve_scale import best_epoch
from .question import confirm_cancel
from .remedies import Remedies, must_change
from .why import Remedy, RemedyButton


class RunBox(QFrame):
    """Follows one job. Hidden until there is one.

    Args:
        name: Prefix of the object names.
        done_text: The text of the button that is there when the job has succeeded; empty for none.
        extra: Widgets above the progress bar.
    """

    cancelled = pyqtSignal(str)
    """The id of the job that shall stop."""
    opened = pyqtSignal(str)
    """The id of the job whose result is asked for."""
    log_asked = pyqtSignal(str)
    """The id of the job whose log is asked for."""

    def __init__(self, name: str, done_text: str, *extra: QWidget) -> None:
        super().__init__()
        self.setObjectName(f"{name}Box")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.job: Optional[JobView] = None
        self.remedies: Optional[Remedies] = None
        """What helps a job that has failed, on the page that shows it."""
        self._backend: Optional[Backend] = None
        self._asked: Set[str] = set()
        self._ending = ""
        """The job that was told to end soon."""
        self._refused: Optional[Mapping[str, Any]] = None
        self._cancelling = False
        self.title = label("", f"{name}Title")
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.bar = ProgressBar()
        self.bar.setObjectName(f"{name}Progress")
        self.bar.setAccessibleName(tr("Progress"))
        self.bar.setRange(0, 1000)
        self.bar.setFormat("%p %")
        self.message = label("", f"{name}Message", muted=True)
        self.note = label("", f"{name}Note")
        self._buttons(name, done_text)
        self._build(extra)
        self.setVisible(False)

    def _buttons(self, name: str, done_text: str) -> None:
        self.pause = _button(f"{name}Pause", "job-pause", tr("Pause"))
        self.pause.setToolTip(tr("Free the computer; the job goes on later from its last checkpoint"))
        self.resume = _button(f"{name}Resume", "job-resume", tr("Go on"))
        self.resume.setToolTip(tr("Let the job have its turn again"))
        self.finish = _button(f"{name}Finish", "job-finish", tr("Stop and keep the best"))
        self.finish.setToolTip(tr("End the training early, with the best model so far"))
        self.cancel = _button(f"{name}Cancel", "job-cancel", tr("Cancel"))
        self.cancel.setToolTip(tr("Stop the job without a result"))
        self.retry = _button(f"{name}Retry", "job-retry", tr("Try again"))
        self.retry.setToolTip(tr("The same job once more; it goes on from what this one has left"))
        self.remedy = RemedyButton(f"{name}Mend")
        self.log = _button(f"{name}Log", "jobs", tr("Log"))
        self.log.setToolTip(tr("What the job said, on the page Jobs"))
        self.open = QPushButton(done_text)
        self.open.setObjectName(f"{name}Open")
        for button in (self.pause, self.resume, self.finish, self.cancel, self.retry, self.log, self.open):
            button.setVisible(False)  # else a page that was not shown yet keeps room for all of them

    def _build(self, extra: Sequence[QWidget]) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.setSpacing(6)
        layout.addWidget(self.title)
        layout.addWidget(self.message)
        layout.addWidget(self.note)
        for widget in extra:
            layout.addWidget(widget)
        layout.addWidget(self.bar)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.open)
        row.addWidget(self.retry)
        row.addWidget(self.remedy)
        row.addWidget(self.log)
        row.addStretch(1)
        for button in (self.pause, self.resume, self.finish, self.cancel):
            row.addWidget(button)
        layout.addLayout(row)
        self.cancel.clicked.connect(self._on_cancel)
        self.open.clicked.connect(self._on_open)
        self.log.clicked.connect(self._on_log)
        self.pause.clicked.connect(self._on_pause)
        self.resume.clicked.connect(self._on_resume)
        self.finish.clicked.connect(self._on_finish)
        self.retry.clicked.connect(self._on_retry)

    def attach(self, backend: Backend) -> None:
        """Send what the buttons ask for to this backend, and show what it answers."""
        self._backend = backend
        backend.refused.connect(self._on_refused)
        backend.answered.connect(self._on_answered)
        backend.jobs_changed.connect(self._on_others)
        backend.state_changed.connect(self._on_state)

    def show_job(self, job: JobView) -> None:
        """Show a job as it is now."""
        if self.job is None or self.job.id != job.id or self.job.state != job.state:
            self._refused, self._cancelling = None, False
        self.job = job
        self.setVisible(True)
        self.title.setText(f"{job.name}: {job.state_name.lower()}")
        self.bar.setVisible(not job.final)
        self.bar.setUpdatesEnabled(False)  # else it paints all that waits, in this slot
        self.bar.setValue(round(1000 * min(max(job.fraction, 0.0), 1.0)))
        self.bar.setUpdatesEnabled(True)
        self.open.setVisible(job.state == "succeeded" and bool(self.open.text()))
        self._show_buttons(job)
        self._show_texts(job)

    @slot
    def forget_job(self) -> None:
        """The job was removed: there is nothing to show, until there is another one."""
        self.job = None
        self.setVisible(False)

    def _show_buttons(self, job: JobView) -> None:
        ours = self._backend is not None
        ready = self._backend is None or self._backend.state.ready
        self.cancel.setVisible(not job.final)
        self.cancel.setEnabled(ready and can("cancel", job))
        self.pause.setVisible(ours and not job.final and job.state != "paused")
        self.pause.setEnabled(ready and can("pause", job))
        self.resume.setVisible(ours and job.state == "paused")
        self.resume.setEnabled(ready)
        self.finish.setVisible(ours and job.task in TRAININGS and not job.final)
        self.finish.setEnabled(ready and can("finish", job) and self._ending != job.id)
        self.retry.setVisible(ours and can("retry", job) and not must_change(job.error))
        self.retry.setEnabled(ready)
        self.remedy.offer(self._remedy(job))
        self.log.setVisible(ours and job.state == "failed")

    def _remedy(self, job: JobView) -> Optional[Remedy]:
        if self.remedies is None:
            return None
        refused = self.remedies.of_refusal(self._refused) if self._refused is not None else None
        return refused or self.remedies.of_job(job)

    def _show_texts(self, job: JobView) -> None:
        text = self._sentence(job)
        if text != self.message.text():
            self.message.setText(text)
        self.message.setVisible(bool(text))
        soon = self._soon(job) if self._ending == job.id and not job.final else ""
        note = in_words(self._refused) or soon
        if note != self.note.text():
            self.note.setText(note)
        self.note.setVisible(bool(note))

    def _soon(self, job: JobView) -> str:
        """What an early stop comes to."""
        best = best_epoch(job.metrics)
        if best is not None:
            return tr(
                "It ends soon, and keeps the best so far, of epoch {epoch}, unless this one is better.",
                epoch=best,
            )
        return tr("The training ends after its first epoch, and keeps what it has learnt by then.")

    def _sentence(self, job: JobView) -> str:
        if job.state == "failed":
            error = job.error or {}
            return f"{error.get('message', tr('The job failed.'))} {error.get('action', '')}".strip()
        if job.final:
            warnings = [message for level, message in job.logs if level == "warning"]
            return " ".join(warnings[-3:])
        if job.state == "cancelling":
            return tr("The job is being stopped.")
        if job.state == "pausing":
            return tr("The job is being paused: what it is at is kept first.")
        if job.state == "paused":
            return tr("Paused. Press Go on, and it goes on from its last checkpoint.")
        if job.waiting:
            return self._turn(job)
        if not job.message:
            return tr("The job is starting.")
        device = self._backend.device_name(job.device) if self._backend is not None else ""
        return " · ".join(part for part in (job.message, time_left(job.eta_s), device) if part)

    def _turn(self, job: JobView) -> str:
        before = jobs_before(job, self._backend.jobs.values()) if self._backend is not None else 0
        if not before:
            return tr("Waiting: it is the next.")
        return trn("Waiting, {count} job before it.", "Waiting, {count} jobs before it.", before)

    # what the analyst does

    @slot
    def _on_cancel(self) -> None:
        job = self.job
        if job is not None:
            confirm_cancel(self, [job], lambda: self._cancel(job))

    def _cancel(self, job: JobView) -> None:
        """Cancel it, unless it has ended, or was tried again, while the question stood there."""
        now = self.job
        if now is not None and (now.id, now.attempt) == (job.id, job.attempt) and not now.final:
            self.cancel.setEnabled(False)
            self._refused, self._cancelling = None, True
            self.cancelled.emit(job.id)

    @slot
    def _on_open(self) -> None:
        if self.job is not None:
            self.opened.emit(self.job.id)

    @slot
    def _on_log(self) -> None:
        if self.job is not None:
            self.log_asked.emit(self.job.id)

    @slot
    def _on_pause(self) -> None:
        self._ask("pause", self.pause)

    @slot
    def _on_resume(self) -> None:
        self._ask("resume", self.resume)

    @slot
    def _on_finish(self) -> None:
        self._ask("finish", self.finish)

    @slot
    def _on_retry(self) -> None:
        if self._backend is not None and self.job is not None:
            self.retry.setEnabled(False)
            self._asked.add(self._backend.retry(self.job.id))

    def _ask(self, request: str, button: QPushButton) -> None:
        if self._backend is not None and self.job is not None:
            button.setEnabled(False)
            self._refused = None
            self._asked.add(self._backend.ask(request, job=self.job.id))

    # what the backend says

    @slot
    def _on_answered(self, token: str, body: Mapping[str, Any]) -> None:
        if token not in self._asked:
            return
        self._asked.discard(token)
        if token.startswith("finish "):
            self._ending = str(body.get("job", ""))
        self._again()

    @slot
    def _on_refused(self, token: str, error: Mapping[str, Any]) -> None:
        of_cancel = self._cancelling and token.startswith("cancel ")  # the page has sent it
        if token not in self._asked and not of_cancel:
            return
        self._asked.discard(token)
        self._cancelling = False
        self._refused = error
        self._again()

    @slot
    def _on_others(self) -> None:
        if self.job is not None and self.job.waiting:
            self._show_texts(self.job)

    @slot
    def _on_state(self) -> None:
        self._again()

    def _again(self) -> None:
        if self.job is not None:
            self._show_buttons(self.job)
            self._show_texts(self.job)


def _button(name: str, picture: str, text: str) -> QPushButton:
    button = QPushButton(icon(picture), text)
    button.setObjectName(name)
    return button
