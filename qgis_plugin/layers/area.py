# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a map is wanted, as the file of polygons that a job reads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Callable, List

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsFeatureRequest,
    QgsFields,
    QgsGeometry,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
    QgsWkbTypes,
)

from ..i18n import tr
from .geopackage import GeoPackageError, write_features

LAYER = "area"


class AreaError(Exception):
    """The area cannot be used; the text is the sentence to show."""


def of_layer(layer: QgsVectorLayer, selected_only: bool) -> Callable[[], List[QgsGeometry]]:
    """A function that reads the polygons of a layer; it may be called in another thread.

    Args:
        layer: Polygons.
        selected_only: Whether only selected features count.
    """
    request = QgsFeatureRequest().setNoAttributes()
    if selected_only:
        request.setFilterFids(layer.selectedFeatureIds())
    source, name = QgsVectorLayerFeatureSource(layer), layer.name()

    def read() -> List[QgsGeometry]:
        found = [feature.geometry() for feature in source.getFeatures(request)]
        found = [geometry for geometry in found if not geometry.isEmpty()]
        if not found:
            raise AreaError(tr("Layer '{name}' has no polygons: pick another area.", name=name))
        return found

    return read


def write(
    geometries: List[QgsGeometry],
    crs: QgsCoordinateReferenceSystem,
    folder: Path,
    context: QgsCoordinateTransformContext,
) -> Path:
    """Write polygons as a GeoPackage; the same ones are the same file. May be called in another thread.

    Args:
        geometries: At least one polygon.
        crs: Of their coordinates; invalid where the series has none either.
        folder: Where to.
        context: The project's, taken in the interface's thread.

    Returns:
        The file's path.

    Raises:
        AreaError: It cannot be written.
    """
    digest = hashlib.sha256(crs.toWkt().encode())
    for geometry in geometries:
        digest.update(bytes(geometry.asWkb()))
    path = folder / f"area-{digest.hexdigest()[:12]}.gpkg"
    if path.exists():
        return path
    kind, features = QgsWkbTypes.Type.MultiPolygon, map(_whole, geometries)
    try:
        write_features(path, LAYER, QgsFields(), kind, crs, context, features)
    except GeoPackageError as error:
        raise AreaError(
            tr("The area cannot be written to {folder}: {why}.", folder=folder, why=error)
        ) from error
    return path


def _whole(geometry: QgsGeometry) -> QgsFeature:
    feature, whole = QgsFeature(), QgsGeometry(geometry)
    whole.convertToMultiType()
    feature.setGeometry(whole)
    return feature
