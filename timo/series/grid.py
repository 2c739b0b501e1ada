# SPDX-License-Identifier: GPL-3.0-or-later
"""The pixel grid that a series, its labels and its maps share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import rasterio.warp
from affine import Affine
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.windows import Window

TILE = 256  # pixels of a side of the tiles that most files have: reading best keeps to them
_LATTICE_TOLERANCE = 1e-3  # pixels: two lattices that differ by less over the whole raster are one


def _apply(transform: Affine, x: float, y: float) -> tuple[float, float]:
    # Affine's own operator for this differs between its versions 2 and 3.
    t = transform
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


@lru_cache(maxsize=64)
def _parse_crs(text: str) -> CRS:
    """PROJ's look-up takes milliseconds, and a series has as many grids as files."""
    return CRS.from_string(text)


@lru_cache(maxsize=64)
def _name_crs(wkt: str) -> str | None:
    """The code of an authority, if it means the very same, else the WKT itself."""
    if not wkt:
        return None
    code = CRS.from_wkt(wkt).to_string()
    return code if _parse_crs(code) == CRS.from_wkt(wkt) else wkt


def grid_crs(text: str) -> str | None:
    """What ``Grid.crs`` has for a coordinate system that an analyst wrote: a code, or WKT.

    Raises:
        CRSError: It is none.
    """
    return _name_crs(_parse_crs(text).wkt)


def is_somewhere(crs: CRS) -> bool:
    """Whether a coordinate system tells places on Earth: a building site's own doesn't."""
    return bool(crs.is_projected or crs.is_geographic)


@dataclass(frozen=True)
class Grid:
    """A CRS, the affine transform from (column, row) to its coordinates, and a size in pixels.

    ``crs`` is what ``rasterio.crs.CRS.from_string`` reads (an authority code or WKT); None for rasters
    without georeference, whose transform is then the pixel grid's own.
    """

    crs: str | None
    transform: Affine
    width: int
    height: int

    @classmethod
    def of(cls, dataset: DatasetReader) -> Grid:
        """The grid of an open raster."""
        crs = _name_crs(dataset.crs.wkt) if dataset.crs else None
        return cls(crs, dataset.transform, dataset.width, dataset.height)

    @cached_property
    def rasterio_crs(self) -> CRS | None:
        """``crs`` as rasterio's object."""
        return _parse_crs(self.crs) if self.crs else None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Length of a pixel's upper and left side, in units of the CRS; positive."""
        t = self.transform
        return math.hypot(t.a, t.d), math.hypot(t.b, t.e)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) of the smallest upright rectangle around the grid, in the CRS."""
        corners = [self.point(c, r) for c in (0, self.width) for r in (0, self.height)]
        xs, ys = zip(*corners)
        return min(xs), min(ys), max(xs), max(ys)

    def point(self, col: float, row: float) -> tuple[float, float]:
        """The coordinates of a place in pixels; (0, 0) is the first pixel's outer corner."""
        return _apply(self.transform, col, row)

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Column and row of a point, as ``point`` takes them."""
        return _apply(~self.transform, x, y)

    @property
    def whole(self) -> Window:
        """The window of the whole grid."""
        return Window(0, 0, self.width, self.height)

    @cached_property
    def degrees(self) -> tuple[float, float, float, float] | None:
        """West, south, east and north in degrees of WGS 84, to a metre; None where no CRS tells them.

        West is greater than east where the date line lies between.
        """
        crs = self.rasterio_crs
        if crs is None or not (crs.is_geographic or crs.is_projected):
            return None
        try:
            west, south, east, north = rasterio.warp.transform_bounds(crs, "EPSG:4326", *self.bounds)
        except (rasterio.errors.CRSError, rasterio.errors.RasterioError):
            return None
        if not all(map(math.isfinite, (west, south, east, north))):
            return None
        return round(west, 5), round(south, 5), round(east, 5), round(north, 5)

    @cached_property
    def ground_sample_distance(self) -> float | None:
        """Side of a square of a pixel's area, in metres, at the grid's centre; None without CRS."""
        crs = self.rasterio_crs
        if crs is None:
            return None
        across, down = self.pixel_size
        if crs.is_geographic:
            latitude = math.radians(self.point(self.width / 2, self.height / 2)[1])
            metre = 111_195.0  # a degree on the mean sphere
            return math.sqrt(across * down * max(math.cos(latitude), 1e-6)) * metre
        # A site's own coordinates, which tell no place on Earth, are taken for metres.
        factor: float = crs.linear_units_factor[1] if crs.is_projected else 1.0
        return math.sqrt(across * down) * factor

    def window(self, row: int, col: int, height: int, width: int | None = None) -> Window:
        """The window at a row and column, ``height`` x ``width`` pixels (a square if width is left out)."""
        return Window(col, row, height if width is None else width, height)

    def windows(self, size: int) -> Iterator[Window]:
        """Windows of at most ``size`` x ``size`` pixels that tile the grid, row by row."""
        for row in range(0, self.height, size):
            for col in range(0, self.width, size):
                yield Window(col, row, min(size, self.width - col), min(size, self.height - row))

    def window_grid(self, window: Window) -> Grid:
        """The grid of a window of this one."""
        t = self.transform
        x, y = self.point(window.col_off, window.row_off)
        return Grid(self.crs, Affine(t.a, t.b, x, t.d, t.e, y), int(window.width), int(window.height))

    def coarser(self, times: int) -> Grid:
        """The grid from the same corner whose pixels are as long and wide as ``times`` of this one's.

        Its last row and column may reach beyond this grid.
        """
        t = self.transform
        scaled = Affine(t.a * times, t.b * times, t.c, t.d * times, t.e * times, t.f)
        return Grid(self.crs, scaled, -(-self.width // times), -(-self.height // times))

    def offset_in(self, other: Grid) -> tuple[int, int] | None:
        """(row, column) of this grid's first pixel in ``other``, if both are cut from one lattice.

        None if CRS or pixels differ, or the offset isn't whole: then reading needs resampling.
        """
        if (self.crs is None) != (other.crs is None):
            return None
        if self.crs != other.crs and self.rasterio_crs != other.rasterio_crs:
            return None
        inverse = ~other.transform
        first = _apply(inverse, *self.point(0, 0))
        col, row = round(first[0]), round(first[1])
        for across, down in ((0, 0), (self.width, 0), (0, self.height)):
            x, y = _apply(inverse, *self.point(across, down))
            if max(abs(x - across - col), abs(y - down - row)) > _LATTICE_TOLERANCE:
                return None
        return row, col

    def over(self, others: Iterable[Grid]) -> Grid:
        """This grid's pixels, as many more of them as cover other grids too.

        Raises:
            rasterio.errors.CRSError: There is no way from the one CRS to the other.
        """
        inverse = ~self.transform
        left, top, right, bottom = 0, 0, self.width, self.height
        for other in others:
            corners = [other.point(c, r) for c in (0, other.width) for r in (0, other.height)]
            xs, ys = zip(*corners)
            if other.rasterio_crs is not None and other.rasterio_crs != self.rasterio_crs:
                xs, ys = rasterio.warp.transform(other.rasterio_crs, self.rasterio_crs, xs, ys)
            cols, rows = zip(*(_apply(inverse, x, y) for x, y in zip(xs, ys)))
            left = min(left, math.floor(min(cols) + _LATTICE_TOLERANCE))
            top = min(top, math.floor(min(rows) + _LATTICE_TOLERANCE))
            right = max(right, math.ceil(max(cols) - _LATTICE_TOLERANCE))
            bottom = max(bottom, math.ceil(max(rows) - _LATTICE_TOLERANCE))
        return self.window_grid(Window(left, top, right - left, bottom - top))

    def scale_of(self, source: Grid) -> tuple[float, float]:
        """How many of this grid's pixels one pixel of ``source`` spans, across and down, at its centre.

        Raises:
            rasterio.errors.CRSError: There is no way from the one CRS to the other.
        """
        col, row = source.width / 2, source.height / 2
        points = [source.point(*place) for place in ((col, row), (col + 1, row), (col, row + 1))]
        xs, ys = zip(*points)
        if source.rasterio_crs is not None and source.rasterio_crs != self.rasterio_crs:
            xs, ys = rasterio.warp.transform(source.rasterio_crs, self.rasterio_crs, xs, ys)
        inverse = ~self.transform
        (c0, r0), (c1, r1), (c2, r2) = (_apply(inverse, x, y) for x, y in zip(xs, ys))
        return math.hypot(c1 - c0, c2 - c0), math.hypot(r1 - r0, r2 - r0)

    def to_dict(self) -> dict[str, Any]:
        """The grid as JSON values; ``transform`` in the order of affine (a, b, c, d, e, f)."""
        return {
            "crs": self.crs,
            "transform": list(self.transform)[:6],
            "width": self.width,
            "height": self.height,
            "pixel_size": list(self.pixel_size),
        }
