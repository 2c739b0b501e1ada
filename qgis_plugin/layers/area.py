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
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
    QgsWkbTypes,
)

from ..i18n import tr

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
    try:
        return _write(geometries, crs, folder, context)
    except OSError as error:
        raise _trouble(folder, error.strerror or error) from error


def _write(
    geometries: List[QgsGeometry],
    crs: QgsCoordinateReferenceSystem,
    folder: Path,
    context: QgsCoordinateTransformContext,
) -> Path:
    digest = hashlib.sha256(crs.toWkt().encode())
    for geometry in geometries:
        digest.update(bytes(geometry.asWkb()))
    path = folder / f"area-{digest.hexdigest()[:12]}.gpkg"
    if path.exists():
        return path
    part = path.with_name(f"{path.stem}-part.gpkg")
    part.unlink(missing_ok=True)
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", LAYER
    writer = QgsVectorFileWriter.create(
        str(part),
        QgsFields(),
        QgsWkbTypes.Type.MultiPolygon,
        crs,
        context,
        options,
    )
    for geometry in geometries:
        feature = QgsFeature()
        whole = QgsGeometry(geometry)
        whole.convertToMultiType()
        feature.setGeometry(whole)
        writer.addFeature(feature)
    why = writer.errorMessage()
    del writer  # closes the file
    if why:
        part.unlink(missing_ok=True)
        raise _trouble(folder, why)
    part.replace(path)
    return path


def _trouble(folder: Path, why: object) -> AreaError:
    return AreaError(tr("The area cannot be written to {folder}: {why}.", folder=folder, why=why))
