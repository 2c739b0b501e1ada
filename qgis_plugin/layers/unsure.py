# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a model is least sure: places spread over the map, to be labelled next. No Qt; any size of raster.

The raster is cut into cells; of each cell the least sure pixel is a candidate, or that of each class. Only as
many candidates are kept as can matter: a place that is taken rules out those nearer than the distance, which
lie in a known number of cells.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from osgeo import gdal

from .onto import onto
from .raster_blocks import BLOCK, Tick, Window, opened, step, windows
from .result_files import SCALE

NO_CLASS = -1


@dataclass(frozen=True)
class Place:
    """A pixel to be labelled.

    Attributes:
        rank: From 1, in the order to label them.
        x, y: Its centre in the raster's coordinates.
        confidence: Probability of the mapped class, 0 to 1.
        value: The class that is mapped there; None where that is not known.
    """

    rank: int
    x: float
    y: float
    confidence: float
    value: Optional[int]


class _Candidate(NamedTuple):
    confidence: float
    tie: int
    row: int
    column: int
    value: int


def most_unsure(
    path: Path,
    count: int,
    distance: int,
    class_map: Optional[Path] = None,
    each_class: bool = False,
    tick: Tick = lambda _share: True,
) -> List[Place]:
    """The least sure places of a map, no two nearer to each other than a distance.

    Args:
        path: Confidence (float, 0 to 1, in the first band), or probabilities (bytes, a band a class).
        count: How many at most.
        distance: In pixels, from centre to centre.
        class_map: The classes; of another grid, see ``onto``. Where it has no data there is no place.
        each_class: Take the classes in turn, so that rare ones have their share.
        tick: Told how far it is; see ``raster_blocks.Tick``.

    Returns:
        At most ``count`` places, fewer where the map has no room for them. Equal ones are taken evenly from
        the whole map, the same at each call.

    Raises:
        RasterError: A file cannot be read, or the map cannot be brought onto its grid.
        StoppedError: ``tick`` said so.
    """
    dataset, distance = opened(path), max(1, distance)
    own = opened(class_map) if class_map is not None else None  # kept open: the other one reads it
    classes = onto(dataset, own, path.name, Path(class_map).name) if own is not None else None
    cell = min(distance, BLOCK)
    # The number of cells that a circle of the distance, around any pixel of a cell, can touch.
    keep = max(1, count) * (2 * -(-distance // cell) + 1) ** 2
    pools: Dict[int, List[Tuple[float, int, int, int, int]]] = {}
    parts = list(windows(dataset, cell * max(1, BLOCK // cell)))
    for number, window in enumerate(parts):
        step(tick, number / len(parts))
        confidence, values = _read(dataset, classes, window)
        for group in np.unique(values[np.isfinite(confidence)]) if each_class else (NO_CLASS,):
            masked = np.where(values == group, confidence, np.inf) if each_class else confidence
            pool = pools.setdefault(int(group), [])
            for one in _least(masked, values, window, cell):
                entry = (-one.confidence, -one.tie, one.row, one.column, one.value)
                if len(pool) < keep:
                    heapq.heappush(pool, entry)
                else:
                    heapq.heappushpop(pool, entry)
    step(tick, 1.0)
    queues = [
        sorted(_Candidate(-confidence, -tie, *rest) for confidence, tie, *rest in pools[group])
        for group in sorted(pools)
    ]
    left, across, skew, top, tilt, down = dataset.GetGeoTransform()
    return [
        Place(
            rank,
            left + (one.column + 0.5) * across + (one.row + 0.5) * skew,
            top + (one.column + 0.5) * tilt + (one.row + 0.5) * down,
            one.confidence,
            None if one.value == NO_CLASS else one.value,
        )
        for rank, one in enumerate(_spread(queues, count, distance), 1)
    ]


def _read(
    dataset: gdal.Dataset, classes: Optional[gdal.Dataset], window: Window
) -> Tuple[np.ndarray, np.ndarray]:
    """Confidence (height, width), infinite where there is no data, and classes, ``NO_CLASS`` if not known."""
    band = dataset.GetRasterBand(1)
    if band.DataType == gdal.GDT_Byte:
        stack = dataset.ReadAsArray(*window).reshape(-1, window.height, window.width)
        confidence = np.where((stack == 255).any(0), np.inf, stack.max(0) / SCALE)
    else:
        confidence = band.ReadAsArray(*window).astype(np.float64)
        missing = ~np.isfinite(confidence)
        if band.GetNoDataValue() is not None:
            missing |= confidence == band.GetNoDataValue()
        confidence[missing] = np.inf
    values = np.full(confidence.shape, NO_CLASS, np.int64)
    if classes is not None:
        values[:] = classes.GetRasterBand(1).ReadAsArray(*window)
        confidence[classes.GetRasterBand(1).GetMaskBand().ReadAsArray(*window) == 0] = np.inf
    return confidence, values


def _least(confidence: np.ndarray, values: np.ndarray, window: Window, cell: int) -> Iterable[_Candidate]:
    """The least sure pixel of each cell that has data."""
    rows, columns = -(-window.height // cell), -(-window.width // cell)
    padded = np.full((rows * cell, columns * cell), np.inf)
    padded[: window.height, : window.width] = confidence
    cells = padded.reshape(rows, cell, columns, cell).swapaxes(1, 2).reshape(rows * columns, cell * cell)
    best = cells.argmin(1)
    for number in np.flatnonzero(np.isfinite(cells[np.arange(len(cells)), best])):
        row = int(number // columns * cell + best[number] // cell)
        column = int(number % columns * cell + best[number] % cell)
        at_row, at_column = window.top + row, window.left + column
        yield _Candidate(
            float(confidence[row, column]),
            _tie(at_row, at_column),
            at_row,
            at_column,
            int(values[row, column]),
        )


def _tie(row: int, column: int) -> int:
    """A number that looks random and is the same for the same pixel: it spreads equal ones over the map."""
    mixed = (row * 0x9E3779B1 ^ column * 0x85EBCA77) & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 15) * 0x2C1B3C6D & 0xFFFFFFFF
    return mixed ^ mixed >> 13


def _spread(queues: Sequence[List[_Candidate]], count: int, distance: int) -> List[_Candidate]:
    """The best of each queue in turn that keep their distance from all that are taken."""
    taken: List[_Candidate] = []
    near: Dict[Tuple[int, int], List[_Candidate]] = {}
    waiting = [iter(queue) for queue in queues]
    while waiting and len(taken) < count:
        for queue in list(waiting):
            for one in queue:
                at = (one.row // distance, one.column // distance)
                around = ((at[0] + down, at[1] + across) for down in (-1, 0, 1) for across in (-1, 0, 1))
                if all(
                    (one.row - other.row) ** 2 + (one.column - other.column) ** 2 >= distance**2
                    for square in around
                    for other in near.get(square, ())
                ):
                    taken.append(one)
                    near.setdefault(at, []).append(one)
                    break
            else:
                waiting.remove(queue)
            if len(taken) >= count:
                break
    return taken
