# SPDX-License-Identifier: GPL-3.0-or-later
"""The confusion matrix as a table: what each class is mapped as, and its figures; a cell shows its places."""

from __future__ import annotations

from typing import Any, Optional

from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from ..compat import CENTER, plain
from ..i18n import tr
from ..scores import ClassScore, Scores
from ..timing import slot
from .model_card import color_swatch

FIGURES = 3
"""Columns before the matrix: found, right, F1."""
ROWS = 10
RIGHT, WRONG = QColor(46, 158, 110), QColor(217, 95, 30)
# So that the text stays readable on it in light and dark themes.
STRONGEST = 150


class ConfusionModel(QAbstractTableModel):
    """Rows are the labels' classes; columns the three figures, then what the classes are mapped as."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.scores = Scores()

    def show_scores(self, scores: Scores) -> None:
        """Show these."""
        self.beginResetModel()
        self.scores = scores
        self.endResetModel()

    def rowCount(self, parent: Optional[QModelIndex] = None) -> int:
        """Classes."""
        return 0 if parent is not None and parent.isValid() else len(self.scores.classes)

    def columnCount(self, parent: Optional[QModelIndex] = None) -> int:
        """Figures and classes."""
        return 0 if parent is not None and parent.isValid() else FIGURES + len(self.scores.classes)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A cell: a figure, or a share of the row."""
        row, column = index.row(), index.column() - FIGURES
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return CENTER
        if column < 0:
            return _figure(self.scores.classes[row], index.column(), role)
        count, total = self.scores.matrix[row][column], sum(self.scores.matrix[row])
        share = count / total if total else 0.0
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{100 * share:.0f} %" if share >= 0.005 else ("< 1 %" if count else "")
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            text = self.scores.cell(row, column)
            return plain(text) if role == Qt.ItemDataRole.ToolTipRole else text
        if role == Qt.ItemDataRole.BackgroundRole and count:
            color = QColor(RIGHT if row == column else WRONG)
            color.setAlpha(20 + round((STRONGEST - 20) * share))
            return color
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Names of classes with their colours, and what the figures mean."""
        across = orientation == Qt.Orientation.Horizontal
        if across and section < FIGURES:
            titles = (tr("Found"), tr("Right"), "F1")
            tips = (
                tr("Of what is labelled as this class, so much is mapped as it (recall)."),
                tr("Of what is mapped as this class, so much is labelled as it (precision)."),
                tr("The harmonic mean of the two."),
            )
            shown = {Qt.ItemDataRole.DisplayRole: titles, Qt.ItemDataRole.ToolTipRole: tips}.get(role)
            return shown[section] if shown else None
        one = self.scores.classes[section - FIGURES if across else section]
        if role == Qt.ItemDataRole.DisplayRole:
            return one.name
        if role == Qt.ItemDataRole.DecorationRole:
            return color_swatch(one.color, 12)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain(
                tr("Mapped as '{name}'", name=one.name) if across else tr("Labelled '{name}'", name=one.name)
            )
        return None


class Confusion(QTableView):
    """The table.

    Args:
        name: Its object name.
    """

    asked = pyqtSignal(int, int)
    """Row and column, classes both, of a cell that was clicked, or that Enter was pressed on."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(tr("What each class is mapped as"))
        self.matrix = ConfusionModel(self)
        self.setModel(self.matrix)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        across, down = self.horizontalHeader(), self.verticalHeader()
        self._narrow = self.fontMetrics().horizontalAdvance("100 %") + 14
        across.setMinimumSectionSize(self._narrow)
        across.setDefaultSectionSize(self._narrow + 14)
        across.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        down.setDefaultSectionSize(self.fontMetrics().height() + 8)
        down.setMaximumWidth(self.fontMetrics().horizontalAdvance("n" * 16))
        self.clicked.connect(self._on_cell)

    def show_scores(self, scores: Scores) -> None:
        """Show these."""
        self.matrix.show_scores(scores)
        for column in range(FIGURES if scores.classes else 0):
            self.setColumnWidth(column, self._narrow)
        rows = min(max(len(scores.classes), 1), ROWS)
        header = self.horizontalHeader().sizeHint().height()
        bar = self.horizontalScrollBar().sizeHint().height()
        self.setFixedHeight(header + rows * self.verticalHeader().defaultSectionSize() + bar + 4)

    @slot
    def _on_cell(self, index: QModelIndex) -> None:
        if index.column() >= FIGURES:
            self.asked.emit(index.row(), index.column() - FIGURES)

    @slot
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter is a click on the cell that is marked."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._on_cell(self.currentIndex())
        else:
            super().keyPressEvent(event)


def _figure(one: ClassScore, column: int, role: int) -> Any:
    value = (one.found, one.right, one.f1)[column]
    if role != Qt.ItemDataRole.DisplayRole:
        return None
    if value is None:
        return "–"
    return f"{value:.2f}" if column == FIGURES - 1 else f"{100 * value:.0f} %"
