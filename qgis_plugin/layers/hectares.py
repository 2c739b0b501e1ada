# SPDX-License-Identifier: GPL-3.0-or-later
"""Areas on the earth's ellipsoid, whatever the CRS: Web Mercator's square metres are no square metres."""

from __future__ import annotations

from typing import Callable, Optional

from osgeo import osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsDistanceArea,
    QgsGeometry,
)


def hectares_in(reference: Optional[osr.SpatialReference]) -> Optional[Callable[[QgsGeometry], float]]:
    """A function that gives a polygon's area in hectares; None where the CRS has no place on earth.

    It takes the polygon to degrees itself and has QGIS measure there: the ellipsoids' own systems that QGIS
    keeps for that know the thread that asked first, and once that has ended all areas are not a number. May
    be called in any thread; what it gives is used in that one.

    Args:
        reference: The polygons' CRS.
    """
    if reference is None or not (reference.IsProjected() or reference.IsGeographic()):
        return None
    degrees = reference.CloneGeogCS()
    degrees.SetAngularUnits(osr.SRS_UA_DEGREE, float(osr.SRS_UA_DEGREE_CONV))
    here, there = (
        QgsCoordinateReferenceSystem.fromWkt(one.ExportToWkt(["FORMAT=WKT2_2018"]))
        for one in (reference, degrees)
    )
    if not (here.isValid() and there.isValid()):
        return None
    transform = QgsCoordinateTransform(here, there, QgsCoordinateTransformContext())
    ruler = QgsDistanceArea()
    ruler.setEllipsoid(reference.GetSemiMajor(), reference.GetSemiMinor())

    def measure(polygon: QgsGeometry) -> float:
        moved = QgsGeometry(polygon)
        try:
            moved.transform(transform)
        except QgsCsException:  # it lies where the CRS has no coordinates
            return 0.0
        return float(ruler.measureArea(moved)) / 1e4

    return measure
