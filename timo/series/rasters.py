# SPDX-License-Identifier: GPL-3.0-or-later
"""A raster's pixels on another grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from timo.series.bands import Band
from timo.series.facts import Mask, Raster, network, open_raster, reason, unreadable
from timo.series.grid import Grid
from timo.series.handles import HandlePool

__all__ = ["Raster", "RasterReader", "is_nodata", "read_mask", "reason", "warp"]

# Of a pixel. 0 is what is meant, but with 0 rasterio 1.4 gives GDAL no transformer at all.
_EXACT = 1e-12
_LARGE = 1e18  # times the largest of 64 bits it is still a float32


@dataclass(frozen=True)
class _View:
    """An open raster as seen on a grid: the file itself, or its warp; ``offset`` is its first pixel's."""

    dataset: DatasetReader
    pixels: DatasetReader | WarpedVRT
    offset: tuple[int, int]

    def close(self) -> None:
        self.pixels.close()
        self.dataset.close()


@dataclass(frozen=True)
class _Pixels:
    """What a file holds of a window: ``raw`` (C, h, w) in the file's numbers, ``into`` the place of it."""

    raw: NDArray[Any]
    masked: NDArray[np.bool_] | None
    into: tuple[slice, slice]


class RasterReader:
    """Reads rasters on one grid, keeping files open: chips by the thousand come from the same few.

    Any number of threads may read at once.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._views: HandlePool[_View] = HandlePool()

    def __getstate__(self) -> dict[str, Any]:
        return {"grid": self.grid}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.grid = state["grid"]
        self._views = HandlePool()

    def close(self) -> None:
        """Close the files that are kept open; reading opens them again."""
        self._views.close()

    def read(
        self,
        raster: Raster,
        bands: Sequence[Band],
        window: Window,
        values: Sequence[NDArray[np.float32]],
        valid: Sequence[NDArray[np.bool_]],
        shape: tuple[int, int] | None = None,
    ) -> None:
        """Pixels of a window that lies in the grid.

        On the same lattice they are the file's own, without resampling; else bilinear from the file warped to
        the whole grid, so that a pixel has the same value whichever window it is read with.

        Args:
            raster: The file; its ``masks`` are not applied.
            bands: Which of its bands.
            window: Rows and columns of the grid.
            values: (h, w) of each band that the values go into, in physical units; 0 beforehand and where
                invalid.
            valid: (h, w) of each band that their validity goes into, False for nodata, NaN or what is masked;
                False beforehand.
            shape: (h, w) to thin the window out to, by nearest neighbour.

        Raises:
            SeriesError: The file can't be read any more, or can't be brought to the grid's CRS.
        """
        pixels = self._pixels(raster, [band.index for band in bands], window, shape, Resampling.bilinear)
        if pixels is None:
            return
        for raw, band, of_band, seen in zip(pixels.raw, bands, values, valid, strict=True):
            scaled, good = of_band[pixels.into], seen[pixels.into]
            np.logical_not(is_nodata(raw, band.nodata), out=good)
            if pixels.masked is not None:
                good &= pixels.masked
            if band.limits is not None:
                good &= (raw >= band.limits[0]) & (raw <= band.limits[1])
            with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, and invalid
                np.multiply(raw, np.float32(band.scale), out=scaled, dtype=np.float32, casting="same_kind")
                if band.offset:
                    scaled += np.float32(band.offset)
            # Whole numbers stay finite, unless the scale is absurd.
            if raw.dtype.kind == "f" or not (abs(band.scale) <= _LARGE and abs(band.offset) <= _LARGE):
                good &= np.isfinite(scaled)
            if not good.all():
                scaled[~good] = 0

    def read_codes(
        self, mask: Mask, window: Window, shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """A mask's own numbers in a window, by nearest neighbour.

        Returns:
            (h, w) numbers, and where there are any: False beyond the mask, and for its nodata.

        Raises:
            SeriesError: As ``read``.
        """
        size = shape or (int(window.height), int(window.width))
        band = mask.raster.bands[0]
        pixels = self._pixels(mask.raster, [band.index], window, shape, Resampling.nearest)
        inside = np.zeros(size, np.bool_)
        if pixels is None:
            return np.zeros(size, np.uint8), inside
        codes = np.zeros(size, pixels.raw.dtype)
        codes[pixels.into] = pixels.raw[0]
        good = ~is_nodata(pixels.raw[0], band.nodata)
        inside[pixels.into] = good if pixels.masked is None else good & pixels.masked
        return codes, inside

    def _pixels(
        self,
        raster: Raster,
        indexes: list[int],
        window: Window,
        shape: tuple[int, int] | None,
        resampling: Resampling,
    ) -> _Pixels | None:
        """What the file holds of a window; None where it doesn't reach."""
        key = (raster.source, resampling, str(raster.bands[0].nodata), raster.grid.crs)
        with (
            unreadable(raster.path),
            network(raster.path),
            self._views.borrow(key, lambda: self._open(raster, resampling)) as view,
        ):
            dataset = view.pixels
            row, col = int(window.row_off) - view.offset[0], int(window.col_off) - view.offset[1]
            top, left = max(row, 0), max(col, 0)
            bottom = min(row + int(window.height), dataset.height)
            right = min(col + int(window.width), dataset.width)
            if top >= bottom or left >= right:
                return None
            inner = Window(left, top, right - left, bottom - top)
            into = (slice(top - row, bottom - row), slice(left - col, right - col))
            if shape is not None:
                # A file of another extent is thinned out by its own share, then laid into the common shape.
                ratio = shape[0] / window.height, shape[1] / window.width
                down, across = (slice(round(s.start * k), round(s.stop * k)) for s, k in zip(into, ratio))
                into = (down, across)
                if any(s.start >= s.stop for s in into):
                    return None
            size = tuple(s.stop - s.start for s in into)
            raw = dataset.read(indexes, window=inner, out_shape=(len(indexes), *size))
            return _Pixels(raw, read_mask(dataset, raster, inner, size), into)

    def _open(self, raster: Raster, resampling: Resampling) -> _View:
        dataset = open_raster(raster.path, raster.variable)
        offset = raster.grid.offset_in(self.grid)
        if offset is not None:
            return _View(dataset, dataset, offset)
        return _View(dataset, warp(dataset, raster, self.grid, resampling), (0, 0))


def warp(
    dataset: DatasetReader, raster: Raster, grid: Grid, resampling: Resampling = Resampling.bilinear
) -> WarpedVRT:
    """A view of a raster on a grid, whose pixels don't depend on the window they are read with.

    For that the transformation is exact (``tolerance``) and the kernel's width is fixed from the ratio of
    the two grids; left to itself, GDAL takes both from each window.
    """
    across, down = grid.scale_of(raster.grid)
    nodata = raster.bands[0].nodata
    return WarpedVRT(
        dataset,
        src_crs=raster.grid.rasterio_crs,  # which an analyst may have told
        crs=grid.rasterio_crs,
        transform=grid.transform,
        width=grid.width,
        height=grid.height,
        resampling=resampling,
        tolerance=_EXACT,
        src_nodata=nodata,
        nodata=nodata,
        # Without nodata only an alpha band tells what lies outside of the source, or under its mask.
        add_alpha=nodata is None and ColorInterp.alpha not in dataset.colorinterp,
        XSCALE=across,
        YSCALE=down,
        UNIFIED_SRC_NODATA="NO",  # a band may be valid where another is not
    )


def read_mask(
    dataset: DatasetReader | WarpedVRT, raster: Raster, window: Window, shape: tuple[int, ...]
) -> NDArray[np.bool_] | None:
    """What an alpha band or a mask says of a window, beside nodata; None if there is neither."""
    if isinstance(dataset, WarpedVRT):
        if raster.bands[0].nodata is not None:
            return None
        # Not read_masks(): GDAL takes an added alpha band for one only where the source has a mask.
        return np.asarray(dataset.read(dataset.count, window=window, out_shape=shape) > 0)
    if not raster.has_mask:
        return None
    return np.asarray(dataset.read_masks(raster.bands[0].index, window=window, out_shape=shape) > 0)


def is_nodata(raw: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """Where raw values are the nodata value, compared in their own type; NaN is nodata always."""
    if nodata is not None and np.isnan(nodata):
        nodata = None
    if raw.dtype.kind == "f":
        invalid: NDArray[np.bool_] = np.isnan(raw)
        if nodata is not None:
            with np.errstate(over="ignore"):
                invalid |= raw == raw.dtype.type(nodata)
        return invalid
    info = np.iinfo(raw.dtype)
    if nodata is not None and nodata == int(nodata) and info.min <= nodata <= info.max:
        return np.asarray(raw == raw.dtype.type(int(nodata)))
    return np.zeros(raw.shape, np.bool_)
