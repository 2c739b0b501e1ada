# SPDX-License-Identifier: GPL-3.0-or-later
"""The classes of a labels layer, how many features each has, and the colour it will get."""

from __future__ import annotations

from typing import Dict

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

from ..layers.labels import balance
from .model_card import color_swatch

ROWS = 6


class ClassList(QTreeWidget):
    """Three columns: class, features, share."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setHeaderLabels(["Class", "Features", "Share"])
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        self.show_classes({}, {})

    def show_classes(self, counts: Dict[str, int], colors: Dict[str, str]) -> None:
        """Show these.

        Args:
            counts: Features by class.
            colors: #rrggbb by class; a class without one gets a colour of the default palette in training.
        """
        self.clear()
        total = max(sum(counts.values()), 1)
        styled = any(name in colors for name in counts)
        for name, count, color in balance(counts, colors)[:255]:
            item = QTreeWidgetItem([name, str(count), f"{100 * count / total:.0f} %"])
            if styled:  # else empty squares, which look like boxes to tick
                item.setIcon(0, color_swatch(color))
            for column in (1, 2):
                item.setTextAlignment(
                    column, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                )
            self.addTopLevelItem(item)
        row = max(self.sizeHintForRow(0), self.fontMetrics().height() + 4)
        rows = min(max(len(counts), 2), ROWS)
        self.setFixedHeight(self.header().sizeHint().height() + rows * row + 4)
