# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the backend remove jobs, or say what that would free: as many at once as it takes."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .._client.protocol import MOST_REMOVED
from ..timing import slot
from .jobs import in_words
from .link import Backend


class Removal(QObject):
    """Removes jobs that have ended.

    Args:
        backend: Whose they are.
        jobs: Their ids.
        parent: Who waits for it.
        dry_run: Remove nothing, and only say what that would free.
    """

    ended = pyqtSignal(object, str)
    """How many bytes are free now, and why that was not all; empty if it was."""

    def __init__(self, backend: Backend, jobs: Sequence[str], parent: QObject, dry_run: bool = False) -> None:
        super().__init__(parent)
        self._backend, self._left, self._dry_run = backend, list(jobs), dry_run
        self._freed = 0
        self._awaited = ""
        backend.answered.connect(self._on_answered)
        backend.refused.connect(self._on_refused)

    def start(self) -> None:
        """Ask; ``ended`` comes later, unless it is given up."""
        some, self._left = self._left[:MOST_REMOVED], self._left[MOST_REMOVED:]
        self._awaited = self._backend.ask("remove", jobs=some, dry_run=self._dry_run)

    def give_up(self) -> None:
        """Nobody waits any more; what was asked for is done."""
        self._awaited = ""
        self.deleteLater()

    @slot
    def _on_answered(self, token: str, body: Mapping[str, Any]) -> None:
        if token != self._awaited:
            return
        self._freed += int(body["freed"])
        if self._left:
            self.start()
        else:
            self._end("")

    @slot
    def _on_refused(self, token: str, error: Mapping[str, Any]) -> None:
        if token == self._awaited:
            self._end(in_words(error))

    def _end(self, why: str) -> None:
        self.give_up()
        self.ended.emit(self._freed, why)
