# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks for the file that a map is written to, and has a free name for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Iterable, Optional

from qgis.core import QgsProject
from qgis.gui import QgsFileWidget

from ..i18n import tr
from ..layers.sources import unique_path, why_not_into, without_number
from ..log import log
from ..shared import Shared
from ..timing import slot
from .outputs_box import ENDINGS
from .why import helped


class MapFile(QgsFileWidget):
    """A GeoTIFF that is not there yet.

    Args:
        shared: What all pages share.
        name: The object name.
        beside: What is made beside a map, its files named like it.
    """

    def __init__(self, shared: Shared, name: str, beside: Callable[[Path], Iterable[Path]]) -> None:
        super().__init__()
        self._shared, self._beside = shared, beside
        self._suggested = ""
        self._like: Optional[Path] = None
        self.setObjectName(name)
        self.lineEdit().setAccessibleName(tr("The map to write"))
        self.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.setFilter("GeoTIFF (*.tif)")
        self.setDialogTitle(tr("The map to write"))

    def path(self) -> Path:
        """What is asked for."""
        return Path(self.filePath().strip())

    def why_not(self) -> str:
        """Why it cannot be written, in a sentence that says what to do; empty if it can."""
        if not self.filePath().strip():
            return tr("Name the map to write.")
        path = self.path()
        if not path.is_absolute() or path.suffix.lower() not in (".tif", ".tiff"):
            return tr("Give the map's full path, with a name that ends in .tif.")
        missing = not os.access(path.parent, os.F_OK)
        no_folder = "" if missing and path.parent == self.own else why_not_into(path.parent)
        if no_folder:
            return helped(no_folder, tr("Make the folder"), self._on_make) if missing else no_folder
        taken = ""
        there = next(filter(Path.exists, (path, *self._beside(path))), None)
        if there is not None:
            taken = tr("{name} exists already: give the map another name.", name=there.name)
        elif self._shared.backend.will_make(path):
            taken = tr("A job makes {name} already: give the map another name.", name=path.name)
        return helped(taken, tr("Take a free name"), self._on_free_name)

    def taken(self, out: Path) -> None:
        """A job makes this map: the next one is named like it, if the analyst has named it."""
        if str(out) != self._suggested:
            self._like = out
        self._suggested = str(out)

    def suggest(self, stem: str) -> None:
        """Take a name that is free, unless the analyst has given one; after a job, one like that job's.

        Args:
            stem: The name without its ending, where no job has been like it.
        """
        text = self.filePath()
        if text not in ("", self._suggested):
            return
        home = QgsProject.instance().absolutePath()
        folder = Path(home) if home and os.access(home, os.W_OK) else self.own
        if self._like is not None:
            folder, stem = self._like.parent, without_number(self._like.stem)
        taken = self._shared.backend.taken("predict")
        self._suggested = str(unique_path(folder, stem, ".tif", taken, ENDINGS.values()))
        if text != self._suggested:
            self.setFilePath(self._suggested)

    @property
    def own(self) -> Path:
        """Where maps go that have no project's folder: made at the click."""
        return self._shared.settings.home_folder / "results"

    @slot
    def _on_make(self) -> None:
        folder = self.path().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log(
                tr("{folder} cannot be written to: {why}.", folder=folder, why=error.strerror),
                "warning",
                push=True,
            )
        self.fileChanged.emit(self.filePath())  # it is judged anew

    @slot
    def _on_free_name(self) -> None:
        self._like, self._suggested = self.path(), self.filePath()
        self.suggest("")
