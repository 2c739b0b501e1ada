# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a place: a click on the map shows the series' curve there, and what the model thought."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Optional, Tuple

from qgis.core import QgsPointXY
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool, QgsVertexMarker
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent
from qgis.PyQt.QtWidgets import QComboBox, QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..backend.asking import Asking
from ..compat import icon, label
from ..i18n import tr
from ..layers.place import INDICES, Curve, Point, Told, ask, degrees, search_of, told_curves
from ..layers.provenance import relatives, spec_of
from ..layers.result_files import Result
from ..shared import Shared
from ..timing import slot
from .date_chart import Bars, DateChart
from .help_button import HelpButton
from .map_tool import Loan

MARK = QColor(230, 126, 34)
BANDS = "bands"


class PlaceTool(QgsMapTool):
    """A map tool that gives the places that are clicked, in the map's coordinates.

    Args:
        canvas: The map.
    """

    asked = pyqtSignal(object)
    """A QgsPointXY."""
    given_up = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.setCursor(Qt.CursorShape.CrossCursor)

    @slot
    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """A place is asked."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.asked.emit(self.toMapCoordinates(event.pos()))

    @slot
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape ends it."""
        if event.key() == Qt.Key.Key_Escape:
            self.given_up.emit()
            event.accept()  # else QGIS takes it, too


class PlaceDialog(QDialog):
    """Stays beside the map and shows the place that was clicked last; closed, it gives the tool back.

    Where another tool takes the map, the button "Ask" takes it again.

    Args:
        shared: What all pages share.
        result: The map, or another result of its job.
        title: The layer's name.
        parent: The window above which it stands.
    """

    def __init__(self, shared: Shared, result: Result, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("timoPlace")
        self.setWindowTitle(tr("Ask a place: {name}", name=title))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._shared, self._result = shared, result
        self._told: Optional[Told] = None
        self._waits = False
        """Whether the curve comes later."""
        self._number = 0
        self._asking = Asking(shared.settings.backend_program, self)
        self._canvas: QgsMapCanvas = shared.iface.mapCanvas()
        self._mark: Optional[QgsVertexMarker] = None
        self._loan: Optional[Loan] = None
        self.asks = QPushButton(icon("place"), tr("Ask"))
        self.asks.setObjectName("timoPlaceAsk")
        self.asks.setToolTip(tr("A click on the map asks that place, until another tool is taken"))
        self.asks.setCheckable(True)
        self.asks.setAutoDefault(False)
        self.head = label(tr("Click the map."), "timoPlaceHead")
        self.shown = QComboBox()
        self.shown.setObjectName("timoPlaceShown")
        self.shown.setToolTip(tr("The bands' values, or an index of two bands"))
        self.shown.setAccessibleName(tr("What the curve shows"))
        self.shown.addItem(tr("All bands"), BANDS)
        self.chart = DateChart("timoPlaceChart")
        self.chart.show_curves([], tr("The curve comes with a click on the map."))
        self.bars = Bars("timoPlaceBars")
        self.bars_title = QLabel(tr("What the model thought"))
        self.note = label("", "timoPlaceNote", muted=True)
        row = QHBoxLayout()
        row.addWidget(self.head, 1)
        row.addWidget(self.asks)
        row.addWidget(self.shown)
        row.addWidget(HelpButton("results", self))
        whole = QVBoxLayout(self)
        whole.addLayout(row)
        whole.addWidget(self.chart, 1)
        whole.addWidget(self.bars_title)
        whole.addWidget(self.bars)
        whole.addWidget(self.note)
        for widget in (self.bars_title, self.bars, self.note):
            widget.hide()
        self._asking.told.connect(self._on_curves)
        self._asking.failed.connect(self._on_no_curves)
        self.shown.currentIndexChanged.connect(self._on_shown)
        self.asks.toggled.connect(self._on_asks)
        self.asks.setChecked(True)

    def sizeHint(self) -> QSize:
        """Wide enough for a year's curve."""
        return QSize(460, 400)

    @slot
    def ask(self, point: QgsPointXY) -> None:
        """Ask a place, in the map's coordinates."""
        crs = self._canvas.mapSettings().destinationCrs()
        at = Point(point.x(), point.y(), crs.toWkt() if crs.isValid() else "")
        self._number += 1
        number, result = self._number, self._result
        self._show_mark(point)
        digits = 5 if crs.isGeographic() else 1
        self.head.setText(f"{point.x():.{digits}f}, {point.y():.{digits}f}")

        spec = spec_of(result.tags)
        search = search_of(spec)
        place = degrees(at) if search is not None else None
        self._asking.stop()

        def done(told: Told) -> None:
            if number != self._number:  # closed, or another place was asked since
                return
            self._waits = place is not None
            self._show(told)
            if place is not None:
                longitude, latitude = (f"{value:.7f}" for value in place)
                self._asking.start(["series", str(search), "--at", longitude, latitude, "--json"])
            elif search is not None:
                self._on_no_curves(
                    tr("The map's coordinate system does not tell where on earth this place is.")
                )

        self._shared.background.run(lambda: ask(spec, relatives(result), at), done, owner=self)

    def done(self, code: int) -> None:
        """The window closes: the map has its former tool back."""
        self._put_away()
        super().done(code)

    @slot
    def _put_away(self) -> None:
        """A slot: what goes wrong here is told, and the window closes all the same."""
        self._number = -1
        self._asking.stop()
        self._end_asking()
        self._show_mark(None)

    @slot
    def _on_asks(self, on: bool) -> None:
        if on and self._loan is None:
            tool = PlaceTool(self._canvas)
            tool.asked.connect(self.ask)
            tool.given_up.connect(self.reject)
            self._loan = Loan(self._canvas, tool, self._end_asking)
        elif not on:
            self._end_asking()

    def _end_asking(self) -> None:
        loan, self._loan = self._loan, None
        if loan is not None:
            loan.end()
        self.asks.setChecked(False)

    def _show(self, told: Told) -> None:
        self._told = told
        chosen = self.shown.currentData()
        self.shown.blockSignals(True)
        self.shown.clear()
        self.shown.addItem(tr("All bands"), BANDS)
        for curve in told.curves:
            self.shown.addItem(curve.name, curve.name)
        self.shown.setCurrentIndex(max(0, self.shown.findData(chosen)))
        self.shown.blockSignals(False)
        self._on_shown()
        self.bars_title.setVisible(bool(told.chances))
        self.bars.show_chances(told.chances)
        self.note.setText(told.note)
        self.note.setVisible(bool(told.note))

    @slot
    def _on_curves(self, found: Dict[str, Any]) -> None:
        curves = told_curves(found)
        self._add(curves, "" if curves else tr("The series has no data at this place."))

    @slot
    def _on_no_curves(self, why: str) -> None:
        self._add((), why)

    def _add(self, curves: Tuple[Curve, ...], note: str) -> None:
        """Show what came later than the rest."""
        self._waits = False
        if self._told is not None:
            self._show(replace(self._told, curves=curves, note=f"{note} {self._told.note}".strip()))

    @slot
    def _on_shown(self) -> None:
        if self._told is None:
            return
        chosen = self.shown.currentData()
        curves = [
            curve
            for curve in self._told.curves
            if (curve.name not in INDICES if chosen == BANDS else curve.name == chosen)
        ]
        waits = tr("The catalogue's scenes are being asked for their values here…")
        self.chart.show_curves(curves, waits if self._waits else tr("There is no curve to draw."))

    def _show_mark(self, point: Optional[QgsPointXY]) -> None:
        if self._mark is not None and not sip.isdeleted(self._mark):
            self._canvas.scene().removeItem(self._mark)
        self._mark = None
        if point is not None:
            self._mark = QgsVertexMarker(self._canvas)
            self._mark.setColor(MARK)
            self._mark.setPenWidth(2)
            self._mark.setIconSize(14)
            self._mark.setCenter(point)
