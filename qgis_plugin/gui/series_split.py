# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes layers of the dates that a raster holds in its bands, and ticks them in the raster's place."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import List, Sequence

from qgis.PyQt.QtCore import QObject

from ..i18n import tr
from ..layers.file_dates import SplitError, split, stamp_of
from ..layers.frames import Row
from ..layers.series_store import TICKED
from ..log import log
from ..settings import unwritable
from ..shared import Shared
from .series_sources import AddButton
from .series_table import SeriesModel

MOST = 500
"""Layers that are made of one raster."""
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
        many = max(rows, key=lambda row: len(row.steps))
        if len(many.steps) > MOST:
            log(
                tr(
                    "{name} holds {count} dates, and no more than {most} become layers: make a file of some "
                    "of them, such as those of a year.",
                    name=many.name, count=len(many.steps), most=MOST,
                ), "warning", push=True,
            )  # fmt: skip
            return
        try:
            home = self._shared.settings.subfolder(FOLDER)
        except OSError as error:
            self._failed(unwritable(error))
            return
        series = self._model.store.current
        self._add.setEnabled(False)

        def done(paths: List[Path]) -> None:
            if not any(one is series for one in self._model.store.all):  # the project, or the series, is gone
                return
            self._add.setEnabled(True)
            for row in rows:
                series.put(row.layer_id, TICKED, "")
            self._add.add_to(series, paths)

        self._shared.background.run(lambda: _split(rows, home), done, failed=self._failed, owner=self._add)

    def _failed(self, why: str) -> None:
        self._add.setEnabled(True)
        log(why, "warning", push=True)


def _split(rows: Sequence[Row], home: Path) -> List[Path]:
    made: List[Path] = []
    for row in rows:
        kept = (
            f"{row.source} {stamp_of(row.source)}"  # of files with one name, and of those that were replaced
        )
        folder = home / hashlib.sha256(kept.encode("utf-8")).hexdigest()[:8]
        try:
            made += split(row.source, row.steps, folder, row.name)
        except SplitError as error:
            raise SplitError(
                tr("No layers could be made of the dates of {name}: {why}.", name=row.name, why=error)
            ) from error
    return made
