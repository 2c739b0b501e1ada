# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes layers of the dates that a raster holds in its bands, and ticks them in the raster's place."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import List, Sequence

from qgis.PyQt.QtCore import QObject

from ..i18n import tr
from ..layers.file_dates import SplitError, split
from ..layers.frames import Row
from ..log import log
from ..settings import unwritable
from ..shared import Shared
from .series_sources import AddButton
from .series_table import SeriesModel

FOLDER = "dates"
"""The home's folder of the rasters that are made: virtual ones, of the file's own pixels."""


class Splitter(QObject):
    """Writes in the background.

    Args:
        add: What opens the rasters.
    """

    def __init__(self, shared: Shared, model: SeriesModel, add: AddButton, parent: QObject) -> None:
        super().__init__(parent)
        self._shared, self._model, self._add = shared, model, add

    def split(self, ids: Sequence[str]) -> None:
        """Make a layer for each date of these layers."""
        rows = [row for row in self._model.rows if row.layer_id in ids and row.steps]
        if not rows or not self._add.isEnabled():  # files are being added
            return
        try:
            home = self._shared.settings.subfolder(FOLDER)
        except OSError as error:
            self._failed(unwritable(error))
            return
        self._add.setEnabled(False)

        def done(paths: List[Path]) -> None:
            self._add.setEnabled(True)
            self._model.tick_layers([row.layer_id for row in rows], False)
            self._add.add(paths)

        self._shared.background.run(lambda: _split(rows, home), done, failed=self._failed, owner=self._add)

    def _failed(self, why: str) -> None:
        self._add.setEnabled(True)
        log(why, "warning", push=True)


def _split(rows: Sequence[Row], home: Path) -> List[Path]:
    made: List[Path] = []
    for row in rows:
        digest = hashlib.sha256(row.source.encode("utf-8")).hexdigest()[:8]  # of files with one name
        try:
            made += split(row.source, row.steps, home / f"{digest}", row.name)
        except SplitError as error:
            raise SplitError(
                tr("No layers could be made of the dates of {name}: {why}.", name=row.name, why=error)
            ) from error
    return made
