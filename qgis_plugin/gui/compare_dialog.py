# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare: what changed between two class maps, as a map and as a table of hectares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, List, NamedTuple, Optional, Tuple

from qgis.core import QgsMapLayer, QgsProject
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QColor, QPixmap
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QComboBox,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from ..compat import RIGHT, caption, form_layout
from ..i18n import tr
from ..layers.raster_blocks import RasterError, Tick
from ..layers.result_files import CHANGE, DATED, MAP, Result, read_result
from ..layers.results import dress, layer_of
from ..layers.sources import JOB_PROPERTY, KIND_PROPERTY, is_result, layer_file, unique_path
from ..percent import percent
from ..settings import writable
from ..timing import inside_qgis, slot
from .task_dialog import TaskDialog

if TYPE_CHECKING:
    from ..layers.change import Changes

Made = Tuple[Result, "Changes"]


class ClassMap(NamedTuple):
    """What is known of a layer when the window opens; the layer may be removed meanwhile."""

    ident: str
    name: str
    title: str
    job: str
    path: Optional[Path]


class CompareDialog(TaskDialog):
    """Asks for two maps, and shows what changed.

    Args:
        layer: The map that is compared with another; None leaves the choice open.
        parent: The window above which it stands.
    """

    def __init__(self, layer: Optional[QgsMapLayer], parent: QWidget) -> None:
        super().__init__(
            "timoCompare",
            tr("Compare maps"),
            tr(
                "Two maps of one place: of two dates, or of two models. The map of changes shows only what "
                "differs. If their grids differ, the later map is brought onto the earlier's (nearest "
                "neighbour), and they are compared where both have data."
            ),
            tr("Compare"),
            "results",
            parent,
        )
        layers = [one for one in QgsProject.instance().mapLayers().values() if is_class_map(one)]
        self._maps = [
            ClassMap(
                one.id(), one.name(), _title(one), str(one.customProperty(JOB_PROPERTY, "")), layer_file(one)
            )
            for one in layers
        ]
        self._maps.sort(key=lambda one: one.name.lower())
        self.before = self._choice("timoCompareBefore", tr("The earlier map"))
        self.after = self._choice("timoCompareAfter", tr("The later map"))
        form = form_layout()
        for title, widget in ((tr("Before"), self.before), (tr("After"), self.after)):
            text = caption(title)
            text.setBuddy(widget)
            form.addRow(text, widget)
        self.table = QTableWidget(0, 3)
        self.table.setObjectName("timoCompareTable")
        self.table.setAccessibleName(tr("Changes"))
        self.table.setHorizontalHeaderLabels([tr("From"), tr("To"), tr("Hectares")])
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.setMinimumHeight(160)
        self.table.hide()
        self.copy = QPushButton(tr("Copy the table"))
        self.copy.setObjectName("timoCompareCopy")
        self.copy.setToolTip(tr("For a spreadsheet: columns are parted by tabs"))
        self.copy.setAutoDefault(False)
        self.copy.hide()
        self.body.addLayout(form)
        self.body.addWidget(self.table, 1)
        self.body.addWidget(self.copy, 0, Qt.AlignmentFlag.AlignLeft)
        self.body.addStretch(0)
        self._suggest(layer)
        self.before.currentIndexChanged.connect(self._on_choice)
        self.after.currentIndexChanged.connect(self._on_choice)
        self.copy.clicked.connect(self._on_copy)
        self.validate()

    def sizeHint(self) -> QSize:
        """Wide enough for names of layers."""
        return QSize(460, super().sizeHint().height())

    def why_not(self) -> str:
        """Why the maps cannot be compared, in a sentence that says what to do; empty if they can."""
        if len(self._maps) < 2:
            return tr("Add another class map of this place to the project first.")
        if self.before.currentIndex() == self.after.currentIndex():
            return tr("Pick two different maps.")
        return ""

    def begin(self) -> None:
        """Compare them."""
        one, other = (self._maps[box.currentIndex()] for box in (self.before, self.after))
        if not {one.ident, other.ident} <= set(QgsProject.instance().mapLayers()):
            self.tell(tr("A map was removed from the project: open this window again."))
            return
        if one.path is None or other.path is None:
            self.tell(tr("A map is no file on this machine: pick another."))
            return
        before, after = one.path, other.path
        self.work(
            tr("Compare {one} with {other}", one=one.name, other=other.name),
            lambda tick: _compare(before, after, tick),
            lambda made: self._on_made(made, f"{one.name} → {other.name}"),
        )

    def _choice(self, name: str, help_text: str) -> QComboBox:
        box = QComboBox()
        box.setObjectName(name)
        box.setToolTip(help_text)
        box.setMinimumContentsLength(20)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for one in self._maps:
            box.addItem(one.title)
        return box

    def _suggest(self, layer: Optional[QgsMapLayer]) -> None:
        """The layer with the one before it of its job, or after it; else with the next best."""
        idents = [one.ident for one in self._maps]
        if layer is None or layer.id() not in idents:
            self.after.setCurrentIndex(min(1, len(self._maps) - 1))
            return
        at = idents.index(layer.id())
        job = self._maps[at].job
        same_job = [n for n, one in enumerate(self._maps) if job and n != at and one.job == job]
        earlier = [number for number in same_job if number < at]
        if same_job and not earlier:
            before, after = at, same_job[0]
        else:
            others = earlier[-1:] or [number for number in range(len(self._maps)) if number != at]
            before, after = (others or [at])[0], at
        self.before.setCurrentIndex(before)
        self.after.setCurrentIndex(after)

    @slot
    def _on_choice(self) -> None:
        self.validate()

    @slot
    def _on_made(self, made: Made, title: str) -> None:
        result, changes = made
        layer = layer_of(result, title)
        if layer.isValid():
            dress(layer, result, "", title)
            layer.setName(title)
            with inside_qgis():
                QgsProject.instance().addMapLayer(layer, False)
                QgsProject.instance().layerTreeRoot().insertLayer(0, layer)
        self._show(changes)

    def _show(self, changes: Changes) -> None:
        placed = changes.same_hectares is not None
        self.table.setHorizontalHeaderLabels(
            [tr("From"), tr("To"), tr("Hectares") if placed else tr("Pixels")]
        )
        rows: List[Tuple[str, str, str, str]] = [
            (row.before, row.after, _amount(row.hectares, row.pixels), row.color) for row in changes.rows
        ]
        rows.append((tr("unchanged"), "", _amount(changes.same_hectares, changes.same_pixels), ""))
        self.table.setRowCount(len(rows))
        for number, (before, after, amount, color) in enumerate(rows):
            cells = [QTableWidgetItem(text) for text in (before, after, amount)]
            if color:
                square = QPixmap(12, 12)
                square.fill(QColor(color))
                cells[0].setData(Qt.ItemDataRole.DecorationRole, square)
            cells[2].setData(Qt.ItemDataRole.TextAlignmentRole, RIGHT)
            for column, cell in enumerate(cells):
                self.table.setItem(number, column, cell)
        self.table.show()
        self.copy.show()
        if changes.rows:
            sentence = tr("The map of changes is in the project: {name}.", name=changes.path.name)
        else:
            sentence = tr("The two maps are the same wherever both have data.")
        if changes.share is not None:
            sentence += " " + tr(
                "The grids differ: {hectares} ha were compared, which is {share} % of the earlier map, on "
                "its pixels (nearest neighbour).",
                hectares=_amount(changes.hectares, 0),
                share=percent(changes.share),
            )
        self.tell(sentence)
        needed = self.layout().totalHeightForWidth(self.width())  # of the sentence's lines too
        self.resize(self.width(), max(self.height(), 420, needed))

    @slot
    def _on_copy(self) -> None:
        header = [self.table.horizontalHeaderItem(column).text() for column in range(3)]
        lines = ["\t".join(header)] + [
            "\t".join(self.table.item(row, column).text() for column in range(3))
            for row in range(self.table.rowCount())
        ]
        QApplication.clipboard().setText("\n".join(lines))


def is_class_map(layer: QgsMapLayer) -> bool:
    """Whether a layer shows a result that is a map of classes."""
    return is_result(layer) and layer.customProperty(KIND_PROPERTY, MAP) in (MAP, DATED)


def _title(layer: QgsMapLayer) -> str:
    """The layer's name; of a map of one date, with its group's."""
    node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
    above = node.parent().parent() if node is not None and node.parent() is not None else None
    if layer.customProperty(KIND_PROPERTY) == DATED and above is not None and above.name():
        return f"{above.name()}, {layer.name()}"
    return layer.name()


def _amount(hectares: Optional[float], pixels: int) -> str:
    if hectares is None:
        return str(pixels)
    return f"{hectares:.2f}" if hectares < 100 else f"{hectares:.0f}"


def _compare(before: Path, after: Path, tick: Tick) -> Made:
    """In a thread of its own: the map of changes, written beside the later map if it can be."""
    from ..layers.change import compare, tags_of  # loads numpy, which takes a while

    results = []
    for path in (before, after):
        result = read_result(MAP, path)
        if result is None:
            raise RasterError(tr("{name} cannot be opened: it was moved or deleted.", name=path.name))
        results.append(result)
    out = unique_path(writable(after.parent), f"{before.stem}-to-{after.stem}", ".tif")
    changes = compare(results[0], results[1], out, tick)
    tags = tags_of(results[0], results[1], changes)
    return Result(CHANGE, out, changes.classes, tags), changes
