# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses among a project's series: typing renames the current one, a menu does the rest."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QMenu,
    QMessageBox,
    QToolButton,
    QWidget,
)

from ..compat import menu_button
from ..i18n import tr
from ..layers.series_store import SeriesStore
from ..timing import slot


class SeriesBar(QWidget):
    """A box with the series' names, and a menu."""

    chosen = pyqtSignal()
    """Another series is the current one."""
    renamed = pyqtSignal()

    def __init__(self, store: SeriesStore) -> None:
        super().__init__()
        self._store = store
        self.box = QComboBox()
        self.box.setObjectName("timoSeriesChooser")
        self.box.setEditable(True)
        self.box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.box.setCompleter(None)
        self.box.setMinimumContentsLength(10)
        self.box.setToolTip(tr("The series of this project; type to rename the one that is shown."))
        self.name = self.box.lineEdit()
        self.name.setObjectName("timoSeriesName")
        self.name.setAccessibleName(tr("Name of the series"))
        self.more = QToolButton()
        self.more.setObjectName("timoSeriesMore")
        self.more.setText("…")
        self.more.setToolTip(tr("New series, rename, duplicate, delete"))
        self.more.setAccessibleName(tr("What can be done with the series"))
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.more)
        self.menu.setObjectName("timoSeriesMenu")
        self.actions_by_name = {
            name: self.menu.addAction(text)
            for name, text in (
                ("new", tr("New series…")),
                ("rename", tr("Rename")),
                ("duplicate", tr("Duplicate series")),
                ("delete", tr("Delete…")),
            )
        }
        self.more.setMenu(self.menu)
        menu_button(self.more)
        caption = QLabel(tr("Series"))
        caption.setBuddy(self.box)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(caption)
        row.addWidget(self.box, 1)
        row.addWidget(self.more)
        self.box.activated.connect(self._on_activated)
        self.name.editingFinished.connect(self._on_name)
        self.actions_by_name["new"].triggered.connect(self._on_new)
        self.actions_by_name["rename"].triggered.connect(self._on_rename)
        self.actions_by_name["duplicate"].triggered.connect(self._on_duplicate)
        self.actions_by_name["delete"].triggered.connect(self._on_delete)
        self.refresh()

    def refresh(self) -> None:
        """Show the names that the store has."""
        self.box.blockSignals(True)
        self.box.clear()
        self.box.addItems(self._store.names)
        self.box.setCurrentIndex(self._store.names.index(self._store.current.name))
        self.box.blockSignals(False)

    @slot
    def _on_activated(self, number: int) -> None:
        name = self.box.itemText(number)
        if name != self._store.current.name:
            self._store.choose(name)
            self._shown()

    @slot
    def _on_name(self) -> None:
        before = self._store.current.name
        self._store.rename(self.name.text())
        if self._store.current.name != before:
            self.refresh()
            self.renamed.emit()
        elif self.name.text() != before:
            self.name.setText(before)

    @slot
    def _on_rename(self) -> None:
        self.name.setFocus(Qt.FocusReason.OtherFocusReason)
        self.name.selectAll()

    @slot
    def _on_new(self) -> None:
        dialog = QInputDialog(self)
        dialog.setObjectName("timoSeriesNew")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(tr("New series"))
        dialog.setLabelText(tr("Name of the series"))
        dialog.setTextValue(self._store.free(tr("series")))
        dialog.textValueSelected.connect(self._on_new_name)
        dialog.open()

    @slot
    def _on_new_name(self, name: str) -> None:
        self._store.new(name)
        self._shown()

    @slot
    def _on_duplicate(self) -> None:
        self._store.duplicate()
        self._shown()

    @slot
    def _on_delete(self) -> None:
        box = QMessageBox(self)
        box.setObjectName("timoSeriesDelete")
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setWindowTitle(tr("Delete series"))
        box.setText(tr("Delete the series {name}?", name=self._store.current.name))
        box.setInformativeText(tr("Its layers and files stay; its ticks and edited dates are forgotten."))
        box.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel)
        box.button(QMessageBox.StandardButton.Yes).setText(tr("Delete"))
        box.button(QMessageBox.StandardButton.Yes).clicked.connect(self._on_deleted)
        box.open()

    @slot
    def _on_deleted(self) -> None:
        self._store.delete()
        self._shown()

    def _shown(self) -> None:
        self.refresh()
        self.chosen.emit()
