# SPDX-License-Identifier: GPL-3.0-or-later
"""pyzmq for a QGIS that has none: uv puts it into a folder of ours, the one that we add to ``sys.path``."""

from __future__ import annotations

import shutil
import sys
from importlib import invalidate_caches
from pathlib import Path
from typing import List, Optional

from qgis.PyQt.QtCore import QObject, QProcess, pyqtSignal

from ..background import Background
from ..i18n import tr
from ..timing import slot
from . import setup_plan as plan
from .machine import Machine
from .others import for_others, kill, proxy
from .setup_files import move
from .survey import PACKAGE
from .uv_output import sentence
from .uv_tool import Fetch, find, unpack


def folder(home: Path) -> Path:
    """Where it lies: a folder for each Python that QGIS may have."""
    return home / "pyzmq-cp{}{}".format(*sys.version_info[:2])


_offered: List[str] = []


def offer(home: Path) -> None:
    """Let Python find ours, if it is there; last in the path, so that nothing of QGIS is hidden."""
    place = str(folder(home))
    if place not in sys.path and folder(home).is_dir():
        sys.path.append(place)
        invalidate_caches()
        _offered.append(place)


def withdraw() -> None:
    """Leave ``sys.path`` as it was."""
    while _offered:
        place = _offered.pop()
        if place in sys.path:
            sys.path.remove(place)


def interpreter() -> Optional[Path]:
    """The program of QGIS's own Python; None: it is not in its place."""
    names = ("python.exe", "python3.exe") if sys.platform == "win32" else ("bin/python3", "bin/python")
    return next((path for path in (Path(sys.base_prefix) / name for name in names) if path.is_file()), None)


class PyzmqInstaller(QObject):
    """Installs it, without waiting.

    Args:
        home: The backend's folder.
        background: Runs what waits for disks.
        parent: Who owns this.
    """

    ended = pyqtSignal(str)
    """Why it failed, and what to do; empty: it is there."""

    def __init__(self, home: Path, background: Background, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._home = home
        self._background = background
        self._process: Optional[QProcess] = None
        self._fetch: Optional[Fetch] = None

    def start(self) -> None:
        """Begin; ``ended`` comes."""
        self._background.run(self._look, self._on_looked)

    def close(self) -> None:
        """It has ended, or the plugin is unloaded."""
        self._background.close()
        self._background.deleteLater()
        if self._process is not None:
            self._process.finished.disconnect()
            self._process.errorOccurred.disconnect()
            kill(self._process)

    def _look(self) -> tuple:
        """The uv that is known, its program if it is there, and what is wrong."""
        machine = Machine.this()
        try:
            known = plan.uv_wheel(PACKAGE / "resources" / "locks", machine.platform)
            self._part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.rmtree(self._part, ignore_errors=True)
        except (OSError, ValueError) as error:
            return None, None, str(error)
        return known, find(self._uv(known)) if known else find(self._home / "uv"), ""

    @property
    def _part(self) -> Path:
        return folder(self._home).with_suffix(".part")

    def _uv(self, known: plan.UvWheel) -> Path:
        return plan.Layout(self._home, "").uv(known, Machine.this().system)

    @slot
    def _on_looked(self, found: tuple) -> None:
        known, uv, wrong = found
        if wrong:
            self.ended.emit(sentence(wrong))
        elif uv is not None:
            self._run(uv)
        elif known is None:
            self.ended.emit(tr("There is no uv for this computer: install pyzmq for QGIS's Python yourself."))
        else:
            wheel = self._home / known.name
            self._fetch = Fetch(known.url, wheel, self)
            self._fetch.ended.connect(lambda trouble: self._on_fetched(trouble, known, wheel))

    @slot
    def _on_fetched(self, trouble: str, known: plan.UvWheel, wheel: Path) -> None:
        def take() -> str:
            wrong = trouble or unpack(wheel, known, Machine.this().system, self._uv(known))
            if wheel.exists():
                wheel.unlink()
            return wrong

        def done(wrong: str) -> None:
            if wrong:
                self.ended.emit(sentence(wrong))
            else:
                self._run(self._uv(known))

        self._background.run(take, slot(done))

    def _run(self, uv: Path) -> None:
        lock = PACKAGE / "resources" / "locks" / "pyzmq.txt"
        command = plan.pyzmq_command(uv, lock, self._part)
        own = interpreter()
        if own is not None:
            command += ("--python", str(own))
        self._process = QProcess(self)
        self._process.setProcessEnvironment(for_others(proxy()))
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_not_started)
        self._process.start(command[0], list(command[1:]))

    @slot
    def _on_not_started(self, error: QProcess.ProcessError) -> None:
        process = self._process
        if error == QProcess.ProcessError.FailedToStart and process is not None:
            self._process = None
            program = process.program()
            process.deleteLater()
            self.ended.emit(tr("The program {program} could not be started.", program=program))

    @slot
    def _on_finished(self, status: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        crashed = process.exitStatus() != QProcess.ExitStatus.NormalExit
        said = bytes(process.readAllStandardError()).decode(errors="replace")
        process.deleteLater()
        if status or crashed:
            self.ended.emit(sentence(said))
            return
        part, target = self._part, folder(self._home)
        self._background.run(
            lambda: move(part, target), lambda wrong: self.ended.emit(sentence(wrong) if wrong else "")
        )
