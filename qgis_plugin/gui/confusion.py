# SPDX-License-Identifier: GPL-3.0-or-later
"""The confusion matrix as a table: what each class is mapped as, and its figures; a cell shows its places.

Columns are headed by the numbers of the rows, so that it stays narrow whatever the classes are called.
"""

from __future__ import annotations

from typing import Any, Optional

from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent, QResizeEvent
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from ..compat import CENTER, LEFT, plain
from ..i18n import tr
from ..percent import percent
from ..scores import ClassScore, Scores
from ..timing import slot
from .model_card import color_swatch

FIGURES = 3
"""Columns before the matrix: found, right, F1."""
F1 = FIGURES - 1
ROWS = 10
SHORT = 3
"""Letters of names that head a column themselves."""
READ, FEWEST = 14, 8
"""Widths in letters of the rows' names: what they are read by, and what they have in any case."""
PADDING = 8
"""Pixels beside a cell's text."""
RIGHT, WRONG = QColor(46, 158, 110), QColor(217, 95, 30)
# So that the text stays readable on it in light and dark themes.
STRONGEST = 150


class ConfusionModel(QAbstractTableModel):
    """Rows are the labels' classes; columns the three figures, then what the classes are mapped as."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.scores = Scores()
        self.numbered = False

    def show_scores(self, scores: Scores) -> None:
        """Show these."""
        self.beginResetModel()
        self.scores = scores
        self.numbered = any(len(one.name) > SHORT for one in scores.classes)
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
            return percent(share) if count else ""
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            text = self.scores.cell(row, column)
            return plain(text) if role == Qt.ItemDataRole.ToolTipRole else text
        if role == Qt.ItemDataRole.BackgroundRole and count:
            color = QColor(RIGHT if row == column else WRONG)
            color.setAlpha(20 + round((STRONGEST - 20) * share))
            return color
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Names of classes with their colours, and what the figures mean."""
        across = orientation == Qt.Orientation.Horizontal
        if across and section < FIGURES:
            tips = (
                tr("Of what is labelled as this class, so much is mapped as it (recall)."),
                tr("Of what is mapped as this class, so much is labelled as it (precision)."),
                tr("The harmonic mean of the two."),
            )
            if role == Qt.ItemDataRole.ToolTipRole:
                return tips[section]
            return self.figure_title(section) if role == Qt.ItemDataRole.DisplayRole else None
        number = section - FIGURES if across else section
        one = self.scores.classes[number]
        if role == Qt.ItemDataRole.DisplayRole:
            if not self.numbered:
                return one.name
            return str(number + 1) if across else f"{number + 1}  {one.name}"
        if role == Qt.ItemDataRole.TextAlignmentRole and not across:
            return LEFT
        if role == Qt.ItemDataRole.DecorationRole and not across:
            return color_swatch(one.color, 12)
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            text = (
                tr("Mapped as '{name}'", name=one.name) if across else tr("Labelled '{name}'", name=one.name)
            )
            return plain(text) if role == Qt.ItemDataRole.ToolTipRole else text
        return None

    @staticmethod
    def figure_title(column: int) -> str:
        """The head of one of the three figures."""
        return (tr("Found"), tr("Right"), "F1")[column]


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
        words = [self.matrix.figure_title(column) for column in range(FIGURES)]
        self._figure = max(map(self.fontMetrics().horizontalAdvance, (*words, "100 %"))) + PADDING
        across.setMinimumSectionSize(0)
        across.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        down.setDefaultSectionSize(self.fontMetrics().height() + 8)
        down.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.clicked.connect(self._on_cell)

    def show_scores(self, scores: Scores) -> None:
        """Show these."""
        self.matrix.show_scores(scores)
        for column in range(self.matrix.columnCount()):
            self.setColumnWidth(column, self._figure if column < FIGURES else self._column())
        self._part()

    def _column(self) -> int:
        """A class's column: its number or name, or a share."""
        model = self.matrix
        heads = [
            model.headerData(FIGURES + n, Qt.Orientation.Horizontal) for n in range(len(model.scores.classes))
        ]
        return max(map(self.fontMetrics().horizontalAdvance, (*heads, "100", "< 1"))) + PADDING

    def _part(self) -> None:
        """The rows' names have what the columns leave: F1 gives them its room; at last the matrix scrolls."""
        across, down = self.horizontalHeader(), self.verticalHeader()
        classes = len(self.matrix.scores.classes)
        frame = 2 * self.frameWidth()
        room = self.width() - frame
        if classes > ROWS:
            room -= self.verticalScrollBar().sizeHint().width()
        letter, whole = self.fontMetrics().horizontalAdvance("n"), down.sizeHint().width()
        least = min(FEWEST * letter, whole)
        columns = FIGURES * self._figure + classes * self._column()
        self.setColumnHidden(F1, bool(classes) and room - columns < min(READ * letter, whole))
        rest = room - across.length()
        down.setMaximumWidth(max(rest, least))
        height = across.sizeHint().height() + min(max(classes, 1), ROWS) * down.defaultSectionSize() + frame
        if rest < least:
            height += self.horizontalScrollBar().sizeHint().height()
        if height != self.height():
            self.setFixedHeight(height)

    @slot
    def resizeEvent(self, event: QResizeEvent) -> None:
        """Part the new width."""
        super().resizeEvent(event)
        self._part()

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
    return f"{value:.2f}" if column == F1 else f"{percent(value)} %"
