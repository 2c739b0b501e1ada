# SPDX-License-Identifier: GPL-3.0-or-later
"""One raster file: what is in it, and its pixels on another grid."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from timo.errors import SeriesError
from timo.series.bands import Band, describe_bands
from timo.series.grid import Grid
from timo.series.handles import HandlePool

# Allowed, where all rasters of a series are so.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

# Of a pixel. 0 is what is meant, but with 0 rasterio 1.4 gives GDAL no transformer at all.
_EXACT = 1e-12
_COLORS = {ColorInterp.red: "red", ColorInterp.green: "green", ColorInterp.blue: "blue"}


@dataclass(frozen=True)
class Raster:
    """A raster file's facts, read once. ``has_mask``: an alpha band or a mask says what is valid."""

    path: Path
    grid: Grid
    bands: tuple[Band, ...]
    has_mask: bool

    @classmethod
    def open(cls, path: Path) -> Raster:
        """Read a file's facts.

        Raises:
            SeriesError: It can't be read as a raster.
        """
        with _unreadable(path), rasterio.open(path) as dataset:
            color_bands = dataset.colorinterp
            data = [i for i in range(dataset.count) if color_bands[i] != ColorInterp.alpha]
            if not data or np.dtype(dataset.dtypes[data[0]]).kind == "c":
                raise SeriesError(
                    "raster_kind",
                    f"{path.name} has no band of real numbers.",
                    "Take it out of the series, or convert it to amplitudes.",
                )
            bands = describe_bands(
                path.stem,
                descriptions=[dataset.descriptions[i] for i in data],
                color_names=[_COLORS.get(color_bands[i]) for i in data],
                dtypes=[dataset.dtypes[i] for i in data],
                scales=[dataset.scales[i] for i in data],
                offsets=[dataset.offsets[i] for i in data],
                nodatas=[dataset.nodatavals[i] for i in data],
            )
            indexed = tuple(_with_index(band, data[i] + 1) for i, band in enumerate(bands))
            flags = dataset.mask_flag_enums[data[0]]
            has_mask = MaskFlags.per_dataset in flags
            return cls(path, Grid.of(dataset), indexed, has_mask)


def _with_index(band: Band, index: int) -> Band:
    return Band(band.name, band.role, band.sensor, band.scale, band.offset, band.nodata, index)


def reason(error: BaseException) -> str:
    """What GDAL complains of, as a part of a sentence."""
    while isinstance(error.__cause__, Exception):  # rasterio's own words only point to it
        error = error.__cause__
    told = error.strerror if isinstance(error, OSError) else None
    return told or str(error).strip().partition("\n")[0].rstrip(".: ") or type(error).__name__


class _unreadable:  # noqa: N801 - reads as what it guards against
    """Turns GDAL's complaints about a file into a SeriesError that names it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, CRSError):
            raise SeriesError(
                "crs_transform",
                f"{self._path.name} can't be brought to the series' coordinate system: {reason(error)}.",
                "Take it out of the series, or correct its coordinate system.",
            ) from error
        if isinstance(error, (RasterioError, OSError)):
            raise SeriesError(
                "raster_unreadable",
                f"{self._path} can't be read as a raster: {reason(error)}.",
                "Replace the file, or take it out of the series.",
            ) from error


@dataclass(frozen=True)
class _View:
    """An open raster as seen on a grid: the file itself, or its warp; ``offset`` is its first pixel's."""

    dataset: DatasetReader
    pixels: DatasetReader | WarpedVRT
    offset: tuple[int, int]

    def close(self) -> None:
        self.pixels.close()
        self.dataset.close()


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

    def read(
        self, raster: Raster, bands: Sequence[Band], window: Window, shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Pixels of a window that lies in the grid.

        On the same lattice they are the file's own, without resampling; else bilinear from the file warped to
        the whole grid, so that a pixel has the same value whichever window it is read with.

        Args:
            raster: The file.
            bands: Which of its bands.
            window: Rows and columns of the grid.
            shape: (height, width) to thin the window out to, by nearest neighbour.

        Returns:
            Values (C, h, w) in physical units, 0 where invalid, and their validity: False for nodata, NaN or
            what is masked.

        Raises:
            SeriesError: The file can't be read any more, or can't be brought to the grid's CRS.
        """
        height, width = shape or (int(window.height), int(window.width))
        values = np.zeros((len(bands), height, width), np.float32)
        valid = np.zeros(values.shape, np.bool_)
        with _unreadable(raster.path), self._views.borrow(raster.path, lambda: self._open(raster)) as view:
            dataset = view.pixels
            row, col = int(window.row_off) - view.offset[0], int(window.col_off) - view.offset[1]
            top, left = max(row, 0), max(col, 0)
            bottom = min(row + int(window.height), dataset.height)
            right = min(col + int(window.width), dataset.width)
            if top >= bottom or left >= right:
                return values, valid
            inner = Window(left, top, right - left, bottom - top)
            into = (slice(top - row, bottom - row), slice(left - col, right - col))
            indexes = [band.index for band in bands]
            if shape is not None:
                # A file of another extent is thinned out by its own share, then laid into the common shape.
                ratio = height / window.height, width / window.width
                into = tuple(slice(round(s.start * k), round(s.stop * k)) for s, k in zip(into, ratio))  # type: ignore[assignment]
                if any(s.start >= s.stop for s in into):
                    return values, valid
            size = tuple(s.stop - s.start for s in into)
            raw = dataset.read(indexes, window=inner, out_shape=(len(indexes), *size))
            mask = read_mask(dataset, raster, inner, size)
        for i, band in enumerate(bands):
            good = ~is_nodata(raw[i], band.nodata)
            if mask is not None:
                good &= mask
            with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, and invalid
                scaled = raw[i].astype(np.float32)
            if band.scale != 1.0 or band.offset != 0.0:
                scaled = scaled * np.float32(band.scale) + np.float32(band.offset)
            good &= np.isfinite(scaled)
            values[i][into] = np.where(good, scaled, np.float32(0))
            valid[i][into] = good
        return values, valid

    def _open(self, raster: Raster) -> _View:
        dataset = rasterio.open(raster.path)
        offset = raster.grid.offset_in(self.grid)
        if offset is not None:
            return _View(dataset, dataset, offset)
        return _View(dataset, warp(dataset, raster, self.grid), (0, 0))


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
    floating = raw.dtype.kind == "f"
    invalid: NDArray[np.bool_] = np.isnan(raw) if floating else np.zeros(raw.shape, np.bool_)
    if nodata is None or np.isnan(nodata):
        return invalid
    if floating:
        with np.errstate(over="ignore"):
            return np.asarray(invalid | (raw == raw.dtype.type(nodata)))
    info = np.iinfo(raw.dtype)
    if nodata == int(nodata) and info.min <= nodata <= info.max:
        return np.asarray(raw == raw.dtype.type(int(nodata)))
    return invalid
