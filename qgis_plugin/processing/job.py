# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of the backend, submitted and followed to its end by a thread that waits for it."""

from __future__ import annotations

import queue
import uuid
from typing import Any, Mapping, Optional, Sequence, Tuple

from qgis.core import QgsApplication, QgsProcessingException, QgsProcessingFeedback
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QEventLoop, Qt, QThread, QTimer
from qgis.PyQt.QtWidgets import QApplication, QWidget

from ..backend.jobs import JobView, time_left
from ..backend.launcher import Launcher
from ..backend.link_state import LinkState
from ..backend.thread import LinkThread
from ..i18n import tr
from ..settings import Settings

LOOK_EVERY = 0.2


def run_job(
    task: str, spec: Mapping[str, Any], proxy: Mapping[str, str], feedback: QgsProcessingFeedback
) -> JobView:
    """Have the backend do a task; it is started where none runs.

    Cancelling the feedback cancels the job, and its end is waited for. No event loop is needed; on the
    interface's thread, where QGIS runs a batch, the interface goes on, and may start another run meanwhile.

    Args:
        task: ``predict``, ``finetune`` and the like.
        spec: What differs from the task's defaults; absolute paths.
        proxy: As ``others.proxy`` tells it.
        feedback: Gets progress and log lines.

    Returns:
        The job as it ended: succeeded, or cancelled by the feedback.

    Raises:
        QgsProcessingException: It failed, or there is no backend: one text that says why and what to do.
    """
    follower = _Follower(task, spec, feedback)
    settings = Settings.load()
    thread = LinkThread(Launcher(settings.backend_program, settings.home_folder, proxy))
    news: queue.Queue[Tuple[str, Any]] = queue.Queue()
    interface = QThread.currentThread() == QgsApplication.instance().thread()
    # Directly, in the link's own thread: ours waits for the queue and may have no event loop.
    direct = Qt.ConnectionType.DirectConnection
    thread.state_changed.connect(lambda state: news.put(("state", state)), direct)
    thread.jobs_changed.connect(lambda jobs: news.put(("jobs", jobs)), direct)
    thread.jobs_removed.connect(lambda jobs: news.put(("removed", jobs)), direct)
    thread.answered.connect(lambda token, body: news.put(("answer", (token, body))), direct)
    thread.refused.connect(lambda token, error: news.put(("refusal", (token, error))), direct)
    follower.submit(thread)
    thread.start()
    window = QApplication.activeWindow() if interface else None

    def stop() -> None:
        follower.cancel(thread)

    if interface:  # also while a later run waits inside this one's turn
        feedback.canceled.connect(stop)
    try:
        while not follower.ended:
            if feedback.isCanceled():
                follower.cancel(thread)
            try:
                kind, news_body = news.get(timeout=0 if interface else LOOK_EVERY)
            except queue.Empty:
                if interface:
                    _give_turn(feedback, window)
                continue
            getattr(follower, f"take_{kind}")(news_body)
    finally:
        if interface:
            feedback.canceled.disconnect(stop)
        thread.end()
        thread.wait()
    return follower.result()


def _give_turn(feedback: QgsProcessingFeedback, window: Optional[QWidget]) -> None:
    """Let the interface go on for a while.

    Args:
        feedback: Is cancelled where nobody waits any more, so that a batch has no further rows.
        window: From which it was begun; None where there is none.

    Raises:
        QgsProcessingException: Nobody waits for the job any more, nor for a batch's others.
    """
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * LOOK_EVERY), loop.quit)
    closed = loop.exec() < 0  # it does not begin once QGIS is told to end
    if closed or QgsApplication.processingRegistry().providerById("timo") is None:
        feedback.cancel()
        raise QgsProcessingException(
            tr("TiMo or QGIS is being closed: what was begun goes on, and stands on the page Jobs.")
        )
    if window is not None and (sip.isdeleted(window) or not window.isVisible()):
        raise QgsProcessingException(
            tr("The window was closed: what was begun goes on, and stands on the page Jobs.")
        )


class _Follower:
    """What is known of the job, and what of it was told."""

    def __init__(self, task: str, spec: Mapping[str, Any], feedback: QgsProcessingFeedback) -> None:
        self._task, self._spec, self._key = task, dict(spec), uuid.uuid4().hex
        self._feedback = feedback
        self._job = JobView("", task=task, state="")
        self._text = ""
        self._cancelled = False

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self._job.final

    def submit(self, thread: LinkThread) -> None:
        """Put the job into the queue; the key makes it one, however often the backend goes away meanwhile."""
        thread.ask("submit", {"task": self._task, "spec": self._spec, "key": self._key}, self._key)

    def cancel(self, thread: LinkThread) -> None:
        """Ask for the job's end, once. One that the backend was not sent yet never is, and has ended so."""
        if not self._job.id:
            if thread.withdraw(self._key):
                self._job = JobView("", task=self._task, state="cancelled")
        elif not self._cancelled:
            self._cancelled = True
            self._feedback.pushInfo(tr("Stopping the job."))
            thread.ask("cancel", {"job": self._job.id}, f"cancel {self._job.id}")

    def take_state(self, state: LinkState) -> None:
        """The connection's: without a backend there is no job."""
        if state.troubled:
            raise QgsProcessingException(f"{state.message} {state.action}".strip())
        if not self._job.id:
            self._tell(state.message)

    def take_answer(self, answer: Tuple[str, Mapping[str, Any]]) -> None:
        """The job's id."""
        token, body = answer
        if token == self._key:
            self._job = JobView(str(body["job"]), task=self._task)
            self._feedback.pushInfo(tr("Job {job} of the TiMo backend.", job=self._job.id))

    def take_refusal(self, refusal: Tuple[str, Mapping[str, Any]]) -> None:
        """Why the job is not taken; that it cannot be cancelled any more is of no interest."""
        token, error = refusal
        if token == self._key:
            raise QgsProcessingException(_sentences(error))

    def take_jobs(self, jobs: Sequence[JobView]) -> None:
        """The job's news, among those of all jobs."""
        for job in jobs:
            if not self._job.id or job.id != self._job.id:
                continue
            for level, message in job.logged_since(self._job.logged):
                (self._feedback.pushWarning if level == "warning" else self._feedback.pushInfo)(message)
            self._feedback.setProgress(100 * job.fraction)
            self._tell(job.state_name if job.state != "running" else _progress(job))
            self._job = job

    def take_removed(self, jobs: Sequence[str]) -> None:
        """Of a job that is there no more nobody tells how it ended."""
        if self._job.id in jobs:
            raise QgsProcessingException(tr("The job was removed from elsewhere, such as the Jobs page."))

    def result(self) -> JobView:
        """The ended job."""
        if self._job.state == "failed":
            raise QgsProcessingException(_sentences(self._job.error or {}))
        if self._job.state == "cancelled" and not self._feedback.isCanceled():
            raise QgsProcessingException(tr("The job was cancelled from elsewhere, such as the Jobs page."))
        return self._job

    def _tell(self, text: str) -> None:
        if text and text != self._text:
            self._text = text
            self._feedback.setProgressText(text)


def _progress(job: JobView) -> str:
    return " · ".join(part for part in (job.message, time_left(job.eta_s)) if part)


def _sentences(error: Mapping[str, Any]) -> str:
    message = str(error.get("message") or tr("The job failed."))
    return f"{message} {error.get('action') or ''}".strip()
