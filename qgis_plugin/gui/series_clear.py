# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the clear share of the ticked rasters counted, one after the other, behind the analyst's work."""

from __future__ import annotations

from typing import Dict, List, Tuple

from qgis.PyQt.QtCore import QElapsedTimer, QObject, QTimer

from ..background import Background
from ..layers.clear import Clear, Question, measure
from ..layers.frames import Row
from ..timing import slot
from .series_table import SeriesModel

_SHOW = 300
"""Milliseconds; counts are shown together, as each has the whole series looked at."""


class ClearCounter(QObject):
    """Counts what is ticked and not known yet; one raster at a time leaves the threads to others, too."""

    def __init__(self, model: SeriesModel, background: Background, parent: QObject) -> None:
        super().__init__(parent)
        self._model = model
        self._background = background
        self._asked: Dict[str, Question] = {}
        self._waiting: List[Tuple[str, Question]] = []
        self._found: Dict[str, Clear] = {}
        self._busy = False
        self._shown = QElapsedTimer()
        self._shown.start()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.look)
        model.changed.connect(self._soon.start)  # another turn of the interface than showing the rows

    @slot
    def look(self) -> None:
        """Ask for the rows that are ticked and whose file, nodata value or masks were not asked for."""
        days: Dict[object, List[Row]] = {}
        for row in self._model.rows:
            days.setdefault(row.date, []).append(row)
        for row in self._model.rows:
            if row.ticked and row.path is not None:
                question = _question(row, days[row.date])
                if self._asked.get(row.layer_id) != question:
                    self._asked[row.layer_id] = question
                    self._waiting.append((row.layer_id, question))
        self._next()

    def _next(self) -> None:
        # What was changed meanwhile was asked anew, behind it.
        self._waiting = [
            (layer_id, asked) for layer_id, asked in self._waiting if self._asked[layer_id] == asked
        ]
        if self._busy or not self._waiting:
            return
        layer_id, question = self._waiting.pop(0)
        self._busy = True
        self._background.run(
            lambda: (layer_id, measure(question)), self._on_found, failed=self._on_failed, owner=self
        )

    def _on_found(self, found: Tuple[str, Clear]) -> None:
        self._found[found[0]] = found[1]
        self._go_on()

    def _on_failed(self, _why: str) -> None:
        """That raster's share stays unknown; the others have their turn."""
        self._go_on()

    def _go_on(self) -> None:
        """Show what was found while nothing is counted, which would slow the interface's thread; count on."""
        self._busy = False
        if self._found and (not self._waiting or self._shown.hasExpired(_SHOW)):
            found, self._found = self._found, {}
            self._model.show_clear(found)
            self._shown.start()
        self._next()


def _question(row: Row, same_day: List[Row]) -> Question:
    # Sentinel-2's and Landsat's products have 0 where they have no data, as the library's presets know.
    zero = row.sensor.startswith(("sentinel-2", "landsat"))
    hidden_by_none = row.mask or row.sensor == "sentinel-1"  # clouds don't hide from a radar
    beside = tuple(
        str(other.path)
        for other in same_day
        if other.mask and other is not row and other.path is not None and other.box == row.box
    )
    return Question(
        str(row.path),
        row.nodata,
        row.added_nodata,
        zero and not row.tells_nodata,
        () if hidden_by_none else beside,
    )
