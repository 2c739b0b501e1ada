# SPDX-License-Identifier: GPL-3.0-or-later
"""The program uv, which makes environments: as it is on PATH, else from PyPI, its hash checked."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
from pathlib import Path
from typing import List, Optional

from qgis.core import QgsFileDownloader
from qgis.PyQt.QtCore import QObject, QUrl, pyqtSignal

from ..timing import slot
from .setup_plan import UvWheel


def find(fetched: Path) -> Optional[Path]:
    """The program on this computer: the one fetched before, else one on PATH; None: there is none."""
    if fetched.is_file():
        return fetched
    found = shutil.which("uv")
    return Path(found) if found else None


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
        self._loader = QgsFileDownloader(QUrl(url), str(target))
        self._loader.downloadProgress.connect(self._on_progress)
        self._loader.downloadError.connect(self._on_error)
        self._loader.downloadExited.connect(self._on_exit)

    def cancel(self) -> None:
        """Stop it; ``ended`` comes."""
        self._said = "cancelled"
        if self._loader is not None:
            self._loader.cancelDownload()

    @slot
    def _on_progress(self, come: int, of: int) -> None:
        self.progressed.emit(come, of)

    @slot
    def _on_error(self, messages: List[str]) -> None:
        self._said = self._said or f"Failed to download: {'; '.join(messages)}"

    @slot
    def _on_exit(self) -> None:
        self._loader = None  # it deletes itself
        self.ended.emit(self._said)
