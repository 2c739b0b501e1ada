# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of dated layers: ticked in its first column, dates edited in its second."""

from __future__ import annotations

from typing import Any, List

from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt, pyqtSignal
from qgis.PyQt.QtGui import QFont, QResizeEvent
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from ..compat import plain
from ..layers.frames import TICK_PROPERTY, Row, check, read_rows, write_edit
from ..timing import slot

COLUMNS = ("Layer", "Date", "Bands", "Size", "Note")
LAYER, DATE, BANDS, SIZE, NOTE = range(5)
SORT_ROLE = Qt.ItemDataRole.UserRole
NARROW = 52
"""Digits of width below which the size gives its room to the layers' names; their tool tip has it."""


class SeriesModel(QAbstractTableModel):
    """The project's rasters as rows. Ticks and typed dates are kept with the layers, so with the project."""

    changed = pyqtSignal()
    rejected = pyqtSignal(str)
    """What was typed that is no date."""

    def __init__(self, project: QgsProject) -> None:
        super().__init__()
        self._project = project
        self.rows: List[Row] = []

    def refresh(self) -> None:
        """Read the layers again."""
        self.beginResetModel()
        self.rows = check(read_rows(self._project))
        self.endResetModel()
        self.changed.emit()

    def tick(self, numbers: List[int], on: bool) -> None:
        """Tick or untick some rows at once."""
        for number in numbers:
            layer = self._project.mapLayer(self.rows[number].layer_id)
            if layer is not None:
                layer.setCustomProperty(TICK_PROPERTY, "true" if on else "false")
        self.refresh_in_place()

    def refresh_in_place(self) -> None:
        """Read the layers again without losing the view's selection, where they are still the same."""
        rows = check(read_rows(self._project))
        order = {row.layer_id: row for row in rows}
        if set(order) != {row.layer_id for row in self.rows}:
            self.refresh()
            return
        self.rows = [order[row.layer_id] for row in self.rows]
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, len(COLUMNS) - 1))
        self.changed.emit()

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
        """The layer can be ticked, the date edited."""
        flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        if index.column() == LAYER:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        if index.column() == DATE:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows."""
        row, column = self.rows[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return _text(row, column)
        if role == SORT_ROLE:
            return {BANDS: len(row.bands), SIZE: row.width * row.height}.get(
                column, _text(row, column).lower()
            )
        if role == Qt.ItemDataRole.CheckStateRole and column == LAYER:
            return Qt.CheckState.Checked if row.ticked else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain(_hint(row, column))
        if role == Qt.ItemDataRole.DecorationRole and column == NOTE and row.problem:
            return QgsApplication.getThemeIcon("/mIconWarning.svg")
        if role == Qt.ItemDataRole.FontRole and column == DATE and row.edited:
            font = QFont()
            font.setItalic(True)
            return font
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (BANDS, SIZE):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """A tick, or a typed date."""
        row = self.rows[index.row()]
        layer = self._project.mapLayer(row.layer_id)
        if layer is None:
            return False
        if role == Qt.ItemDataRole.CheckStateRole and index.column() == LAYER:
            self.tick([index.row()], Qt.CheckState(value) == Qt.CheckState.Checked)
            return True
        if role == Qt.ItemDataRole.EditRole and index.column() == DATE:
            text = str(value)
            if text.strip() == _text(row, DATE):
                return False
            if not write_edit(layer, text):
                self.rejected.emit(text)
                return False
            self.refresh_in_place()
            return True
        return False


class SeriesView(QTableView):
    """The table, sorted by date, filtered by a text."""

    def __init__(self, model: SeriesModel) -> None:
        super().__init__()
        self.setObjectName("timoSeriesTable")
        self.proxy = QSortFilterProxyModel(self)
        self.proxy.setSourceModel(model)
        self.proxy.setSortRole(SORT_ROLE)
        self.proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.proxy.setFilterKeyColumn(-1)
        self.setModel(self.proxy)
        self.setSortingEnabled(True)
        self.sortByColumn(DATE, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names often differ at their ends alone
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(40)
        header.setResizeContentsPrecision(0)  # what can be seen decides, however many layers there are
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(LAYER, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(BANDS, QHeaderView.ResizeMode.Fixed)  # no room for a sort arrow
        self.setColumnWidth(BANDS, self.fontMetrics().horizontalAdvance("Bands") + 14)
        self.setMinimumHeight(160)

    @slot
    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out the size where the table is narrow."""
        super().resizeEvent(event)
        narrow = self.width() < NARROW * self.fontMetrics().horizontalAdvance("0")
        if self.isColumnHidden(SIZE) != narrow:
            self.setColumnHidden(SIZE, narrow)

    @slot
    def filter(self, text: str) -> None:
        """Show the rows that have this text somewhere."""
        self.proxy.setFilterFixedString(text)

    def shown(self) -> List[int]:
        """The model's rows that the filter leaves."""
        return [self.proxy.mapToSource(self.proxy.index(n, 0)).row() for n in range(self.proxy.rowCount())]


def _text(row: Row, column: int) -> str:
    if column == LAYER:
        return row.name
    if column == DATE:
        return row.date.isoformat() if row.date else ""
    if column == BANDS:
        return str(len(row.bands))
    if column == SIZE:
        return row.size
    return row.fault


def _hint(row: Row, column: int) -> str:
    if column == LAYER:
        return f"{row.path or row.name}, {row.size} pixels"
    if column == DATE:
        return (
            "Typed in. Empty the cell to take the name's date."
            if row.edited
            else "Double-click to change it."
        )
    if column == BANDS:
        return ", ".join(band or "without a name" for band in row.bands)
    if column == SIZE:
        return f"{row.size} pixels, {row.crs or 'no coordinate system'}"
    return row.problem or row.note
