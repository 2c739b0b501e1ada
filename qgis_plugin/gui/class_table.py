# SPDX-License-Identifier: GPL-3.0-or-later
"""The classes of a labels layer: the colour each will have, its features, area and share, drawn as a bar."""

from __future__ import annotations

from typing import Dict, List, Optional

from qgis.gui import QgsColorDialog
from qgis.PyQt.QtCore import QModelIndex, QRectF, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
)

from ..compat import RIGHT, plain
from ..i18n import tr
from ..timing import inside_qgis, slot
from .model_card import color_swatch

ROWS = 8
MOST = 255
CLASS, FEATURES, AREA, SHARE = range(4)
_SHARE_ROLE = _VALUE_ROLE = Qt.ItemDataRole.UserRole  # of two columns


class ClassTable(QTreeWidget):
    """Four columns: class with its colour, features, area, share.

    Args:
        name: Its object name.
    """

    colored = pyqtSignal(str, str)
    """A class, and the colour (#rrggbb) that the analyst gave it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(tr("Classes of the labels"))
        self.setHeaderLabels([tr("Class"), tr("Features"), tr("Area"), tr("Share")])
        self.setToolTip(plain(tr("Click a colour, or press Enter on a class, to change it on the map.")))
        self.setIconSize(QSize(14, 14))
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setItemDelegateForColumn(SHARE, _Bar(self))
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(CLASS, QHeaderView.ResizeMode.Stretch)
        for column in (FEATURES, AREA):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(SHARE, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(SHARE, self.fontMetrics().horizontalAdvance("000000000000"))
        self.show_classes({}, {})

    def show_classes(
        self,
        counts: Dict[str, int],
        colors: Dict[str, str],
        areas: Optional[Dict[str, float]] = None,
        called: Optional[Dict[str, str]] = None,
    ) -> None:
        """Show these, the most frequent first.

        Args:
            counts: Features by class.
            colors: #rrggbb by class.
            areas: Square metres by class; the column is not there without. The share is of the area where
                it is known, as a model learns from pixels.
            called: Names of the classes that are codes.
        """
        chosen = self.currentItem().data(CLASS, _VALUE_ROLE) if self.currentItem() else ""
        self.clear()
        weights = areas if areas and sum(areas.values()) > 0 else counts
        total = max(sum(weights.values()), 1e-9)
        self.setColumnHidden(AREA, not areas)
        for name in sorted(counts, key=lambda one: (-weights.get(one, 0), one))[:MOST]:
            shown = (called or {}).get(name, name)
            item = QTreeWidgetItem([shown, str(counts[name]), area_text((areas or {}).get(name, 0.0)), ""])
            item.setData(CLASS, _VALUE_ROLE, name)
            item.setIcon(CLASS, color_swatch(colors.get(name, "")))
            item.setToolTip(CLASS, plain(name if shown == name else f"{shown} ({name})"))
            share = weights.get(name, 0) / total
            item.setData(SHARE, _SHARE_ROLE, (share, colors.get(name, "")))
            item.setText(SHARE, f"{100 * share:.0f} %")
            for column in (FEATURES, AREA):
                item.setData(column, Qt.ItemDataRole.TextAlignmentRole, RIGHT)
            self.addTopLevelItem(item)
            if name == chosen:
                self.setCurrentItem(item)
        row = max(self.sizeHintForRow(0), self.fontMetrics().height() + 4)
        rows = min(max(len(counts), 2), ROWS)
        self.setFixedHeight(self.header().sizeHint().height() + rows * row + 4)

    def classes(self) -> List[str]:
        """The names that are shown, from the top."""
        return [self.topLevelItem(row).text(CLASS) for row in range(self.topLevelItemCount())]

    def ask_color(self, item: QTreeWidgetItem) -> None:
        """Let the analyst choose a class's colour."""
        now = item.data(SHARE, _SHARE_ROLE)[1]
        value, name = item.data(CLASS, _VALUE_ROLE), item.text(CLASS)
        with inside_qgis():
            color = QgsColorDialog.getColor(
                QColor(now or "#808080"), self, tr("Colour of '{name}'", name=name)
            )
        if color.isValid():
            self.colored.emit(value, color.name())

    @slot
    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click on a colour changes it."""
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.pos())
        room = self.visualRect(index)
        if index.column() == CLASS and event.pos().x() < room.left() + self.iconSize().width() + 8:
            self.ask_color(self.itemFromIndex(index))

    @slot
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter changes the colour of the class that is marked."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentItem() is not None:
            self.ask_color(self.currentItem())
        else:
            super().keyPressEvent(event)


class _Bar(QStyledItemDelegate):
    """A share as a bar in its class's colour, with the figure beside it."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw it; the row's own background first."""
        share, color = index.data(_SHARE_ROLE) or (0.0, "")
        text = index.data(Qt.ItemDataRole.DisplayRole) or ""
        painter.save()
        room = QRectF(option.rect).adjusted(4, 3, -4, -3)
        figure = option.fontMetrics.horizontalAdvance("100 %") + 4
        bar = QRectF(room.left(), room.top(), max((room.width() - figure) * share, 1.0), room.height())
        painter.fillRect(bar, QColor(color) if color else option.palette.mid())
        painter.setPen(option.palette.color(option.palette.ColorRole.Text))
        painter.drawText(room, RIGHT, text)
        painter.restore()


def area_text(square_metres: float) -> str:
    """An area in words: hectares, or square metres where it is small."""
    if square_metres <= 0:
        return ""
    if square_metres < 1000:
        return f"{square_metres:,.0f} m²".replace(",", "\u202f")
    digits = 2 if square_metres < 1e5 else 1 if square_metres < 1e7 else 0
    return f"{square_metres / 1e4:,.{digits}f} ha".replace(",", "\u202f")
