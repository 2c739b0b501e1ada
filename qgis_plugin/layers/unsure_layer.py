# SPDX-License-Identifier: GPL-3.0-or-later
"""The least sure places as a layer: points to be labelled, with the classes to choose from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Sequence

from osgeo import ogr, osr
from qgis.core import (
    QgsEditorWidgetSetup,
    QgsMarkerSymbol,
    QgsPalLayerSettings,
    QgsRuleBasedRenderer,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)

from ..i18n import tr
from ..timing import inside_qgis
from .geopackage import GeoPackageError, create
from .raster_blocks import cannot_write, flush, whole
from .result_files import Classes

if TYPE_CHECKING:
    from .unsure import Place  # which loads numpy

LAYER, CLASS_FIELD = "unsure", "class"


def write_places(path: Path, places: Sequence[Place], classes: Classes, wkt: str) -> Path:
    """Write the places as a GeoPackage. Touches no layer: may be called in any thread.

    Args:
        path: Where to; there is nothing yet.
        places: In the order to label them.
        classes: For the names of those that are mapped.
        wkt: The map's CRS; empty if it has none.

    Raises:
        RasterError: It cannot be written.
    """
    names: Dict[int, str] = {value: name for value, name, _ in classes}
    reference = osr.SpatialReference(wkt) if wkt else None
    with whole(path) as part:
        fields = {
            "rank": ogr.OFTInteger, "confidence": ogr.OFTReal,
            "predicted": ogr.OFTString, CLASS_FIELD: ogr.OFTString,
        }  # fmt: skip
        try:
            made, layer = create(part, LAYER, reference, ogr.wkbPoint, fields)
        except GeoPackageError as error:
            raise cannot_write(path, str(error)) from error
        try:
            for place in places:
                feature = ogr.Feature(layer.GetLayerDefn())
                feature.SetField("rank", place.rank)
                feature.SetField("confidence", round(place.confidence, 4))
                if place.value is not None:
                    feature.SetField("predicted", names.get(place.value, str(place.value)))
                point = ogr.Geometry(ogr.wkbPoint)
                point.AddPoint_2D(place.x, place.y)
                feature.SetGeometry(point)
                layer.CreateFeature(feature)
            flush(made, path)
        finally:
            feature = layer = made = None  # closed before it is put in place
    return path


def places_layer(path: Path, classes: Classes, title: str) -> QgsVectorLayer:
    """The layer to label: the class is picked from a list, and what has none yet stands out."""
    with inside_qgis():
        layer = QgsVectorLayer(f"{path}|layername={LAYER}", title, "ogr")
    fields = layer.fields()
    choices: List[Dict[str, str]] = [{name: name} for _, name, _ in classes]
    setup = QgsEditorWidgetSetup("ValueMap", {"map": choices})
    layer.setEditorWidgetSetup(fields.lookupField(CLASS_FIELD), setup)
    form = layer.editFormConfig()
    for name in ("fid", "rank", "confidence", "predicted"):
        form.setReadOnly(fields.lookupField(name), True)
    layer.setEditFormConfig(form)
    layer.setDisplayExpression("\"rank\" || ' – ' || coalesce(\"predicted\", '')")
    layer.setRenderer(_renderer())
    layer.setLabeling(QgsVectorLayerSimpleLabeling(_labels()))
    layer.setLabelsEnabled(True)
    return layer


def _renderer() -> QgsRuleBasedRenderer:
    root = QgsRuleBasedRenderer.Rule(None)
    for expression, text, color in (
        (f'"{CLASS_FIELD}" IS NULL', tr("to be labelled"), "#e67e22"),
        ("ELSE", tr("labelled"), "#2f9e6e"),
    ):
        symbol = QgsMarkerSymbol.createSimple(
            {
                "name": "circle",
                "color": color,
                "outline_color": "white",
                "outline_width": "0.5",
                "size": "3.6",
            }
        )
        root.appendChild(QgsRuleBasedRenderer.Rule(symbol, filterExp=expression, label=text))
    return QgsRuleBasedRenderer(root)


def _labels() -> QgsPalLayerSettings:
    settings, text, buffer = QgsPalLayerSettings(), QgsTextFormat(), QgsTextBufferSettings()
    buffer.setEnabled(True)
    text.setBuffer(buffer)
    settings.setFormat(text)
    settings.fieldName = "rank"
    return settings
