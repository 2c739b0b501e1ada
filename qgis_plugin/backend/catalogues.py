# SPDX-License-Identifier: GPL-3.0-or-later
"""Searches STAC catalogues with ``timo stac``, the program beside the backend's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from qgis.PyQt.QtCore import QCoreApplication, QObject, QProcess, pyqtSignal

from ..i18n import tr
from ..timing import slot
from .launcher import find
from .others import for_others, proxy


@dataclass(frozen=True)
class Search:
    """What to search for.

    Attributes:
        address: Of the API's root.
        box: West, south, east, north in degrees.
        dates: First and last day, "2020-01-01/2020-12-31".
        cloud: Percent of clouds that a scene may have.
    """

    address: str
    collections: Tuple[str, ...]
    box: Tuple[float, float, float, float]
    dates: str
    cloud: Optional[float] = None

    def arguments(self) -> List[str]:
        """For the program."""
        collections = [part for name in self.collections for part in ("--collection", name)]
        box = ["--bbox", *(f"{side:.7f}" for side in self.box)]
        cloud = [] if self.cloud is None else ["--cloud", f"{self.cloud:g}"]
        return ["stac", *collections, *box, "--dates", self.dates, *cloud, "--json", "--", self.address]

    def kept(self) -> Dict[str, Any]:
        """As the file that a job takes as its series has it."""
        cloud = {} if self.cloud is None else {"cloud": self.cloud}
        return {
            "stac": self.address,
            "collections": list(self.collections),
            "bbox": [round(side, 7) for side in self.box],
            "dates": self.dates,
            **cloud,
        }


class Searcher(QObject):
    """Runs one search at a time.

    Args:
        program: The backend's program as set; empty: it is looked for on PATH.
    """

    found = pyqtSignal(dict)
    """What ``timo stac --json`` prints: ``scenes``, ``days``, ``bands``, ``cloudy``, ``problems``."""
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

    def start(self, search: Search) -> None:
        """Begin; a search that runs is given up."""
        self.stop()
        backend = find(self.program)
        program = backend.with_name("timo" + backend.suffix) if backend else None
        if program is None or not program.is_file():
            self.failed.emit(tr("Searching needs the TiMo backend: see the top of the panel."))
            return
        process = QProcess(self)
        process.setProcessEnvironment(for_others(proxy()))
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        self._process = process
        process.start(str(program), search.arguments())

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
            self.found.emit(found)
        else:
            last = " ".join(complaint.split())[-600:]
            self.failed.emit(last or tr("The search ended without an answer: try again."))

    @slot
    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            self._process.deleteLater()
            self._process = None
            self.failed.emit(tr("The program timo could not be started: mend the installation."))
