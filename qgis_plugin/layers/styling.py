# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours: classes as in their file, ramps for confidence and probabilities, polygons like the map."""

from __future__ import annotations

from typing import Sequence

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsSymbol,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor

from ..compat import RESOURCES
from ..timing import inside_qgis
from .result_files import Classes

VALUE_FIELD = "value"


def style(layer: QgsMapLayer, kind: str, classes: Classes) -> None:
    """Give a layer the colours of its classes, else the style of its kind if there is one."""
    if classes and isinstance(layer, QgsRasterLayer):
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, palette(classes)))
    elif classes and isinstance(layer, QgsVectorLayer):
        layer.setRenderer(_categories(layer, classes))
    else:
        file = RESOURCES / "styles" / f"{kind}.qml"
        if file.is_file():
            with inside_qgis():
                layer.loadNamedStyle(str(file))


def palette(classes: Classes) -> Sequence[QgsPalettedRasterRenderer.Class]:
    """The classes as a raster's renderer takes them."""
    return [QgsPalettedRasterRenderer.Class(value, QColor(color), name) for value, name, color in classes]


def _categories(layer: QgsVectorLayer, classes: Classes) -> QgsCategorizedSymbolRenderer:
    made = []
    for value, name, color in classes:
        symbol = QgsSymbol.defaultSymbol(layer.geometryType())
        symbol.setColor(QColor(color))
        # Polygons that touch: an outline in a colour of its own would draw the border twice.
        symbol.symbolLayer(0).setStrokeStyle(Qt.PenStyle.NoPen)
        made.append(QgsRendererCategory(value, symbol, name))
    return QgsCategorizedSymbolRenderer(VALUE_FIELD, made)
