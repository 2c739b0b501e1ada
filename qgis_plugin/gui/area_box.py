# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks where the map is wanted: all of the series, what the map shows, a layer's polygons, or a drawn one."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsMapLayer,
    QgsMapLayerProxyModel,
    QgsProject,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.gui import QgsMapLayerComboBox, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ..compat import icon, label
from ..i18n import tr
from ..layers import area
from ..timing import slot
from .draw_tool import FILL, LINE, DrawTool
from .map_tool import Loan

WHOLE, CANVAS, LAYER, SELECTED, DRAWN = "whole", "canvas", "layer", "selected", "drawn"
SOON = 300
"""Milliseconds; a map that is dragged tells of each step."""

Reader = Callable[[], List[QgsGeometry]]


class AreaBox(QWidget):
    """A choice, and beside it what the choice needs.

    Args:
        name: Prefix of the object names.
        iface: QGIS's interface.
    """

    changed = pyqtSignal()
    """Another area is chosen, or the map or the layer shows another one."""

    def __init__(self, name: str, iface: Any) -> None:
        super().__init__()
        self._iface = iface
        self._drawn: Optional[Tuple[QgsGeometry, QgsCoordinateReferenceSystem]] = None
        self._loan: Optional[Loan] = None
        self._shown: Optional[QgsRubberBand] = None
        self._watched: Optional[QgsMapLayer] = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SOON)
        self.kind = QComboBox()
        self.kind.setObjectName(f"{name}Area")
        self.kind.setAccessibleName(tr("Area to map"))
        for kind, text in (
            (WHOLE, tr("The whole series")),
            (CANVAS, tr("What the map shows now")),
            (LAYER, tr("Polygons of a layer")),
            (SELECTED, tr("Selected polygons of a layer")),
            (DRAWN, tr("A polygon drawn on the map")),
        ):
            self.kind.addItem(text, kind)
        self.layer = QgsMapLayerComboBox()
        self.layer.setObjectName(f"{name}AreaLayer")
        self.layer.setAccessibleName(tr("Layer of the area"))
        self.layer.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.layer.setAllowEmptyLayer(False)
        self.draw = QPushButton(icon("draw"), tr("Draw…"))
        self.draw.setObjectName(f"{name}AreaDraw")
        self.draw.setCheckable(True)
        self.hint = label("", f"{name}AreaHint", muted=True)
        row = QHBoxLayout()
        row.addWidget(self.kind, 1)
        row.addWidget(self.draw)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(4)
        whole.addLayout(row)
        whole.addWidget(self.layer)
        whole.addWidget(self.hint)
        self.kind.currentIndexChanged.connect(self._on_kind)
        self.layer.layerChanged.connect(self._on_layer)
        self.draw.toggled.connect(self._on_draw)
        self._later.timeout.connect(self.changed)
        canvas = iface.mapCanvas()
        for signal in (canvas.extentsChanged, canvas.rotationChanged, canvas.destinationCrsChanged):
            signal.connect(self._on_view)
        QgsProject.instance().cleared.connect(self._on_cleared)
        self._on_layer(self.layer.currentLayer())

    @property
    def chosen(self) -> str:
        """Which of the choices is made."""
        return str(self.kind.currentData())

    def choose(self, kind: str) -> None:
        """Make a choice."""
        self.kind.setCurrentIndex(max(0, self.kind.findData(kind)))

    def why_not(self) -> str:
        """Why the area cannot be used, in a sentence that says what to do; empty if it can."""
        if self.chosen in (LAYER, SELECTED) and self._layer() is None:
            return tr("Add a layer of polygons, or pick another area.")
        if self.chosen == SELECTED and not self._layer().selectedFeatureCount():
            name = self._layer().name()
            return tr("Select polygons in layer '{name}', or pick another area.", name=name)
        if self.chosen == DRAWN and self._drawn is None:
            return tr("Draw a polygon on the map, or pick another area.")
        if self.chosen == CANVAS and self._iface.mapCanvas().extent().isEmpty():
            return tr("The map shows nothing: pick another area.")
        return ""

    def reader(self) -> Optional[Tuple[Reader, QgsCoordinateReferenceSystem]]:
        """A function for another thread that reads the polygons, and their CRS; None for the whole series."""
        self._later.stop()  # what it would tell of is read now
        if self.chosen == WHOLE:
            return None
        if self.chosen == CANVAS:
            settings = self._iface.mapCanvas().mapSettings()
            shown = QgsGeometry.fromQPolygonF(settings.visiblePolygon())
            return (lambda: [shown]), settings.destinationCrs()
        if self.chosen == DRAWN and self._drawn is not None:
            polygon, crs = self._drawn
            return (lambda: [polygon]), crs
        layer = self._layer()
        return area.of_layer(layer, self.chosen == SELECTED), layer.crs()

    def close_tool(self) -> None:
        """Take what was drawn off the map, and give the map its former tool back."""
        self._end_drawing()
        self._show(None)

    def _layer(self) -> Optional[QgsVectorLayer]:
        layer = self.layer.currentLayer()
        return layer if isinstance(layer, QgsVectorLayer) else None

    @slot
    def _on_layer(self, layer: Optional[QgsMapLayer]) -> None:
        """Another layer is chosen; what is selected in it counts from now on."""
        watched, self._watched = self._watched, layer
        if watched is not None and not sip.isdeleted(watched):
            watched.selectionChanged.disconnect(self._on_selection)
            for signal in _signals(watched):
                signal.disconnect(self._on_polygons)
        if layer is not None:
            layer.selectionChanged.connect(self._on_selection)
            for signal in _signals(layer):
                signal.connect(self._on_polygons)
        self._on_kind()

    @slot
    def _on_selection(self) -> None:
        if self.chosen == SELECTED:
            self.changed.emit()

    @slot
    def _on_polygons(self) -> None:
        if self.chosen in (LAYER, SELECTED):
            self._later.start()

    @slot
    def _on_view(self) -> None:
        if self.chosen == CANVAS:
            self._later.start()

    @slot
    def _on_cleared(self) -> None:
        """The project is closed, and what was drawn on its map with it."""
        self._drawn = None
        self._end_drawing()
        self._on_kind()

    @slot
    def _on_kind(self) -> None:
        self.layer.setVisible(self.chosen in (LAYER, SELECTED))
        self.draw.setVisible(self.chosen == DRAWN)
        if self.chosen != DRAWN:
            self.draw.setChecked(False)
        self._show(self._drawn if self.chosen == DRAWN else None)
        self._hint()
        self.changed.emit()

    def _hint(self) -> None:
        text = ""
        if self.draw.isChecked():
            text = tr("Click the corners on the map; a right click ends the polygon, Escape gives it up.")
        self.hint.setText(text)
        self.hint.setVisible(bool(text))

    @slot
    def _on_draw(self, on: bool) -> None:
        canvas = self._iface.mapCanvas()
        if on and self._loan is None:
            tool = DrawTool(canvas)
            tool.drawn.connect(self._on_drawn)
            tool.given_up.connect(self._end_drawing)
            self._loan = Loan(canvas, tool, self._end_drawing)
        elif not on:
            self._end_drawing()
        self._hint()

    @slot
    def _on_drawn(self, polygon: QgsGeometry) -> None:
        self._drawn = (polygon, self._iface.mapCanvas().mapSettings().destinationCrs())
        self._end_drawing()
        self._show(self._drawn)
        self.changed.emit()

    @slot
    def _end_drawing(self) -> None:
        loan, self._loan = self._loan, None
        if loan is not None:
            loan.end()
        self.draw.setChecked(False)

    def _show(self, drawn: Optional[Tuple[QgsGeometry, QgsCoordinateReferenceSystem]]) -> None:
        """Show the polygon that was drawn on the map, or none."""
        if self._shown is not None:
            self._iface.mapCanvas().scene().removeItem(self._shown)
            self._shown = None
        if drawn is not None:
            self._shown = QgsRubberBand(self._iface.mapCanvas(), QgsWkbTypes.GeometryType.PolygonGeometry)
            self._shown.setStrokeColor(LINE)
            self._shown.setFillColor(FILL)
            self._shown.setToGeometry(drawn[0], drawn[1])


def _signals(layer: QgsVectorLayer) -> List[Any]:
    """Those that tell of other polygons."""
    return [
        layer.featureAdded, layer.featuresDeleted, layer.geometryChanged, layer.editingStopped,
        layer.subsetStringChanged, layer.crsChanged,
    ]  # fmt: skip
