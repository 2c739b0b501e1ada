# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws one polygon on the map: clicks set corners, a right click or Enter ends it, Escape gives it up."""

from __future__ import annotations

from typing import List, Optional

from qgis.core import QgsGeometry, QgsPointXY, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent

from ..timing import slot

LINE, FILL = QColor(230, 126, 34), QColor(230, 126, 34, 50)


class DrawTool(QgsMapTool):
    """A map tool that gives one polygon, in the map's coordinates.

    Args:
        canvas: The map.
    """

    drawn = pyqtSignal(object)
    """The polygon, a QgsGeometry."""
    given_up = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self._corners: List[QgsPointXY] = []
        self._band: Optional[QgsRubberBand] = None

    @slot
    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Set a corner, or end."""
        if event.button() == Qt.MouseButton.RightButton:
            self._end()
        elif event.button() == Qt.MouseButton.LeftButton:
            self._corners.append(self.toMapCoordinates(event.pos()))
            self._show(None)

    @slot
    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Show the polygon as it would be."""
        if self._corners:
            self._show(self.toMapCoordinates(event.pos()))

    @slot
    def canvasDoubleClickEvent(self, _event: QgsMapMouseEvent) -> None:
        """End; the first of the two clicks has set the last corner."""
        self._end()

    @slot
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter ends it, Backspace takes the last corner away, Escape gives up."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._end()
        elif event.key() == Qt.Key.Key_Backspace and self._corners:
            self._corners.pop()
            self._show(None)
        elif event.key() == Qt.Key.Key_Escape:
            self._clear()
            self.given_up.emit()
        else:
            return
        event.accept()  # else QGIS takes it, too

    @slot
    def deactivate(self) -> None:
        """Another tool was taken."""
        self._clear()
        super().deactivate()

    def _end(self) -> None:
        corners = self._corners
        self._clear()
        polygon = QgsGeometry.fromPolygonXY([corners]) if len(corners) > 2 else QgsGeometry()
        if polygon.isEmpty() or not polygon.area():
            self.given_up.emit()
            return
        self.drawn.emit(polygon if polygon.isGeosValid() else polygon.makeValid())

    def _show(self, pointer: Optional[QgsPointXY]) -> None:
        if self._band is None:
            self._band = QgsRubberBand(self.canvas(), QgsWkbTypes.GeometryType.PolygonGeometry)
            self._band.setStrokeColor(LINE)
            self._band.setFillColor(FILL)
            self._band.setWidth(2)
        self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        for corner in [*self._corners, *([pointer] if pointer else [])]:
            self._band.addPoint(corner)

    def _clear(self) -> None:
        self._corners = []
        if self._band is not None:
            self.canvas().scene().removeItem(self._band)
            self._band = None
