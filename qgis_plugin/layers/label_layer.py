# SPDX-License-Identifier: GPL-3.0-or-later
"""A new layer to label in, a GeoPackage; and the changes to labels that an analyst asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Sequence

from osgeo import ogr, osr
from qgis.core import QgsVectorLayer

from ..i18n import tr
from ..timing import inside_qgis
from .geopackage import GeoPackageError, create
from .label_classes import LabelClass, write_scheme

FIELD = "class"
POLYGONS, POINTS = "polygons", "points"
MOST_MENDED = 200
"""Features that are mended in one go; more would hold the interface up."""


class NewLabelsError(Exception):
    """A sentence that says why a layer could not be made."""


def maker(path: Path, crs_wkt: str, shape: str) -> Callable[[], str]:
    """A function that makes an empty GeoPackage; it may be called in another thread.

    Args:
        path: Where to; nothing may stand there.
        crs_wkt: Its coordinate system.
        shape: ``polygons`` or ``points``.

    Returns:
        The function, which returns a sentence about what went wrong; empty if nothing did.
    """

    def make() -> str:
        if path.exists():
            return tr("{name} exists already: give the layer another name.", name=path.name)
        reference = osr.SpatialReference()
        reference.ImportFromWkt(crs_wkt)
        kind = ogr.wkbPoint if shape == POINTS else ogr.wkbMultiPolygon
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            create(path, path.stem, reference, kind, {FIELD: ogr.OFTString})
        except (OSError, GeoPackageError) as error:
            return tr(
                "{path} could not be written: {why}. Choose another folder.", path=str(path), why=str(error)
            )
        return ""

    return make


def open_new(path: Path, classes: Sequence[LabelClass]) -> QgsVectorLayer:
    """The new layer, its class field filled from a list, in the classes' colours.

    Raises:
        NewLabelsError: QGIS cannot read it.
    """
    with inside_qgis():
        layer = QgsVectorLayer(str(path), path.stem, "ogr")
        if not layer.isValid():
            raise NewLabelsError(tr("{path} could not be opened.", path=str(path)))
        write_scheme(layer, FIELD, classes)
        form = layer.editFormConfig()
        form.setReadOnly(layer.fields().lookupField("fid"), True)
        layer.setEditFormConfig(form)
        # Kept in the file, too: the list and the colours are there in any project.
        layer.saveStyleToDatabase(path.stem, tr("Classes of TiMo"), True, "")
    return layer


def rename_class(layer: QgsVectorLayer, field: str, old: str, new: str, features: Sequence[int]) -> bool:
    """Give features another class, in the layer's editing session: the analyst saves it, or takes it back.

    Returns:
        Whether the layer can be edited.
    """
    with inside_qgis():
        if not layer.isEditable() and not layer.startEditing():
            return False
        index = layer.fields().lookupField(field)
        layer.beginEditCommand(tr("Rename class {old} to {new}", old=old, new=new))
        for fid in features:
            layer.changeAttributeValue(fid, index, new)
        layer.endEditCommand()
    return True


def mend(layer: QgsVectorLayer, features: Sequence[int]) -> int:
    """Repair shapes in the layer's editing session: the analyst saves them, or takes it back.

    Returns:
        How many were repaired; 0 if the layer cannot be edited.
    """
    done = 0
    with inside_qgis():
        if not layer.isEditable() and not layer.startEditing():
            return 0
        layer.beginEditCommand(tr("Repair shapes"))
        for fid in features[:MOST_MENDED]:
            parts = layer.getFeature(fid).geometry().makeValid().coerceToType(layer.wkbType())
            # Of a layer of single polygons, a shape that falls into several is left for the analyst to part.
            if len(parts) == 1 and parts[0].isGeosValid() and not parts[0].isEmpty():
                done += layer.changeGeometry(fid, parts[0])
        layer.endEditCommand()
    return done
