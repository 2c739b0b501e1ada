# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the files of the project's rasters looked into for their dates, behind the analyst's work."""

from __future__ import annotations

from typing import Dict, List, Set

from qgis.PyQt.QtCore import QObject, QTimer

from ..background import Background
from ..layers.file_dates import NOTHING, FileDates, read
from ..timing import slot
from .series_table import SeriesModel

_AT_ONCE = 50
"""Files; what they tell is shown together, as each showing has the whole series looked at."""


class DateReader(QObject):
    """Looks once into each file."""

    def __init__(self, model: SeriesModel, background: Background, parent: QObject) -> None:
        super().__init__(parent)
        self._model, self._background = model, background
        self._asked: Set[str] = set()
        self._waiting: List[str] = []
        self._busy = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.look)
        model.changed.connect(self._soon.start)  # another turn of the interface than showing the rows

    @slot
    def look(self) -> None:
        """Ask for the files that were not asked for."""
        new = self._model.sources() - self._asked
        self._asked |= new
        self._waiting += sorted(new)
        self._next()

    def _next(self) -> None:
        if self._busy or not self._waiting:
            return
        some, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        self._busy = True
        self._background.run(
            lambda: {source: read(source) for source in some},
            self._on_read,
            failed=self._on_failed,
            owner=self,
        )

    def _on_read(self, found: Dict[str, FileDates]) -> None:
        self._busy = False
        told = {source: dates for source, dates in found.items() if dates != NOTHING}
        if told:
            self._model.show_told(told)
        self._next()

    def _on_failed(self, _why: str) -> None:
        """Those files tell nothing; the others have their turn."""
        self._busy = False
        self._next()
