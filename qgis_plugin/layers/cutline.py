# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of an area that lies on a raster: clipped by that, a raster never grows. No Qt."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from osgeo import gdal, ogr, osr
from qgis.core import QgsGeometry, QgsWkbTypes

from ..i18n import tr
from . import geopackage
from .raster_blocks import RasterError, cannot_write
from .result_files import open_file

PARTS = 256
"""A side of the raster becomes so many in another CRS, where it is no straight line."""


def on_raster(area: Path, raster: gdal.Dataset, name: str, into: Path) -> Path:
    """Write what of an area's polygons lies on a raster.

    Args:
        area: A file of polygons.
        raster: It has a CRS.
        name: The raster's, for what is said.
        into: The GeoPackage to write.

    Returns:
        ``into``, or the area as it is, where the raster's frame is no polygon in the area's CRS: around a
        pole, or where degrees jump from 180 to -180.

    Raises:
        RasterError: Nothing of the area lies there, or a file cannot be read or written.
    """
    source = open_file(area, gdal.OF_VECTOR)
    if source is None:
        raise RasterError(tr("{name} cannot be opened.", name=area.name))
    layer = source.GetLayer(0)
    frame = _frame(raster, layer.GetSpatialRef())
    if frame is None:
        return area
    try:
        made, written = geopackage.create(into, "area", layer.GetSpatialRef(), ogr.wkbUnknown, {})
    except geopackage.GeoPackageError as error:
        raise cannot_write(into, str(error)) from error
    for feature in layer:
        lying = _geometry(feature.GetGeometryRef()).makeValid().intersection(frame)
        lying.convertGeometryCollectionToSubclass(QgsWkbTypes.GeometryType.PolygonGeometry)
        if lying.area() > 0:
            part = ogr.Feature(written.GetLayerDefn())
            part.SetGeometry(ogr.CreateGeometryFromWkb(bytes(lying.asWkb())))
            written.CreateFeature(part)
    count = written.GetFeatureCount()
    del written, made  # closed: GDAL opens it by its name
    if not count:
        raise RasterError(tr("Nothing of {name} lies in the area: pick another area.", name=name))
    return into


def _frame(raster: gdal.Dataset, reference: Optional[osr.SpatialReference]) -> Optional[QgsGeometry]:
    """The raster's edge in a CRS, or its own if that is None; None if it is no polygon there."""
    place, width, height = raster.GetGeoTransform(), raster.RasterXSize, raster.RasterYSize
    corners = ((0, 0), (width, 0), (width, height), (0, height), (0, 0))
    ring = ogr.Geometry(ogr.wkbLinearRing)
    for corner in corners:
        ring.AddPoint_2D(*gdal.ApplyGeoTransform(place, *corner))
    frame, own = ogr.Geometry(ogr.wkbPolygon), raster.GetSpatialRef()
    frame.AddGeometry(ring)
    middle = frame.Centroid()
    if reference is not None and not own.IsSame(reference):
        frame.Segmentize(max(ring.Length() / 4 / PARTS, 1e-9))
        way = osr.CoordinateTransformation(own, reference)
        try:
            if frame.Transform(way) or middle.Transform(way):
                return None
        except RuntimeError:  # GDAL with exceptions on
            return None
    found = _geometry(frame)
    return found if found.isGeosValid() and found.contains(_geometry(middle)) else None


def _geometry(shape: ogr.Geometry) -> QgsGeometry:
    found = QgsGeometry()
    found.fromWkb(bytes(shape.ExportToWkb()))
    return found
