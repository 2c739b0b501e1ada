# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend as pages see it: the face of the socket thread on the interface's thread."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Set

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..timing import slot
from .jobs import JobView
from .launcher import Launcher
from .link_state import LinkState
from .others import proxy
from .thread import Command, LinkThread


class Backend(QObject):
    """The backend for pages: signals on the interface's thread, methods that return at once."""

    state_changed = pyqtSignal(object)
    """LinkState."""
    jobs_changed = pyqtSignal(object)
    """The JobViews that changed; all are in ``jobs``."""
    jobs_removed = pyqtSignal(object)
    """The ids of jobs that are there no more."""
    submitted = pyqtSignal(str, str)
    """A submit's key, and the id of its job."""
    answered = pyqtSignal(str, object)
    """A request's token, and the body of its answer."""
    refused = pyqtSignal(str, object)
    """A request's token, and the error as a mapping with ``message`` and ``action``."""

    def __init__(self, program: str, home: Path, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.state = LinkState()
        self.jobs: Dict[str, JobView] = {}
        self.server: Mapping[str, Any] = {}
        """What ``hello`` told: ``devices``, ``host``, ``version`` and more; empty before."""
        self._program = program
        self._home = home
        self._thread: Optional[LinkThread] = None

    def start(self) -> None:
        """Connect, if that has not begun; starts the program where none runs."""
        if self._thread is not None:
            return
        thread = LinkThread(Launcher(self._program, self._home, proxy()), self)
        thread.state_changed.connect(self._on_state)
        thread.greeted.connect(self._on_hello)
        thread.jobs_changed.connect(self._on_jobs)
        thread.jobs_removed.connect(self._on_removed)
        thread.answered.connect(self._on_answer)
        thread.refused.connect(self._on_refused)
        self._thread = thread
        thread.start()

    def use(self, program: str, replace: bool = False) -> None:
        """Take another program for the next start, and try again where it failed.

        Args:
            program: As ``Launcher`` takes it.
            replace: End a server that speaks another version of the protocol, and start the program instead.
        """
        self._program = program
        if self._thread is None:
            self.start()
            return
        self._thread.launcher.program = program
        self._thread.launcher.proxy = proxy()
        self._thread.retry(replace)

    def restart(self) -> None:
        """End the server that runs and start the program anew; jobs go on from what they have kept."""
        self.ask("stop")

    def submit(self, task: str, spec: Mapping[str, Any]) -> str:
        """Put a job into the queue.

        Returns:
            Its key; ``submitted`` or ``refused`` comes with it.
        """
        key = uuid.uuid4().hex
        self._send(Command("submit", {"task": task, "spec": dict(spec), "key": key}, key))
        return key

    def retry(self, job: str) -> str:
        """Put a job that failed or was cancelled into the queue again, as a new one.

        Returns:
            Its key; ``submitted`` or ``refused`` comes with it.
        """
        key = uuid.uuid4().hex
        self._send(Command("retry", {"job": job, "key": key}, key))
        return key

    def ask(self, request: str, **body: Any) -> str:
        """Send a request of the protocol: ``pause``, ``resume``, ``finish``, ``order`` and others.

        Args:
            request: Its type.
            body: Its fields; those that are None are left out.

        Returns:
            Its token; ``answered`` or ``refused`` comes with it.
        """
        token = f"{request} {uuid.uuid4().hex}"
        self._send(Command(request, {name: v for name, v in body.items() if v is not None}, token))
        return token

    def taken(self, task: str) -> Set[str]:
        """Paths that jobs of this task have been told to make."""
        return {str(j.spec.get("out")) for j in self.jobs.values() if j.task == task and not j.dry_run}

    def will_make(self, path: Path) -> bool:
        """Whether a job that waits or runs has been told to make this."""
        return any(
            not job.final and not job.dry_run and str(job.spec.get("out")) == str(path)
            for job in self.jobs.values()
        )

    def device_name(self, device: Optional[str]) -> str:
        """The name of what a job runs on; empty where that is not known."""
        devices = self.server.get("devices") or ()
        return next((str(one["name"]) for one in devices if one.get("id") == device and device), "")

    def cancel(self, job: str) -> str:
        """Stop a job: the attempt that is known here, so that a late click stops no newer one.

        Returns:
            Its token; ``answered`` or ``refused`` comes with it.
        """
        view = self.jobs.get(job)
        return self.ask("cancel", job=job, attempt=(view.attempt if view is not None else 0) or None)

    def watch(self, job: str) -> None:
        """Fetch all events of a job that has ended, too: its curve and its log."""
        self._send(Command("subscribe", {"job": job}))

    def close(self) -> bool:
        """End the connection; jobs go on.

        Returns:
            Whether its thread has ended, so that this object may be deleted.
        """
        if self._thread is None:
            return True
        self._thread.end()
        ended = self._thread.wait(3000)
        self._thread = None
        return ended

    def _send(self, command: Command) -> None:
        self.start()
        if self._thread is not None:
            self._thread.commands.put(command)

    @slot
    def _on_state(self, state: LinkState) -> None:
        self.state = state
        self.state_changed.emit(state)

    @slot
    def _on_hello(self, server: Mapping[str, Any]) -> None:
        self.server = server

    @slot
    def _on_jobs(self, changed: List[JobView]) -> None:
        self.jobs.update({job.id: job for job in changed})
        self.jobs_changed.emit(changed)

    @slot
    def _on_removed(self, gone: List[str]) -> None:
        for job in gone:
            self.jobs.pop(job, None)
        self.jobs_removed.emit(gone)

    @slot
    def _on_answer(self, token: str, body: Mapping[str, Any]) -> None:
        if " " not in token:  # a key
            self.submitted.emit(token, str(body["job"]))
        self.answered.emit(token, body)

    @slot
    def _on_refused(self, token: str, error: Mapping[str, Any]) -> None:
        self.refused.emit(token, error)
