# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the files of the project's rasters looked into for their dates, behind the analyst's work."""

from __future__ import annotations

from typing import Dict, List, Sequence, Set

from qgis.PyQt.QtCore import QElapsedTimer, QObject, QTimer, pyqtSignal

from ..background import Background
from ..layers.file_dates import NOTHING, FileDates, read
from ..layers.frames import Row, ticked
from ..timing import slot
from .series_table import SeriesModel

_AT_ONCE = 20
"""Files; others have their turn in the background between."""
_SHOW = 1000
"""Milliseconds; what files tell is shown together, as each showing has the whole series looked at."""


class DateReader(QObject):
    """Looks once into each file, and again when it is asked to."""

    told = pyqtSignal(object)
    """FileDates by source: those that are new."""
    settled = pyqtSignal()
    """No ticked row is waited for any more. It was: a look that finds nothing new tells nobody."""

    def __init__(self, model: SeriesModel, background: Background, parent: QObject) -> None:
        super().__init__(parent)
        self._model, self._background = model, background
        self._asked: Set[str] = set()
        self._known: Dict[str, FileDates] = {}
        self._waiting: List[str] = []
        self._found: Dict[str, FileDates] = {}
        self._busy = False
        self._waited_for = False
        self._shown = QElapsedTimer()
        self._shown.start()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.look)
        model.changed.connect(self._soon.start)  # another turn of the interface than showing the rows

    def waits_for(self, rows: Sequence[Row]) -> bool:
        """Whether the date of a ticked row may still become another one."""
        return any(
            row.source and (row.source not in self._known or row.source in self._found) and not row.edited
            for row in ticked(rows)
        )

    def look_again(self) -> None:
        """Files may have been replaced: those that were are read anew."""
        self._asked = set(self._waiting)
        self._soon.start()

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
        self._busy, background = True, self._background
        background.run(
            lambda: {source: NOTHING if background.closed else read(source) for source in some},
            self._on_read,
            failed=lambda _: self._on_read(dict.fromkeys(some, NOTHING)),
            owner=self,
        )

    def _on_read(self, found: Dict[str, FileDates]) -> None:
        self._busy = False
        self._waited_for |= self.waits_for(self._model.rows)
        for source, dates in found.items():
            if dates != self._known.get(source, NOTHING):
                self._found[source] = dates
        self._known.update(found)
        if self._found and (not self._waiting or self._shown.hasExpired(_SHOW)):
            new, self._found = self._found, {}
            self.told.emit(new)
            self._shown.start()
        if self._waited_for and not self.waits_for(self._model.rows):
            self._waited_for = False
            self.settled.emit()
        self._next()
