# SPDX-License-Identifier: GPL-3.0-or-later
"""The program uv, which makes environments: one on PATH that is new enough, else PyPI's, hash checked."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Optional, Tuple

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtCore import QObject, QProcess, QUrl, pyqtSignal
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest

from ..timing import slot
from .others import for_others
from .setup_plan import UvWheel

OLDEST = (0, 8, 0)
"""The first release with all options of ``setup_plan``: the youngest is ``--clear`` of ``uv venv``."""
ANSWERS_WITHIN_MS = 10_000


def find(fetched: Path) -> Optional[Path]:
    """The program on this computer: the one fetched before, else one on PATH that is recent enough.

    It waits for that program's answer: not for the interface's thread. None: there is none.
    """
    if fetched.is_file():
        return fetched
    found = shutil.which("uv")
    return Path(found) if found and _release(found) >= OLDEST else None


def _release(program: str) -> Tuple[int, ...]:
    """The release that a uv says it is; empty: it doesn't say."""
    asked = QProcess()
    asked.setProcessEnvironment(for_others())
    asked.start(program, ["--version"])
    if not asked.waitForFinished(ANSWERS_WITHIN_MS):
        asked.kill()
        asked.waitForFinished(1000)
        return ()
    said = bytes(asked.readAllStandardOutput()).decode(errors="replace")
    numbers = re.match(r"uv (\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, numbers.groups())) if numbers else ()


def unpack(wheel: Path, known: UvWheel, system: str, target: Path) -> str:
    """Take the program out of its wheel, which must be the one that is known; nothing else is unpacked.

    Args:
        wheel: The file.
        known: Which it must be.
        system: As ``Machine`` names it.
        target: Where the program shall be.

    Returns:
        What is wrong, in uv's own words; empty: it is there.
    """
    try:
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != known.sha256:
            return f"Hash mismatch for {known.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        with zipfile.ZipFile(wheel) as archive:
            part.write_bytes(archive.read(known.member(system)))
        part.chmod(part.stat().st_mode | stat.S_IXUSR)
        os.replace(part, target)  # noqa: PTH105
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        return str(error)
    return ""


class Fetch(QObject):
    """Downloads a file with QGIS's own network settings: its proxy, its certificates.

    Args:
        url: What to download.
        target: The file to write.
        parent: Who owns this.
    """

    progressed = pyqtSignal(object, object)
    """Bytes that have come, and of how many."""
    ended = pyqtSignal(str)
    """What went wrong; empty: the file is there."""

    def __init__(self, url: str, target: Path, parent: QObject) -> None:
        super().__init__(parent)
        self._said = ""
        self._target = target
        request = QNetworkRequest(QUrl(url))
        policy = QNetworkRequest.RedirectPolicy.NoLessSafeRedirectPolicy
        request.setAttribute(QNetworkRequest.Attribute.RedirectPolicyAttribute, policy)
        with suppress(OSError):  # the first piece that can't be written tells
            target.unlink()
        self._reply = QgsNetworkAccessManager.instance().get(request)
        self._reply.downloadProgress.connect(self._on_progress)
        self._reply.readyRead.connect(self._on_data)
        self._reply.finished.connect(self._on_end)

    def cancel(self) -> None:
        """Stop it; ``ended`` comes."""
        self._stop("cancelled")

    def _stop(self, why: str) -> None:
        self._said = self._said or why
        self._reply.abort()

    @slot
    def _on_progress(self, come: int, of: int) -> None:
        self.progressed.emit(come, of)

    @slot
    def _on_data(self) -> None:
        try:
            with self._target.open("ab") as file:
                file.write(bytes(self._reply.readAll()))
        except OSError as error:
            self._stop(str(error))

    @slot
    def _on_end(self) -> None:
        if self._reply.error() != QNetworkReply.NetworkError.NoError:
            self._said = self._said or f"Failed to download: {self._reply.errorString()}"
        self._reply.deleteLater()
        self.ended.emit(self._said)
