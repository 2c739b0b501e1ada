# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks ``timo``, the program beside the backend's, what needs no job: it answers in JSON."""

from __future__ import annotations

import json
from typing import Optional, Sequence

from qgis.PyQt.QtCore import QCoreApplication, QObject, QProcess, pyqtSignal

from ..i18n import tr
from ..timing import slot
from .launcher import find
from .others import for_others, proxy


class Asking(QObject):
    """Asks one thing at a time.

    Args:
        program: The backend's program as set; empty: it is looked for on PATH.
    """

    told = pyqtSignal(dict)
    """What the program prints."""
    failed = pyqtSignal(str)
    """Why not, in a sentence that says what to do."""

    def __init__(self, program: str, parent: QObject) -> None:
        super().__init__(parent)
        self.program = program
        self._process: Optional[QProcess] = None

    @property
    def running(self) -> bool:
        """Whether an answer is awaited."""
        return self._process is not None

    def start(self, arguments: Sequence[str]) -> None:
        """Begin; what is asked at present is given up.

        Args:
            arguments: Of the program, ``--json`` among them.
        """
        self.stop()
        backend = find(self.program)
        program = backend.with_name("timo" + backend.suffix) if backend else None
        if program is None or not program.is_file():
            self.failed.emit(tr("This needs the TiMo backend: see the top of the panel."))
            return
        process = QProcess(self)
        process.setProcessEnvironment(for_others(proxy()))
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        self._process = process
        process.start(str(program), list(arguments))

    def stop(self) -> None:
        """Give up; nothing is told any more."""
        process, self._process = self._process, None
        if process is not None:
            process.finished.disconnect(self._on_finished)
            process.errorOccurred.disconnect(self._on_error)
            process.setParent(QCoreApplication.instance())  # which outlives the dialog
            process.finished.connect(process.deleteLater)
            process.kill()

    @slot
    def _on_finished(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        said = bytes(process.readAllStandardOutput()).decode("utf-8", "replace")
        complaint = bytes(process.readAllStandardError()).decode("utf-8", "replace")
        process.deleteLater()
        try:
            found = json.loads(said)
        except ValueError:
            found = None
        if process.exitCode() == 0 and isinstance(found, dict):
            self.told.emit(found)
        else:
            last = " ".join(complaint.split())[-600:]
            self.failed.emit(last or tr("The program timo ended without an answer: try again."))

    @slot
    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            self._process.deleteLater()
            self._process = None
            self.failed.emit(tr("The program timo could not be started: mend the installation."))
