# SPDX-License-Identifier: GPL-3.0-or-later
"""GeoPackages of one layer: of QGIS's features, or to be filled by GDAL. May be called in any thread."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional, Tuple

from osgeo import gdal, ogr, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsFeatureSink,
    QgsFields,
    QgsVectorFileWriter,
)

from ..i18n import tr


class GeoPackageError(Exception):
    """It cannot be written; the text says why, without a full stop."""


def create(
    path: Path, layer: str, reference: Optional[osr.SpatialReference], shape: int, fields: Mapping[str, int]
) -> Tuple[ogr.DataSource, ogr.Layer]:
    """Make an empty GeoPackage for GDAL to fill.

    Args:
        path: Where to; what stands there is replaced.
        layer: What the layer in it is called.
        reference: Its coordinate system.
        shape: Of the geometries, such as ``ogr.wkbPoint``.
        fields: Their names and types, such as ``ogr.OFTString``.

    Returns:
        The file and its layer, written when both are let go.

    Raises:
        GeoPackageError: It cannot be made; nothing is left of it.
    """
    made = into = None
    gdal.ErrorReset()
    try:
        path.unlink(missing_ok=True)
        made = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
        into = made.CreateLayer(layer, reference, shape) if made is not None else None
        if into is not None and not any(into.CreateField(ogr.FieldDefn(*one)) for one in fields.items()):
            return made, into
        why = gdal.GetLastErrorMsg()
    except (OSError, RuntimeError) as error:  # GDAL with exceptions on
        why = getattr(error, "strerror", "") or str(error)
    into = made = None  # closed before it is taken away
    with suppress(OSError):
        path.unlink(missing_ok=True)
    raise GeoPackageError(why.rstrip(".") or tr("no writer"))


def write_features(
    path: Path,
    layer: str,
    fields: QgsFields,
    shape: Any,
    crs: QgsCoordinateReferenceSystem,
    context: QgsCoordinateTransformContext,
    features: Iterable[QgsFeature],
) -> None:
    """Write a GeoPackage of one layer.

    Args:
        path: Where to; what stands there is replaced.
        layer: What the layer in it is called.
        fields: Of the features; one of them may be named fid.
        shape: The kind of their geometries, of ``QgsWkbTypes.Type``.
        crs: Of their coordinates.
        context: The project's, taken in the interface's thread.
        features: What is raised while they are given leaves no file.

    Raises:
        GeoPackageError: It cannot be written.
    """
    part = path.with_name(f"{path.stem}-part.gpkg")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", layer
    options.layerOptions = ["FID=timo_fid"]
    try:
        part.unlink(missing_ok=True)
        writer = QgsVectorFileWriter.create(str(part), fields, shape, crs, context, options)
        try:
            _check(writer)
            for feature in features:
                if not writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert):
                    break
            _check(writer)
        finally:
            del writer  # closes the file
        part.replace(path)
    except OSError as error:
        raise GeoPackageError(error.strerror or str(error)) from error
    finally:
        if part.exists():
            part.unlink()


def _check(writer: Any) -> None:
    if writer is None or writer.hasError():
        why = writer.errorMessage().strip().rstrip(".") if writer is not None else ""
        raise GeoPackageError(why or tr("no writer"))
