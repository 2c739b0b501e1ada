# SPDX-License-Identifier: GPL-3.0-or-later
"""Dated rasters of one place, seen on one grid."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from timo.errors import SeriesError
from timo.series.catalog import (
    Frame,
    build_frames,
    check_georeference,
    common_bands,
    reference_grid,
    select,
    touches,
)
from timo.series.census import drop_empty, thinning
from timo.series.facts import Raster, source_of
from timo.series.frames import Frames, fill_in_time
from timo.series.grid import TILE, Grid
from timo.series.plans import read_plan, reading_plan
from timo.series.problems import problems_of
from timo.series.rasters import RasterReader
from timo.series.sources import DatedFile, LeftOut, find_files
from timo.series.stac_search import read_search, search_file
from timo.series.summary import summarise
from timo.series.words import counted

__all__ = ["Frames", "LeftOut", "Series", "fill_in_time", "open_series"]

_COUNT_PIXELS = 4096 * 4096  # larger rasters are counted on every k-th row and column
_COUNT_BLOCK = 1024

Sources = str | os.PathLike[str] | Sequence[str | os.PathLike[str] | DatedFile]


def open_series(sources: Sources, *, keep_empty: bool = False) -> Series:
    """Open dated rasters as one series.

    Args:
        sources: One or several of: a folder, a glob, files, http addresses, or a CSV with columns path,date;
            see ``timo.series.sources.find_files``; or the JSON file of a STAC search, such as ``timo stac``
            writes. Files of one date are bands of one frame, or tiles beside each other; layers such as SCL
            or Fmask are masks. Files without a date, and scenes that are almost all invalid, are left out
            and named.
        keep_empty: Leave such scenes in: for a model that tells dates by their order.

    Returns:
        The series on the grid of its finest raster, with the bands that keep the most dates.

    Raises:
        SeriesError: Naming the file at fault, and what to do.
    """
    if search := search_file(sources):
        from timo.series.stac_series import open_search

        return open_search(read_search(search), keep_empty=keep_empty)
    files, left_out = find_files(sources)
    frames, unused = build_frames(files)
    left_out += unused
    check_georeference(frames)
    keys = common_bands(frames)
    grid = reference_grid([frame for frame in frames if frame.has(keys)])
    inside: list[Frame] = []
    for frame in frames:
        near = [raster for raster in frame.rasters if touches(grid, raster.grid)]
        far = [raster for raster in frame.rasters if not any(raster is one for one in near)]
        left_out += [LeftOut(_name(raster), "It does not touch the grid of the series.") for raster in far]
        if near:
            inside.append(Frame(frame.date, tuple(near), frame.problem, frame.notes))
    keys = common_bands(inside)
    reader = RasterReader(grid)
    try:
        full, empty = drop_empty(inside, keys, reader, keep=keep_empty)
    finally:
        reader.close()  # an opened series locks no file until it is read
    return Series(grid, full, keys, tuple(left_out + empty))


def _name(raster: Raster) -> str:
    return source_of(raster.path)


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
        self.frames, self.bands, lacking = select(frames, keys)
        self.keys = tuple(keys)
        self.dates: tuple[dt.date, ...] = tuple(frame.date for frame in self.frames)
        self.left_out = left_out + lacking
        self.problems: tuple[str, ...] = problems_of(self.frames, self.keys)
        self._plan = [reading_plan(frame, self.keys) for frame in self.frames]
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
        """(T,) the paths of each date's files; the masks' after those of the bands."""
        found = []
        for frame in self.frames:
            masks = [mask.raster for raster in frame.rasters for mask in raster.masks]
            found.append(tuple(dict.fromkeys(_name(raster) for raster in (*frame.rasters, *masks))))
        return tuple(found)

    def select_bands(self, keys: Sequence[str]) -> Series:
        """The series with these bands (roles, or names), in this order, at all dates that have them.

        Raises:
            SeriesError: ``band_missing``, naming a file and the band, if no date has them all.
        """
        return self._with(self._all_frames, keys)

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
                f"It has {counted(len(self.dates), 'date', 'dates')}, {self.dates[0]} to {self.dates[-1]}.",
            )
        wanted_dates = set(dates)
        chosen = self._with(tuple(frame for frame in self.frames if frame.date in wanted_dates), self.keys)
        if self._clear is not None:
            chosen._clear = self._clear[[date in wanted_dates for date in self.dates]]
        return chosen

    def _with(self, frames: tuple[Frame, ...], keys: Sequence[str]) -> Series:
        chosen = Series(self.grid, frames, keys, self._files_left_out)
        chosen._reader = self._reader
        return chosen

    def read(self, window: Window | None = None, threads: Executor | None = None, strips: int = 1) -> Frames:
        """Read all dates of a window; the whole grid if it is left out.

        Args:
            window: Whole rows and columns of the grid. It may reach beyond: there nothing is valid.
            threads: Read dates side by side.
            strips: Read each date in so many strips, where there are more threads than dates.

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
            across = slice(left - col, right - col)

            def read_strip(task: tuple[int, slice]) -> None:
                date, rows = task
                into = (slice(None), slice(rows.start - row, rows.stop - row), across)
                inner = Window(left, rows.start, right - left, rows.stop - rows.start)
                read_plan(self._reader, self._plan[date], inner, values[date][into], valid[date][into])

            each: Callable[..., Iterable[None]] = map if threads is None else threads.map
            for _ in each(read_strip, product(range(len(self._plan)), _strips(top, bottom, strips))):
                pass
        return Frames(values, valid, self.days)

    def clear_shares(self) -> NDArray[np.float64]:
        """(T,) share of the whole raster's pixels that are valid in all bands.

        Rasters of more than 4096 x 4096 pixels are counted on every k-th row and column.
        """
        if self._clear is None:
            step = thinning(self.grid.width * self.grid.height, _COUNT_PIXELS)
            clear = np.zeros(len(self.dates), np.int64)
            total = 0
            for window in self.grid.windows(_COUNT_BLOCK * step):
                size = math.ceil(window.height / step), math.ceil(window.width / step)
                total += size[0] * size[1]
                for t, plan in enumerate(self._plan):
                    values = np.zeros((len(self.bands), *size), np.float32)
                    valid = np.zeros(values.shape, np.bool_)
                    read_plan(self._reader, plan, window, values, valid, size)
                    clear[t] += np.count_nonzero(valid.all(axis=0))
            self._clear = clear / total
        return self._clear

    def summary(self) -> dict[str, Any]:
        """All that was found, as JSON values: what ``timo series --json`` prints. Reads every pixel once."""
        return summarise(self)


def _strips(top: int, bottom: int, number: int) -> list[slice]:
    """Rows ``top`` to ``bottom`` in about so many strips of whole tiles."""
    rows = math.ceil((bottom - top) / number / TILE) * TILE if number > 1 else bottom - top
    first = top // TILE * TILE if number > 1 else top
    return [slice(max(at, top), min(at + rows, bottom)) for at in range(first, bottom, rows)]
