# SPDX-License-Identifier: GPL-3.0-or-later
"""Areas on the earth's ellipsoid, whatever the CRS: Web Mercator's square metres are no square metres."""

from __future__ import annotations

from typing import Callable, Optional

from osgeo import osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
    QgsGeometry,
)


def hectares_in(reference: Optional[osr.SpatialReference]) -> Optional[Callable[[QgsGeometry], float]]:
    """A function that gives a polygon's area in hectares; None where the CRS has no place on earth."""
    if reference is None or not (reference.IsProjected() or reference.IsGeographic()):
        return None
    crs = QgsCoordinateReferenceSystem.fromWkt(reference.ExportToWkt())
    if not crs.isValid():
        return None
    ruler = ruler_of(crs, QgsCoordinateTransformContext())
    return lambda polygon: ruler.measureArea(polygon) / 1e4


def ruler_of(crs: QgsCoordinateReferenceSystem, context: QgsCoordinateTransformContext) -> QgsDistanceArea:
    """What measures in square metres on the ellipsoid of a CRS, though the project measures in the plane."""
    ruler = QgsDistanceArea()
    ruler.setSourceCrs(crs, context)
    ruler.setEllipsoid(crs.ellipsoidAcronym() or "EPSG:7030")
    return ruler
