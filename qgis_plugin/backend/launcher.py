# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds and starts the backend's program. Nothing here waits."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Mapping, Optional

from qgis.PyQt.QtCore import QProcess

from ..i18n import tr
from .link_state import Trouble
from .others import for_others

PROGRAM = "timo-backend"


class Launcher:
    """Starts ``timo-backend serve`` for one home, detached: it outlives QGIS.

    Args:
        program: The program's path; empty: it is looked for on PATH.
        home: The backend's folder.
        proxy: What ``others.proxy`` told: where the program reaches the network.
    """

    def __init__(self, program: str, home: Path, proxy: Mapping[str, str]) -> None:
        self.program = program
        self.home = home
        self.proxy = proxy
        self._pid = 0

    @property
    def log_file(self) -> Path:
        """What the program said when it was started last."""
        return self.home / "start.log"

    def start(self) -> Optional[Trouble]:
        """Start the program; what is wrong if that cannot be done."""
        program = find(self.program)
        if program is None:
            return self.missing()
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.log_file.write_bytes(b"")
        except OSError as error:
            return Trouble(
                "failed",
                tr(
                    "The backend's folder {folder} cannot be written to: {why}.",
                    folder=self.home,
                    why=error.strerror or error,
                ),
                tr("Make it writable, or name another one in the variable TIMO_HOME, and start QGIS again."),
            )
        process = QProcess()
        process.setProgram(str(program))
        process.setArguments(["serve", "--home", str(self.home)])
        process.setProcessEnvironment(for_others(self.proxy))
        process.setStandardOutputFile(str(self.log_file))
        process.setStandardErrorFile(str(self.log_file), QProcess.OpenModeFlag.Append)
        started, self._pid = process.startDetached()
        if started:
            return None
        return Trouble(
            "failed",
            tr("The program {program} could not be started.", program=program),
            tr("Check that it is the program timo-backend of a working installation, and press Retry."),
        )

    def ended(self) -> bool:
        """Whether the program that was started is known to have ended."""
        return bool(self._pid) and not is_alive(self._pid)

    def why_ended(self) -> Trouble:
        """What the program said last."""
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        ended = tr("The backend ended as soon as it was started.")
        if lines:
            said = lines[-1].strip()[:300]
            ended = tr("The backend ended as soon as it was started: {said}", said=said)
        return Trouble(
            "failed",
            ended,
            tr(
                "See {file}, mend the installation or choose another program, and press Retry.",
                file=self.log_file,
            ),
        )

    def missing(self) -> Trouble:
        """That there is no program to start, and what to do."""
        if self.program:
            return Trouble(
                "missing",
                tr("There is no program timo-backend at {path}.", path=self.program),
                tr(
                    "Set it up, or choose the program timo-backend of your TiMo installation, and press "
                    "Retry."
                ),
            )
        return Trouble(
            "missing",
            tr("The TiMo backend was not found on this computer."),
            tr("Set it up, or choose its program timo-backend here, and press Retry."),
        )


def find(program: str) -> Optional[Path]:
    """The backend's program, if it is there and can be run.

    Args:
        program: As ``Launcher`` takes it.
    """
    if program:
        path = Path(program).expanduser()
        if path.is_dir():  # an environment's folder, or its folder of programs
            found = shutil.which(PROGRAM, path=os.pathsep.join(str(path / n) for n in ("", "bin", "Scripts")))
            return Path(found) if found else None
        return path if path.is_file() and os.access(path, os.X_OK) else None
    found = shutil.which(PROGRAM)
    return Path(found) if found else None


def is_alive(pid: int) -> bool:
    """Whether a process is there; True where that cannot be asked without harm (Windows)."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
