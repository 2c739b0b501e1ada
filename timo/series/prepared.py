# SPDX-License-Identifier: GPL-3.0-or-later
"""A series as a model sees it: gaps filled in time, bands standardised."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from timo.series.frames import fill_in_time
from timo.series.grid import TILE
from timo.series.series import Series

# A series up to this size is read once and kept; larger ones are read window by window.
RESIDENT_BYTES = 2 << 30
# So much is filled at once: that takes several times the memory of what it fills.
STRIP_BYTES = 128 << 20
THREAD_STRIP_BYTES = 32 << 20  # of strips that threads share
SAMPLE_WINDOWS = 64
SAMPLE_SIDE = 256


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of each band, (C,) float64, over all dates' valid pixels."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def statistics(places: Sequence[Series], seed: int = 0) -> Statistics:
    """Band statistics of the series of all places, of the same bands.

    Of all their pixels; of a large one, windows drawn at random. A band that is the same everywhere gets a
    standard deviation of 1.
    """
    sums = np.zeros((3, len(places[0].bands)))
    for series in places:
        for window in _sample(series, seed):
            frames = series.read(window)
            values = frames.values.astype(np.float64)
            axes = (0, 2, 3)
            sums += np.stack(
                [
                    frames.band_valid.sum(axes),
                    values.sum(axes, where=frames.band_valid),
                    np.square(values).sum(axes, where=frames.band_valid),
                ]
            )
    count = np.maximum(sums[0], 1)
    mean = sums[1] / count
    std = np.sqrt(np.maximum(sums[2] / count - mean**2, 0))
    # Below this the spread is rounding, not signal.
    return Statistics(mean, np.where(std > 1e-6 * np.maximum(np.abs(mean), 1e-6), std, 1.0))


def differ_in_scale(places: Sequence[Series]) -> bool:
    """Whether the numbers of one place say little about another's.

    So it is where they have no unit: pictures are stretched each by itself, and the same ground has other
    numbers in each.
    """
    return len(places) > 1 and all(band.unit is None for series in places for band in series.bands)


def _sample(series: Series, seed: int) -> Iterable[Window]:
    if _bytes(series, series.grid.height, series.grid.width) <= RESIDENT_BYTES:
        return _strips(series, series.grid.whole)
    random = np.random.default_rng(seed)
    rows = random.integers(0, max(series.grid.height - SAMPLE_SIDE, 1), SAMPLE_WINDOWS)
    columns = random.integers(0, max(series.grid.width - SAMPLE_SIDE, 1), SAMPLE_WINDOWS)
    return [Window(int(c), int(r), SAMPLE_SIDE, SAMPLE_SIDE) for r, c in zip(rows, columns, strict=True)]


def _strips(series: Series, window: Window, most: int = STRIP_BYTES) -> Iterator[Window]:
    """Strips of whole rows that tile a window, of about ``most`` bytes."""
    width, top, stop = int(window.width), int(window.row_off), int(window.row_off + window.height)
    rows = max(1, most // _bytes(series, 1, width))
    rows = rows // TILE * TILE or rows
    while top < stop:
        end = min((top // rows + 1) * rows, stop)
        yield Window(window.col_off, top, width, end - top)
        top = end


def _bytes(series: Series, height: int, width: int) -> int:
    return 4 * len(series.dates) * len(series.bands) * height * width


class PreparedSeries:
    """Reads windows of a series ready for a model.

    Args:
        series: The series, its bands in the model's order.
        statistics: Of the model's training.
        keep: Hold the whole series in memory if it is not too large: for windows read again and again.
    """

    def __init__(self, series: Series, statistics: Statistics, *, keep: bool) -> None:
        self.series = series
        self._mean = statistics.mean.astype(np.float32)
        self._std = statistics.std.astype(np.float32)
        self._whole: tuple[NDArray[np.float32], NDArray[np.bool_]] | None = None
        if keep and _bytes(series, series.grid.height, series.grid.width) <= RESIDENT_BYTES:
            self._whole = self._prepare(series.grid.whole)

    def read(
        self, row: int, column: int, height: int, width: int, threads: Executor | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """A window of the series, which may reach beyond the grid: there it is mirrored.

        Args:
            row: The window's first, in pixels; negative above the grid.
            column: Likewise.
            height: The window's.
            width: The window's.
            threads: Read dates, and fill strips, side by side.

        Returns:
            Frames (T, C, height, width) float32, standardised, without gaps (0, the mean, where a band is
            never valid); and (height, width) bool, where at least one date has all bands valid.
        """
        grid = self.series.grid
        top, bottom = max(row, 0), min(row + height, grid.height)
        left, right = max(column, 0), min(column + width, grid.width)
        if self._whole is not None:
            values = self._whole[0][..., top:bottom, left:right]
            seen = self._whole[1][top:bottom, left:right]
        else:
            values, seen = self._prepare(Window(left, top, right - left, bottom - top), threads)
        beyond = ((top - row, row + height - bottom), (left - column, column + width - right))
        if not any(map(any, beyond)):
            return values, seen
        return np.pad(values, ((0, 0), (0, 0), *beyond), mode="reflect"), np.pad(seen, beyond)

    def seen(self, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(H, W) where at least one date has all bands valid, of the pixels that are wanted.

        Args:
            wanted: (H, W). Of a series that isn't kept in memory, only the squares that hold some are read.
        """
        if self._whole is not None:
            return self._whole[1] & wanted
        found = np.zeros_like(wanted)
        height, width = wanted.shape
        for top in range(0, height, SAMPLE_SIDE):
            for left in range(0, width, SAMPLE_SIDE):
                here = slice(top, top + SAMPLE_SIDE), slice(left, left + SAMPLE_SIDE)
                if wanted[here].any():
                    size = min(SAMPLE_SIDE, width - left), min(SAMPLE_SIDE, height - top)
                    frames = self.series.read(Window(left, top, *size))
                    found[here] = frames.valid.any(axis=0) & wanted[here]
        return found

    def _prepare(
        self, window: Window, threads: Executor | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        strips = 1 if threads is None else math.ceil((os.cpu_count() or 1) / len(self.series.dates))
        frames = self.series.read(window, threads, strips)
        values, valid = frames.values, frames.band_valid
        seen = np.ones(values.shape[-2:], np.bool_)

        def prepare(strip: Window) -> None:
            top = int(strip.row_off - window.row_off)
            rows = slice(top, top + int(strip.height))
            here, known = values[..., rows, :], valid[..., rows, :]
            whole = bool(known.all())
            if not whole:  # most of the work is filling
                seen[rows] = known.all(axis=1).any(axis=0)
                here[...] = fill_in_time(here, known, frames.days, np.nan)
            for date in here:  # band by band, each pass finds the last one's numbers in the cache
                for band, mean, std in zip(date, self._mean, self._std, strict=True):
                    np.subtract(band, mean, out=band)
                    np.divide(band, std, out=band)
            if not whole:
                np.nan_to_num(here, copy=False, nan=0.0)

        each: Callable[..., Iterable[None]] = map if threads is None else threads.map
        most = STRIP_BYTES if threads is None else THREAD_STRIP_BYTES
        for _ in each(prepare, _strips(self.series, window, most)):
            pass
        return values, seen
