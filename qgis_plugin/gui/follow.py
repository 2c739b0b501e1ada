# SPDX-License-Identifier: GPL-3.0-or-later
"""Which job a page shows: the one submitted last, or the one of its task that runs."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..backend.jobs import JobView
from ..backend.link import Backend
from ..timing import slot


class Follower(QObject):
    """Follows one job of one task, and picks up a running one when QGIS was started anew."""

    changed = pyqtSignal(object)
    """The JobView."""
    lost = pyqtSignal()
    """The job was removed: there is none to show any more."""

    def __init__(self, backend: Backend, task: str, parent: QObject) -> None:
        super().__init__(parent)
        self._backend = backend
        self._task = task
        self._key = ""
        self.job = ""
        backend.submitted.connect(self._on_submitted)
        backend.jobs_changed.connect(self._on_jobs)
        backend.jobs_removed.connect(self._on_removed)

    @property
    def submitting(self) -> bool:
        """Whether a job was submitted that the backend has not taken yet."""
        return bool(self._key)

    def submit(self, spec: Mapping[str, Any]) -> None:
        """Submit a job, and follow it."""
        self._key = self._backend.submit(self._task, spec)

    def refuse(self, token: str) -> bool:
        """Give up a submit that was refused; whether it was ours."""
        ours = token == self._key
        if ours:
            self._key = ""
        return ours

    def follow(self, job: str) -> None:
        """Show this job from now on, with all that it told."""
        self.job = job
        self._backend.watch(job)
        self._show()

    @slot
    def _on_submitted(self, key: str, job: str) -> None:
        if key == self._key:
            self._key = ""
            self.job = job
            self._show()

    @slot
    def _on_jobs(self, changed: List[JobView]) -> None:
        current = self._current()
        if current is None or current.final:
            running = [job for job in changed if self._is_ours(job) and not job.final]
            if running and not self.submitting and self.job == "":
                self.job = max(running, key=lambda job: job.created or 0).id
            again = [job.id for job in changed if self.job and job.parent == self.job and self._is_ours(job)]
            if again and not self.submitting:  # another try of the job that is shown
                self.job = again[-1]
        if any(job.id == self.job for job in changed):
            self._show()

    @slot
    def _on_removed(self, gone: List[str]) -> None:
        if self.job in gone:
            self.job = ""
            self.lost.emit()

    def _is_ours(self, job: JobView) -> bool:
        return job.task == self._task and not job.dry_run

    def _current(self) -> Optional[JobView]:
        return self._backend.jobs.get(self.job)

    def _show(self) -> None:
        job = self._current()
        if job is not None:
            self.changed.emit(job)
