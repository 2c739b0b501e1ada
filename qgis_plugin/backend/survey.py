# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out what a set-up would install here: the GPU, the packages that fit, the room there is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from qgis.PyQt.QtCore import QObject, QProcess, QTimer, pyqtSignal

from ..background import Background
from ..i18n import tr
from ..timing import slot
from . import setup_plan as plan
from .machine import Choice, Machine, choose
from .others import for_others, kill
from .setup_files import free

ASK = ("nvidia-smi", ["--query-gpu=driver_version,name", "--format=csv,noheader"])
ASK_WITHIN_MS = 15_000
DRIVER_FILE = Path("/proc/driver/nvidia/version")
PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Survey:
    """What a set-up would do.

    Attributes:
        machine: The computer.
        choice: The packages that fit, by name, and why.
        lock: These packages; None: none fit.
        uv: The uv of this platform; None: there is none.
        free: Bytes free in the backend's folder; None: nobody knows.
    """

    machine: Machine
    choice: Choice
    lock: Optional[plan.Lock] = None
    uv: Optional[plan.UvWheel] = None
    free: Optional[int] = None


class Surveyor(QObject):
    """Asks the NVIDIA driver, and looks at the plugin's files and the disk.

    Args:
        home: The backend's folder.
        background: Runs what waits for disks.
        parent: Who owns this.
    """

    found = pyqtSignal(object)
    """Survey."""

    def __init__(self, home: Path, background: Background, parent: QObject) -> None:
        super().__init__(parent)
        self._home = home
        self._background = background
        self._process: Optional[QProcess] = None

    def look(self) -> None:
        """Begin; ``found`` comes."""
        if self._process is not None:
            return
        process = QProcess(self)
        process.setProcessEnvironment(for_others())
        process.finished.connect(self._on_told)
        process.errorOccurred.connect(self._on_told)  # there is no such program
        self._process = process
        patience = QTimer(process)  # a driver can hang
        patience.setSingleShot(True)
        patience.timeout.connect(lambda: kill(process))
        patience.start(ASK_WITHIN_MS)
        process.start(*ASK)

    @slot
    def _on_told(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        told = bytes(process.readAllStandardOutput()).decode(errors="replace")
        process.deleteLater()
        home = self._home
        self._background.run(lambda: survey(home, told), self.found.emit)


def survey(home: Path, told: str, machine: Optional[Machine] = None, package: Path = PACKAGE) -> Survey:
    """What a set-up would do; it reads files.

    Args:
        home: The backend's folder.
        told: What the NVIDIA driver's program said; empty: nothing.
        machine: The computer; None: this one.
        package: The plugin's folder.
    """
    machine = (machine or Machine.this()).with_gpu(told)
    if not machine.gpu and machine.system == "linux":
        with suppress(OSError):
            machine = machine.with_gpu(DRIVER_FILE.read_text(encoding="utf-8", errors="replace"))
    try:
        locks = plan.read_locks(package / "resources" / "locks")
        uv = plan.uv_wheel(package / "resources" / "locks", machine.platform)
    except (OSError, ValueError, KeyError, TypeError):
        broken = tr("The plugin's files are damaged: install the plugin again.")
        return Survey(machine, Choice(None, broken))
    choice = choose(machine, locks)
    return Survey(machine, choice, locks.get(choice.lock or ""), uv, free(home))


def shipped(package: Path = PACKAGE) -> Path:
    """The wheel of the library and the backend in the plugin; not there if it has none."""
    folder = package / "wheels"
    return next(iter(sorted(folder.glob("timo_qgis-*.whl"))), folder / "timo_qgis-0-py3-none-any.whl")


def version_of(wheel: Path) -> str:
    """The release that a wheel is of."""
    return wheel.name.split("-")[1]
