# SPDX-License-Identifier: GPL-3.0-or-later
"""How the table of dated layers looks: sorted, filtered, and with fewer columns where there is less room."""

from __future__ import annotations

from typing import List

from qgis.PyQt.QtCore import QModelIndex, QSortFilterProxyModel, Qt
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from .._client.band_names import SENSORS
from ..compat import plain_table
from ..i18n import tr
from ..timing import slot
from .series_table import BANDS, CLEAR, COLUMNS, DATE, LAYER, SENSOR, SIZE, SeriesModel

ROOM = ((SIZE, 74), (BANDS, 58), (SENSOR, 46))
"""Columns and the digits of width below which they give their room to the layers' names."""


class SeriesView(QTableView):
    """The table, sorted by date, filtered by a text."""

    def __init__(self, model: SeriesModel) -> None:
        super().__init__()
        self.setObjectName("timoSeriesTable")
        self.setAccessibleName(tr("Layers of the series"))
        self._model = model
        self.proxy = SortedRows(self)
        self.proxy.setSourceModel(model)
        self.proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.proxy.setFilterKeyColumn(-1)
        self.setModel(self.proxy)
        self.setSortingEnabled(True)
        self.sortByColumn(DATE, Qt.SortOrder.AscendingOrder)
        self.setItemDelegateForColumn(SENSOR, SensorDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._look()

    def _look(self) -> None:
        plain_table(self)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names often differ at their ends alone
        header = self.horizontalHeader()
        header.setSectionResizeMode(LAYER, QHeaderView.ResizeMode.Stretch)
        for column in (SENSOR, BANDS, CLEAR):  # no room for a sort arrow
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            width = max(map(self.fontMetrics().horizontalAdvance, (COLUMNS[column], "100 %")))
            self.setColumnWidth(column, width + 14)
        self.setMinimumHeight(150)

    @slot
    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out columns where the table is narrow."""
        super().resizeEvent(event)
        digits = self.width() / self.fontMetrics().horizontalAdvance("0")
        for column, needed in ROOM:
            if self.isColumnHidden(column) != (digits < needed):
                self.setColumnHidden(column, digits < needed)

    @slot
    def filter(self, text: str) -> None:
        """Show the rows that have this text somewhere."""
        self.proxy.setFilterFixedString(text)

    def shown(self) -> List[int]:
        """The model's rows that the filter leaves."""
        return [self.proxy.mapToSource(self.proxy.index(n, 0)).row() for n in range(self.proxy.rowCount())]

    def selected(self) -> List[str]:
        """Ids of the selected rows' layers."""
        chosen = (self.proxy.mapToSource(index).row() for index in self.selectionModel().selectedRows())
        return [self._model.rows[number].layer_id for number in chosen]

    def current(self) -> str:
        """The id of the row that has the keyboard; empty if none has."""
        number = self.proxy.mapToSource(self.currentIndex()).row()
        return self._model.rows[number].layer_id if 0 <= number < len(self._model.rows) else ""

    def go_to(self, layer_id: str, column: int = LAYER, edit: bool = False) -> None:
        """Select a layer's row and bring it into sight.

        Args:
            layer_id: Of the layer.
            column: The cell that gets the keyboard.
            edit: Whether it is opened to be typed in.
        """
        index = self.proxy.mapFromSource(self._model.index(max(self._model.number_of(layer_id), 0), column))
        if index.isValid():
            self.setCurrentIndex(index)
            self.scrollTo(index)
            if edit:
                self.setColumnHidden(column, False)
                self.setFocus()
                self.edit(index)


class SortedRows(QSortFilterProxyModel):
    """Compares rows itself: to be asked for two cells at each comparison takes several times as long."""

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        """Whether one row stands before another."""
        model, column = self.sourceModel(), left.column()
        return bool(model.sort_key(left.row(), column) < model.sort_key(right.row(), column))


class SensorDelegate(QStyledItemDelegate):
    """Offers the sensors that are known; another can be typed."""

    def createEditor(self, parent: QWidget, _option: QStyleOptionViewItem, _index: QModelIndex) -> QWidget:
        """A box with a list."""
        box = QComboBox(parent)
        box.setObjectName("timoSeriesSensor")
        box.setEditable(True)
        box.addItems(list(SENSORS))
        return box

    def setEditorData(self, editor: QWidget, index: QModelIndex) -> None:
        """What the cell has."""
        editor.setCurrentText(str(index.data(Qt.ItemDataRole.EditRole) or ""))

    def setModelData(self, editor: QWidget, model: object, index: QModelIndex) -> None:
        """What was chosen or typed."""
        model.setData(index, editor.currentText(), Qt.ItemDataRole.EditRole)
