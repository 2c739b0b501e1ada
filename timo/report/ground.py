# SPDX-License-Identifier: GPL-3.0-or-later
"""How much ground a pixel covers."""

from __future__ import annotations

import math

import numpy as np
import rasterio.warp
from numpy.typing import NDArray
from rasterio.errors import CRSError, RasterioError

from timo.series.grid import Grid

HECTARE = 10_000.0
# WGS 84: half the longer axis in metres, and the square of the eccentricity.
AXIS, ECCENTRICITY2 = 6_378_137.0, 6.694379990141316e-3
# A projection whose pixels differ from the ground by more is not taken at its word (as Web Mercator).
DISTORTION = 0.01


class GroundArea:
    """The area of a grid's pixels.

    Attributes:
        unit: ``ha``, or ``pixels`` for a grid without coordinate system.
        method: How it is measured, one sentence.
    """

    def __init__(self, grid: Grid) -> None:
        t = grid.transform
        self._grid = grid
        self._plane = abs(t.a * t.e - t.b * t.d)  # of a pixel, in squares of the CRS's unit
        crs = grid.rasterio_crs
        self._kind = "pixels"
        if crs is not None and crs.is_geographic:
            self._kind = "degrees"
            self._radians: float = crs.units_factor[1]
        elif crs is not None and crs.is_projected:
            self._plane *= crs.linear_units_factor[1] ** 2 / HECTARE
            middle = self._true(grid.height / 2, grid.width / 2)
            true = middle is None or abs(middle / self._plane - 1) <= DISTORTION
            self._kind = "plane" if true else "distorted"
        self.unit = "pixels" if self._kind == "pixels" else "ha"
        self.method = {
            "pixels": "The series has no coordinate system: areas are in pixels.",
            "degrees": "Areas are measured on the WGS 84 ellipsoid, latitude by latitude.",
            "plane": "Areas are those of the series' projection.",
            "distorted": "The series' projection distorts areas: they are measured on the WGS 84 ellipsoid.",
        }[self._kind]

    def of(self, rows: slice, columns: slice) -> NDArray[np.float64]:
        """Area of the pixels of a block: (rows, columns), or with lengths of 1 where it is the same."""
        if self._kind == "degrees":
            t = self._grid.transform
            down = np.arange(rows.start, rows.stop)[:, None] + 0.5
            across = (np.arange(columns.start, columns.stop) if t.d else np.zeros(1))[None] + 0.5
            latitude = (t.d * across + t.e * down + t.f) * self._radians
            return self._plane * self._radians**2 * _element(latitude) / HECTARE
        if self._kind == "distorted":
            middle = self._true((rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2)
            return np.full((1, 1), self._plane if middle is None else middle)
        return np.full((1, 1), 1.0 if self._kind == "pixels" else self._plane)

    def _true(self, row: float, column: float) -> float | None:
        """Hectares on the ellipsoid of a pixel at a place; None where it has no latitude."""
        points = [self._grid.point(column + c, row + r) for c, r in ((0, 0), (1, 0), (0, 1))]
        try:
            longitudes, latitudes = rasterio.warp.transform(
                self._grid.rasterio_crs, "EPSG:4326", *map(list, zip(*points, strict=True))
            )
        except (CRSError, RasterioError):
            return None
        x0, x1, x2 = np.radians(longitudes)
        y0, y1, y2 = np.radians(latitudes)
        square = abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) * float(_element(np.array(y0)))
        return square / HECTARE if math.isfinite(square) and square > 0 else None


def _element(latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square metres of a square radian of longitude and latitude, at latitudes in radians."""
    sine = np.sin(latitude)
    # The product of the ellipsoid's two radii of curvature, times the shrinking of the parallels.
    return np.asarray(AXIS**2 * (1 - ECCENTRICITY2) * np.cos(latitude) / (1 - ECCENTRICITY2 * sine**2) ** 2)
