# SPDX-License-Identifier: GPL-3.0-or-later
"""A table in which an analyst writes down classes and picks their colours."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Sequence

from qgis.core import QgsApplication
from qgis.gui import QgsColorButton
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .._client.presets import PRESETS
from ..compat import menu_button
from ..i18n import tr
from ..layers.label_classes import MOST_CLASSES, LabelClass, next_color, parse_list, with_colors
from ..models import Model
from ..timing import slot

COLOR, NAME = range(2)
_OLD = Qt.ItemDataRole.UserRole


class ClassEditor(QWidget):
    """Names and colours, one class a row.

    Args:
        name: Prefix of the object names.
    """

    changed = pyqtSignal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.refused = ""
        """Why what was pasted was not taken, until something else is done."""
        self.table = QTableWidget(0, 2)
        self.table.setObjectName(f"{name}Table")
        self.table.setAccessibleName(tr("Classes"))
        self.table.setToolTip(
            tr("Double-click a name, or press F2, to change it; click a colour for another.")
        )
        self.table.setHorizontalHeaderLabels([tr("Colour"), tr("Class")])
        self.table.verticalHeader().setVisible(False)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.horizontalHeader().setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        self.table.setTabKeyNavigation(False)
        self.table.setMinimumHeight(8 * self.fontMetrics().height())
        self.add = self._button("Add", tr("Add"), tr("Add a class"))
        self.remove = self._button("Remove", tr("Remove"), tr("Remove the marked classes"))
        self.paste = self._button("Paste", tr("Paste"), tr(
            "Take classes from the clipboard: one a line, a colour such as #1b7837 may follow"))  # fmt: skip
        self.fill = QToolButton()
        self.fill.setObjectName(f"{name}From")
        self.fill.setText(tr("Take from"))
        self.fill.setToolTip(tr("Take the classes that suit a task, or those of a model"))
        self.fill.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.fill)
        self.fill.setMenu(self.menu)
        menu_button(self.fill)
        for preset in PRESETS.values():
            chosen = [LabelClass(n, c) for n, c in with_colors(preset.classes, {}).items()]
            self._offer(tr(preset.title), chosen)
        row = QHBoxLayout()
        for button in (self.add, self.remove, self.paste, self.fill):
            row.addWidget(button)
        row.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.table, 1)
        whole.addLayout(row)
        self.table.itemChanged.connect(self._on_change)
        self.add.clicked.connect(self._on_add)
        self.remove.clicked.connect(self._on_remove)
        self.paste.clicked.connect(self._on_paste)

    def set_classes(self, classes: Sequence[LabelClass]) -> None:
        """Show these, ``MOST_CLASSES`` at most, in place of all others."""
        self.table.setRowCount(0)
        for one in classes:
            self._append(one)
        self._on_change()

    def classes(self) -> List[LabelClass]:
        """What is written down; empty names are left out."""
        rows = range(self.table.rowCount())
        found = [
            replace(
                self._old(row), name=self._name(row), color=self.table.cellWidget(row, COLOR).color().name()
            )
            for row in rows
        ]
        return [one for one in found if one.name]

    def renamed(self) -> Dict[str, str]:
        """New names by those that ``set_classes`` gave, of the classes that are called otherwise now."""
        pairs = ((self._old(n).name, self._name(n)) for n in range(self.table.rowCount()))
        return {old: new for old, new in pairs if old and new and old != new}

    def why_not(self) -> str:
        """Why these are no classes; empty if they are."""
        names = [one.name for one in self.classes()]
        if len(names) < 2:
            return tr("Write down two classes or more, such as what you look for and everything else.")
        if len(names) > MOST_CLASSES:
            return tr("A map can have {most} classes: remove some.", most=MOST_CLASSES)
        twice = next((name for name in names if names.count(name) > 1), "")
        return tr("Class '{name}' is there twice: rename or remove one.", name=twice) if twice else ""

    def offer_models(self, models: Sequence[Model]) -> None:
        """Let the classes of these be taken, too."""
        usable = [model for model in models if model.classes and not model.problem]
        if usable:
            self.menu.addSeparator()
        for model in usable[:20]:
            names = [name for _, name, _ in model.classes]
            chosen = with_colors(names, {name: color for _, name, color in model.classes if color})
            self._offer(
                tr("Model {name}", name=model.name.replace("&", "&&")),
                [LabelClass(n, c) for n, c in chosen.items()],
            )

    def _offer(self, text: str, classes: List[LabelClass]) -> None:
        @slot
        def take() -> None:
            self.set_classes(classes)

        self.menu.addAction(text).triggered.connect(take)

    def _button(self, kind: str, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(f"{self.objectName()}{kind}")
        button.setToolTip(tip)
        button.setAutoDefault(False)
        return button

    def _append(self, one: LabelClass) -> None:
        row = self.table.rowCount()
        self.table.blockSignals(True)
        self.table.insertRow(row)
        color = QgsColorButton()
        color.setColor(QColor(one.color))
        color.setColorDialogTitle(tr("Colour of the class"))
        color.setAccessibleName(tr("Colour of class {name}", name=one.name))
        color.colorChanged.connect(self._on_change)
        item = QTableWidgetItem(one.name)
        item.setData(_OLD, one)
        self.table.setCellWidget(row, COLOR, color)
        self.table.setItem(row, NAME, item)
        self.table.blockSignals(False)

    def _old(self, row: int) -> LabelClass:
        """The class as it was when it came into the table."""
        old: LabelClass = self.table.item(row, NAME).data(_OLD)
        return old

    def _name(self, row: int) -> str:
        return self.table.item(row, NAME).text().strip()

    @slot
    def _on_change(self) -> None:
        self.refused = ""
        self.changed.emit()

    @slot
    def _on_add(self) -> None:
        self._append(LabelClass("", next_color(one.color for one in self.classes())))
        item = self.table.item(self.table.rowCount() - 1, NAME)
        self.table.setCurrentItem(item)
        self.table.editItem(item)
        self._on_change()

    @slot
    def _on_remove(self) -> None:
        for row in sorted({index.row() for index in self.table.selectedIndexes()}, reverse=True):
            self.table.removeRow(row)
        self._on_change()

    @slot
    def _on_paste(self) -> None:
        known = {one.name for one in self.classes()}
        fresh = [one for one in parse_list(QgsApplication.clipboard().text()) if one.name not in known]
        self._on_change()
        if len(known) + len(fresh) > MOST_CLASSES:
            self.refused = tr(
                "A map can have {most} classes, and with the {count} of the clipboard there were more: copy "
                "fewer lines.",
                most=MOST_CLASSES, count=len(fresh),
            )  # fmt: skip
            self.changed.emit()
            return
        taken = {one.color for one in self.classes()}
        for one in fresh:
            color = one.color if one.color not in taken else next_color(taken)
            taken.add(color)
            self._append(LabelClass(one.name, color))
        self.changed.emit()
