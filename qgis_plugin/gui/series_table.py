# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of dated layers: ticked in its first column, dates and sensors edited in their own."""

from __future__ import annotations

import datetime as dt
import math
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, Qt, pyqtSignal
from qgis.PyQt.QtGui import QFont

from ..compat import RIGHT, plain
from ..i18n import tr
from ..layers.checks import check
from ..layers.clear import Clear
from ..layers.file_dates import NOTHING, FileDates
from ..layers.frames import Row, RowMaker, fits, write_date
from ..layers.raster_facts import Facts, FactsReader
from ..layers.series_store import SENSOR as SENSOR_KEY
from ..layers.series_store import TICKED, Series, SeriesStore

COLUMNS = (tr("Layer"), tr("Date"), tr("Sensor"), tr("Bands"), tr("Clear"), tr("Size"), tr("Note"))
LAYER, DATE, SENSOR, BANDS, CLEAR, SIZE, NOTE = range(7)
SHORT = {
    "sentinel-1": "S1", "sentinel-2": "S2", "landsat-4": "L4", "landsat-5": "L5", "landsat-7": "L7",
    "landsat-8": "L8", "landsat-9": "L9", "hls-l30": "HLS", "modis": "MODIS",
}  # fmt: skip
"""What the table writes for sensors: names of layers need the room."""


class SeriesModel(QAbstractTableModel):
    """What the current series can be made of, as rows; what is changed in them is kept in the store."""

    changed = pyqtSignal()
    counted = pyqtSignal()
    """Clear shares came, and nothing else is new."""
    rejected = pyqtSignal(str)
    """What was typed that is no date."""

    def __init__(self, project: QgsProject, store: SeriesStore) -> None:
        super().__init__()
        self._project = project
        self.store = store
        self.reader = FactsReader()
        self.rows: List[Row] = []
        self._maker = RowMaker()
        self._facts: Dict[str, Facts] = {}
        self._looked_at: Dict[str, Optional[Facts]] = {}  # by a read that has not ended; None: does not fit
        self._clear: Dict[str, Clear] = {}
        self._told: Dict[str, FileDates] = {}  # by source

    def tick(self, numbers: Sequence[int], on: bool) -> None:
        """Tick or untick some rows at once."""
        self.tick_layers([self.rows[number].layer_id for number in numbers], on)

    def tick_layers(self, ids: Sequence[str], on: bool) -> None:
        """Tick or untick layers by their ids."""
        for layer_id in ids:
            self.store.current.put(layer_id, TICKED, "true" if on else "")
        self.keep()

    def layer_rows(self) -> List[Row]:
        """The rows of the project's layers, also while a search's days are shown."""
        shown = self.store.current
        if not shown.search:
            return self.rows
        return self._maker.rows(self._facts, Series(""), self._clear, self._told)

    def keep(self) -> None:
        """Save what was changed in the store, and show it."""
        self.store.save()
        self.show()

    def refresh(self) -> None:
        """Read the layers again, and show them."""
        self.read()
        self.show()

    def read(self, seconds: float = math.inf) -> bool:
        """Read the layers again; ``show`` shows them.

        Args:
            seconds: The longest it may take; the next call goes on with what is left.

        Returns:
            Whether all are read now.
        """
        if seconds == math.inf:
            self.read_anew()
        until = time.perf_counter() + seconds
        layers = self._project.mapLayers()
        for layer_id, layer in layers.items():
            if layer_id in self._looked_at:
                continue
            if time.perf_counter() > until:
                return False
            facts = self._looked_at[layer_id] = self.reader.read(layer) if fits(layer) else None
            if facts is not None:  # made now, its row is there when all are shown
                told = self._told.get(facts.source, NOTHING)
                self._maker.row(layer_id, facts, self.store.current, self._clear.get(layer_id), told)
        found = ((layer_id, self._looked_at[layer_id]) for layer_id in layers)
        self._facts = {layer_id: facts for layer_id, facts in found if facts is not None}
        self.read_anew()
        return True

    def read_anew(self) -> None:
        """Let the next ``read`` begin with the first layer."""
        self._looked_at = {}

    def show(self) -> None:
        """Show what is known."""
        self._place()
        self.changed.emit()

    def show_clear(self, found: Dict[str, Clear]) -> None:
        """Show what was read in some rows' pixels."""
        self._clear.update(found)
        self._place()
        self.counted.emit()

    def sources(self) -> Set[str]:
        """What GDAL opens of the project's layers, also while a search's days are shown."""
        return {facts.source for facts in self._facts.values()} - {""}

    def show_told(self, told: Mapping[str, FileDates]) -> None:
        """Show what files tell of their dates."""
        self._told.update(told)
        self.show()

    def _place(self) -> None:
        """Make the rows; what is selected stays if the layers do, what is typed if shares alone came."""
        rows = check(self._maker.rows(self._facts, self.store.current, self._clear, self._told))
        order = {row.layer_id: row for row in rows}
        if set(order) != {row.layer_id for row in self.rows}:
            self.beginResetModel()
            self.rows = rows
            self.endResetModel()
            return
        old, self.rows = self.rows, [order[row.layer_id] for row in self.rows]
        pairs = list(enumerate(zip(self.rows, old)))
        new = [number for number, (row, was) in pairs if row != was or row.clear != was.clear]
        first = LAYER if any(row != was for _, (row, was) in pairs) else CLEAR
        if new:
            self.dataChanged.emit(self.index(new[0], first), self.index(new[-1], len(COLUMNS) - 1))

    def sort_key(self, number: int, column: int) -> Any:
        """By what a row is sorted in a column."""
        row = self.rows[number]
        if column == CLEAR:
            return -1.0 if row.clear is None else row.clear
        if column == DATE:
            return row.date or dt.date.min
        if column in (BANDS, SIZE):
            return len(row.bands) if column == BANDS else row.width * row.height
        return _text(row, column).lower()

    def number_of(self, layer_id: str) -> int:
        """The row of a layer; -1 if it has none."""
        return next((n for n, row in enumerate(self.rows) if row.layer_id == layer_id), -1)

    # Qt's interface

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008  Qt's signature
        """As many as layers."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008  Qt's signature
        """The columns above."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Column titles."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlags:
        """The layer can be ticked, its date and sensor edited; a search's days come from the catalogue."""
        flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        if index.column() == LAYER:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        if index.column() in (DATE, SENSOR) and not self.rows[index.row()].scenes:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole and column == SENSOR:
            return SHORT.get(row.sensor, row.sensor)
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return _text(row, column)
        if role == Qt.ItemDataRole.CheckStateRole and column == LAYER:
            return Qt.CheckState.Checked if row.ticked else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain(_hint(row, column))
        if role == Qt.ItemDataRole.DecorationRole and column == NOTE and row.problem:
            return QgsApplication.getThemeIcon("/mIconWarning.svg")
        if role == Qt.ItemDataRole.FontRole and _typed(row, column):
            font = QFont()
            font.setItalic(True)
            return font
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (BANDS, CLEAR, SIZE):
            return RIGHT
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """A tick, a typed date or a sensor."""
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.CheckStateRole and index.column() == LAYER:
            self.tick([index.row()], Qt.CheckState(value) == Qt.CheckState.Checked)
            return True
        text = str(value)
        if role != Qt.ItemDataRole.EditRole or text.strip() == _text(row, index.column()):
            return False
        if index.column() == DATE:
            if not write_date(self.store.current, row.layer_id, text):
                self.rejected.emit(text)
                return False
        elif index.column() == SENSOR:
            self.store.current.put(row.layer_id, SENSOR_KEY, text.strip().lower())
        else:
            return False
        self.keep()
        return True


def _typed(row: Row, column: int) -> bool:
    return (column == DATE and row.edited) or (column == SENSOR and row.sensor_edited)


def _text(row: Row, column: int) -> str:
    if column == LAYER:
        return row.name
    if column == DATE:
        return row.date.isoformat() if row.date else ""
    if column == SENSOR:
        return row.sensor
    if column == BANDS:
        return str(len(row.bands)) if row.bands else ""
    if column == CLEAR:
        return "" if row.clear is None else f"{100 * row.clear:.0f} %"
    if column == SIZE:
        return row.size
    return row.fault


def _hint(row: Row, column: int) -> str:
    if column == LAYER:
        if row.scenes:
            return ", ".join(row.scenes)
        return tr("{path}, {size} pixels", path=row.path or row.name, size=row.size)
    if column == DATE:
        if row.edited:
            return tr("Typed in. Empty the cell to take the date that the file or its name tells.")
        return tr("Double-click to change it.")
    if column == SENSOR:
        if row.sensor_edited:
            return tr("{sensor}, typed in. Empty the cell to take what the names tell.", sensor=row.sensor)
        known = row.sensor or tr("Not known")
        return tr("{sensor}, as the names tell; double-click to change it.", sensor=known)
    if column == BANDS:
        named = (name or tr("without a name") for name in row.bands)
        return ", ".join(
            f"{name} = {role}" if role and role != name else name for name, role in zip(named, row.roles)
        )
    if column == CLEAR:
        return tr("The share of pixels that show the ground: no nodata and, where a mask tells, no cloud.")
    if column == SIZE:
        return tr("{size} pixels, {crs}", size=row.size, crs=row.crs[:60] or tr("no coordinate system"))
    return row.problem or row.note
