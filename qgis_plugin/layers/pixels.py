# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a pixel is on the ground, reckoned as ``timo.series.grid`` does, which judges by it. No Qt."""

from __future__ import annotations

from functools import lru_cache
from math import cos, radians, sqrt
from typing import Optional, Tuple

from osgeo import osr

DEGREE = 111_195.0
"""Metres of a degree on the mean sphere."""


def side(crs: str, across: float, down: float, latitude: float = 0.0) -> Optional[float]:
    """Side of a square of a pixel's area in metres; None without a CRS.

    Args:
        crs: A code, or WKT.
        across: A pixel's width in the CRS's units.
        down: Its height.
        latitude: Where it lies, if those are degrees.
    """
    unit = _unit(crs)
    if unit is None:
        return None
    degrees, metres = unit
    return sqrt(across * down * (max(cos(radians(latitude)), 1e-6) if degrees else 1.0)) * metres


def in_degrees(crs: str) -> bool:
    """Whether a CRS, a code or WKT, counts in degrees."""
    unit = _unit(crs)
    return unit is not None and unit[0]


@lru_cache(maxsize=64)
def _unit(crs: str) -> Optional[Tuple[bool, float]]:
    """Whether it is a degree, and its metres; a building site's own coordinates are taken for metres."""
    reference = osr.SpatialReference()
    try:
        if not crs or reference.SetFromUserInput(crs):
            return None
    except RuntimeError:  # GDAL with exceptions on
        return None
    if reference.IsGeographic():
        return True, DEGREE
    return False, reference.GetLinearUnits() if reference.IsProjected() else 1.0
