# SPDX-License-Identifier: GPL-3.0-or-later
"""Dated rasters of one place, seen on one grid."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from timo.errors import SeriesError
from timo.series.bands import Band
from timo.series.catalog import (
    Frame,
    build_frames,
    check_georeference,
    common_bands,
    reference_grid,
    scaling_problems,
    select,
    touches,
)
from timo.series.frames import Frames, fill_in_time
from timo.series.grid import Grid
from timo.series.rasters import Raster, RasterReader
from timo.series.sources import DatedFile, LeftOut, find_files

__all__ = ["Frames", "LeftOut", "Series", "fill_in_time", "open_series"]

NEARLY_EMPTY = 0.10  # a date with a smaller share of valid pixels is named as a problem
_COUNT_PIXELS = 4096 * 4096  # larger rasters are counted on every k-th row and column
_COUNT_BLOCK = 1024

Sources = str | os.PathLike[str] | Sequence[str | os.PathLike[str] | DatedFile]


def open_series(sources: Sources) -> Series:
    """Open dated rasters as one series.

    Args:
        sources: One or several of: a folder (its own *.tif, *.tiff, *.vrt, *.jp2), a glob, files, or a CSV
            with columns path,date. Dates are read from the files' names. Files of one date are bands of one
            frame; files without a date are left out and named.

    Returns:
        The series on the grid of its finest raster, with the bands that keep the most dates.

    Raises:
        SeriesError: Naming the file at fault, and what to do.
    """
    files, left_out = find_files(sources)
    frames = build_frames(files)
    check_georeference(frames)
    keys = common_bands(frames)
    grid = reference_grid([frame for frame in frames if frame.has(keys)])
    inside: list[Frame] = []
    for frame in frames:
        rasters = tuple(raster for raster in frame.rasters if touches(grid, raster.grid))
        left_out += [
            LeftOut(str(raster.path), "It does not touch the grid of the series.")
            for raster in frame.rasters
            if raster not in rasters
        ]
        if rasters:
            inside.append(Frame(frame.date, rasters, frame.problem))
    return Series(grid, tuple(inside), common_bands(inside), tuple(left_out))


class Series:
    """Dated rasters of one place on one grid; nothing is read until ``read``.

    Attributes:
        grid: The grid of the finest raster.
        dates: (T,) calendar dates, rising, each once.
        bands: (C,) bands, in the order of ``read``.
        left_out: Files that are not part of the series, with the reason.
        problems: What an analyst should look at, one sentence each.
    """

    def __init__(
        self, grid: Grid, frames: tuple[Frame, ...], keys: Sequence[str], left_out: tuple[LeftOut, ...] = ()
    ) -> None:
        self.grid = grid
        self._all_frames = frames
        self._files_left_out = left_out
        self._frames, self.bands, lacking = select(frames, keys)
        self.keys = tuple(keys)
        self.dates: tuple[dt.date, ...] = tuple(frame.date for frame in self._frames)
        self.left_out = left_out + lacking
        doubts = tuple(frame.problem for frame in self._frames if frame.problem)
        self.problems: tuple[str, ...] = doubts + scaling_problems(self._frames, self.keys)
        self._plan = [_reading_plan(frame, self.keys) for frame in self._frames]
        self._reader = RasterReader(grid)
        self._clear: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.dates)

    def __repr__(self) -> str:
        size = f"{self.grid.width} x {self.grid.height}"
        return f"Series({len(self.dates)} dates, {len(self.bands)} bands, {size} pixels)"

    @property
    def days(self) -> NDArray[np.int64]:
        """(T,) days since 1970-01-01."""
        return np.array([date.toordinal() - dt.date(1970, 1, 1).toordinal() for date in self.dates], np.int64)

    @property
    def files(self) -> tuple[tuple[str, ...], ...]:
        """(T,) the paths of each date's files."""
        return tuple(tuple(str(raster.path) for raster in frame.rasters) for frame in self._frames)

    def select_bands(self, keys: Sequence[str]) -> Series:
        """The series with these bands (roles, or names), in this order, at all dates that have them.

        Raises:
            SeriesError: ``band_missing``, naming a file and the band, if no date has them all.
        """
        chosen = Series(self.grid, self._all_frames, keys, self._files_left_out)
        chosen._reader = self._reader
        return chosen

    def select_dates(self, dates: Sequence[dt.date]) -> Series:
        """The series at these dates alone; their order doesn't count.

        Raises:
            SeriesError: A date isn't in the series.
        """
        unknown = sorted(set(dates) - set(self.dates))
        if unknown or not dates:
            wanted = unknown[0] if unknown else "no date"
            raise SeriesError(
                "date_missing",
                f"The series has no frame of {wanted}." if unknown else "No date of the series is chosen.",
                f"It has {len(self.dates)} dates from {self.dates[0]} to {self.dates[-1]}.",
            )
        frames = tuple(frame for frame in self._frames if frame.date in set(dates))
        chosen = Series(self.grid, frames, self.keys, self._files_left_out)
        chosen._reader = self._reader
        return chosen

    def read(self, window: Window | None = None) -> Frames:
        """Read all dates of a window; the whole grid if it is left out.

        Args:
            window: Whole rows and columns of the grid. It may reach beyond: there nothing is valid.

        Returns:
            Frames of shape (T, C, H, W), float32, in physical units, and what of them is valid.

        Raises:
            SeriesError: Naming the file, if one can't be read any more.
        """
        window = self.grid.whole if window is None else window
        row, col = int(window.row_off), int(window.col_off)
        height, width = int(window.height), int(window.width)
        shape = (len(self.dates), len(self.bands), height, width)
        values, valid = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        top, left = max(row, 0), max(col, 0)
        bottom, right = min(row + height, self.grid.height), min(col + width, self.grid.width)
        if top < bottom and left < right:
            inner = Window(left, top, right - left, bottom - top)
            rows, cols = slice(top - row, bottom - row), slice(left - col, right - col)
            for t, plan in enumerate(self._plan):
                for raster, places, bands in plan:
                    read, good = self._reader.read(raster, bands, inner)
                    values[t, places, rows, cols], valid[t, places, rows, cols] = read, good
        return Frames(values, valid, self.days)

    def clear_shares(self) -> NDArray[np.float64]:
        """(T,) share of the whole raster's pixels that are valid in all bands.

        Rasters of more than 4096 x 4096 pixels are counted on every k-th row and column.
        """
        if self._clear is None:
            step = math.ceil(math.sqrt(max(1.0, self.grid.width * self.grid.height / _COUNT_PIXELS)))
            clear = np.zeros(len(self.dates), np.int64)
            total = 0
            for window in self.grid.windows(_COUNT_BLOCK * step):
                shape = math.ceil(window.height / step), math.ceil(window.width / step)
                total += shape[0] * shape[1]
                for t, plan in enumerate(self._plan):
                    valid = np.ones(shape, np.bool_)
                    for raster, _, bands in plan:
                        valid &= self._reader.read(raster, bands, window, shape)[1].all(axis=0)
                    clear[t] += np.count_nonzero(valid)
            self._clear = clear / total
        return self._clear

    def summary(self) -> dict[str, Any]:
        """All that was found, as JSON values: what ``timo series --json`` prints. Reads every pixel once."""
        dates, problems = [], list(self.problems)
        for frame, share in zip(self._frames, self.clear_shares()):
            problem = frame.problem
            if share < NEARLY_EMPTY:
                valid = (
                    "none" if share == 0 else "less than 1 %" if share < 0.01 else f"only {share * 100:.0f} %"
                )
                empty = f"{frame.date} is nearly empty: {valid} of its pixels are valid in all bands."
                problem = f"{problem} {empty}" if problem else empty
                problems.append(empty)
            dates.append(
                {
                    "date": frame.date.isoformat(),
                    "files": [str(raster.path) for raster in frame.rasters],
                    "clear": round(float(share), 4),
                    "problem": problem,
                }
            )
        bands = [
            {
                "name": band.name,
                "role": band.role,
                "sensor": band.sensor,
                "scale": band.scale,
                "offset": band.offset,
                "nodata": None if band.nodata is None or math.isnan(band.nodata) else band.nodata,
            }
            for band in self.bands
        ]
        return {
            "dates": dates,
            "bands": bands,
            "grid": self.grid.to_dict(),
            "left_out": [{"path": item.path, "reason": item.reason} for item in self.left_out],
            "problems": problems,
        }


def _reading_plan(frame: Frame, keys: Sequence[str]) -> list[tuple[Raster, list[int], list[Band]]]:
    """Which bands to read from which raster of a date, and their places in the result."""
    plan: dict[int, tuple[Raster, list[int], list[Band]]] = {}
    for place, key in enumerate(keys):
        found = frame.find(key)
        assert found is not None, key  # noqa: S101 - select() left out the dates that lack a band
        raster, band = found
        _, places, bands = plan.setdefault(id(raster), (raster, [], []))
        places.append(place)
        bands.append(band)
    return list(plan.values())
