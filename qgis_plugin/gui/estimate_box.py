# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the backend whether model and series fit, and what a map will take, before it is begun."""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Set

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ..backend.jobs import JobView, in_words
from ..backend.link import Backend
from ..compat import label, plain
from ..i18n import tr
from ..timing import slot
from .why import RemedyButton, remedy_of

MEGABYTE, GIGABYTE = 1024**2, 1024**3


class EstimateBox(QWidget):
    """A button, and the answer below it.

    Args:
        name: Prefix of the object names.
        backend: Whom to ask: by a job that writes nothing.
        words: An error of the backend as a sentence, with what helps.
    """

    asked = pyqtSignal()
    """The button was pressed: the page answers with ``ask``."""

    def __init__(self, name: str, backend: Backend, words: Callable[[Mapping[str, Any]], str]) -> None:
        super().__init__()
        self._backend, self._words = backend, words
        self._key = ""
        self._job = ""
        self._forgotten: Set[str] = set()
        self.button = QPushButton(tr("Check and estimate"))
        self.button.setObjectName(f"{name}Estimate")
        self.button.setToolTip(
            plain(
                tr(
                    "Whether the model and the series fit, and what time, memory and disk the map will take. "
                    "Nothing is written."
                )
            )
        )
        self.answer = label("", f"{name}EstimateAnswer", muted=True)
        self.remedy = RemedyButton(f"{name}EstimateRemedy")
        row = QHBoxLayout()
        row.addWidget(self.button)
        row.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(4)
        whole.addLayout(row)
        whole.addWidget(self.answer)
        whole.addWidget(self.remedy, 0, Qt.AlignmentFlag.AlignLeft)
        self._say("")
        self.button.clicked.connect(self._on_pressed)
        backend.submitted.connect(self._on_submitted)
        backend.refused.connect(self._on_refused)
        backend.jobs_changed.connect(self._on_jobs)

    def ask(self, spec: Mapping[str, Any]) -> None:
        """Ask what this prediction will take."""
        self.forget()
        self._key = self._backend.submit("predict", {**spec, "dry_run": True})
        self._say(tr("Asking the backend."))

    def forget(self) -> None:
        """Something was changed: the answer holds no longer, and a question under way is of no use."""
        if self._key:  # its job has no id yet, and is cancelled when it has
            self._forgotten.add(self._key)
        job, self._job, self._key = self._backend.jobs.get(self._job), "", ""
        if job is not None and not job.final:
            self._backend.cancel(job.id)
        self._say("")

    def _say(self, text: str) -> None:
        self.answer.setText(text)
        self.answer.setVisible(bool(text))
        self.remedy.offer(remedy_of(text))

    @slot
    def _on_pressed(self) -> None:
        self.asked.emit()

    @slot
    def _on_submitted(self, key: str, job: str) -> None:
        if key == self._key:
            self._key, self._job = "", job
        elif key in self._forgotten:
            self._forgotten.remove(key)
            self._backend.cancel(job)

    @slot
    def _on_refused(self, token: str, error: Mapping[str, Any]) -> None:
        self._forgotten.discard(token)
        if token == self._key:
            self._key = ""
            self._say(self._words(error))

    @slot
    def _on_jobs(self, changed: List[JobView]) -> None:
        for job in changed:
            if self._job and job.id == self._job:
                self._say(sentence(job, self._words))


def sentence(job: JobView, words: Callable[[Mapping[str, Any]], str] = in_words) -> str:
    """A dry run as it stands: what the map will take, or why it cannot be made.

    Args:
        job: The dry run.
        words: An error of the backend as a sentence.
    """
    if job.state == "failed":
        return words(job.error or {})
    if job.state == "queued":
        return tr("Waits until the job before it has ended.")
    if job.state != "succeeded":
        return job.message or tr("Asking the backend.")
    facts = job.summary or {}
    lines = [
        tr(
            "Model and series fit. The map will take {time}, {memory} of memory and at most {disk} of disk.",
            time=duration(float(facts.get("seconds") or 0)),
            memory=amount(int(facts.get("memory_bytes") or 0)),
            disk=amount(int(facts.get("disk_bytes") or 0)),
        )
    ]
    for needed, free, text in (
        ("disk_bytes", "disk_free_bytes", tr("The disk has only {free} free: make room, or choose another.")),
        ("memory_bytes", "memory_free_bytes", tr("Only {free} of memory are free: close other programs.")),
    ):
        if int(facts.get(needed) or 0) > int(facts.get(free) or 0):
            lines.append(text.format(free=amount(int(facts.get(free) or 0))))
    lines += [message for level, message in job.logs if level == "warning"]
    return " ".join(lines)


def amount(size: int) -> str:
    """Bytes in words."""
    if size >= GIGABYTE:
        return f"{size / GIGABYTE:.1f} GB"
    return f"{max(1, round(size / MEGABYTE))} MB"


def duration(seconds: float) -> str:
    """A duration in words, as coarse as an estimate is."""
    if seconds < 60:
        return tr("less than a minute")
    if seconds < 5400:
        return tr("about {minutes} min", minutes=round(seconds / 60))
    return tr("about {hours} h", hours=f"{seconds / 3600:.1f}")
