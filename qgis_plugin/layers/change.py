# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed between two class maps: a map of the changes, and their areas. No Qt; any size.

The maps are read twice, block by block: first for which changes there are, then to write them. A later map of
another grid is seen on the earlier's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from osgeo import gdal

from ..i18n import tr
from .onto import onto
from .raster_blocks import (
    RasterError,
    Tick,
    Window,
    cannot_write,
    create,
    flush,
    hectares,
    opened,
    set_classes,
    step,
    whole,
    windows,
)
from .result_files import Classes, Result

UNCHANGED = 0
ARROW = "→"
UNKNOWN = "#888888"

Pair = Tuple[int, int]


@dataclass(frozen=True)
class Change:
    """One kind of change.

    Attributes:
        before, after: Names of classes.
        pixels: How many.
        hectares: Their area; None where the maps have no place on earth.
        value: In the map of changes.
        color: #rrggbb: mostly the later class's.
    """

    before: str
    after: str
    pixels: int
    hectares: Optional[float]
    value: int
    color: str

    @property
    def name(self) -> str:
        """The change in words."""
        return f"{self.before} {ARROW} {self.after}"


@dataclass(frozen=True)
class Changes:
    """All kinds of change, the largest first, and what stayed as it was.

    Attributes:
        share: How much of the earlier map was compared, 0 to 1; None where both lie on one grid.
    """

    path: Path
    rows: Tuple[Change, ...]
    same_pixels: int
    same_hectares: Optional[float]
    share: Optional[float] = None

    @property
    def hectares(self) -> Optional[float]:
        """What was compared; None where the maps have no place on earth."""
        parts = (self.same_hectares, *(row.hectares for row in self.rows))
        return sum(part or 0.0 for part in parts) if self.same_hectares is not None else None

    @property
    def classes(self) -> Classes:
        """The classes of the map of changes."""
        return tuple((row.value, row.name, row.color) for row in self.rows)


class _Maps(NamedTuple):
    """Two maps on one grid."""

    first: gdal.Dataset
    second: gdal.Dataset
    names: Tuple[str, str]


def compare(before: Result, after: Result, out: Path, tick: Tick = lambda _share: True) -> Changes:
    """Write a map of what changed between two maps: 0 where nothing did, a value for each change.

    Classes are the same if their names are. It lies on the earlier map's grid. Where one of the maps has no
    data, neither has the result.

    Args:
        before: The earlier map, with its classes.
        after: The later one.
        out: The GeoTIFF to write; there is none yet.
        tick: Told how far it is; see ``raster_blocks.Tick``.

    Raises:
        RasterError: The maps do not overlap, or see ``onto``, or a file cannot be read or written.
        StoppedError: ``tick`` said so; nothing is left.
    """
    titles = (before.path.name, after.path.name)
    first, own = opened(before.path), opened(after.path)
    maps = _Maps(first, onto(first, own, *titles), titles)
    counted, share = _count(maps, tick)
    if not counted:
        raise RasterError(
            tr(
                "{one} and {other} have data nowhere in common: pick maps of one place.",
                one=titles[0],
                other=titles[1],
            )
        )
    names = [{value: name for value, name, _ in result.classes} for result in (before, after)]
    colors = [{value: color for value, _, color in result.classes} for result in (before, after)]
    grouped: Dict[Tuple[str, str], List[Pair]] = {}
    for pair in counted:
        kinds = tuple(names[side].get(pair[side], str(pair[side])) for side in (0, 1))
        grouped.setdefault((kinds[0], kinds[1]), []).append(pair)
    areas = {
        key: (sum(counted[pair][0] for pair in pairs), sum(counted[pair][1] for pair in pairs))
        for key, pairs in grouped.items()
    }
    placed = hectares(first) is not None
    changed = sorted((key for key in grouped if key[0] != key[1]), key=lambda key: (-areas[key][0], key))
    rows, values = [], {}
    for value, key in enumerate(changed, 1):
        pair = grouped[key][0]
        color = _mixed(colors[0].get(pair[0], UNKNOWN), colors[1].get(pair[1], UNKNOWN))
        pixels, area = areas[key]
        rows.append(Change(*key, pixels, area if placed else None, value, color))
        values.update(dict.fromkeys(grouped[key], value))
    same = [key for key in grouped if key[0] == key[1]]
    found = Changes(
        out,
        tuple(rows),
        sum(areas[key][0] for key in same),
        sum(areas[key][1] for key in same) if placed else None,
        share if maps.second is not own else None,
    )
    _write(maps, values, found, tags_of(before, after, found), tick)
    return found


def tags_of(before: Result, after: Result, changes: Changes) -> Dict[str, str]:
    """What the map of changes says of itself."""
    table = [[row.value, row.before, row.after, row.pixels, row.hectares] for row in changes.rows]
    return {
        "TIMO_BEFORE": str(before.path),
        "TIMO_AFTER": str(after.path),
        "TIMO_CHANGES": json.dumps(table),
    }


def _count(maps: _Maps, tick: Tick) -> Tuple[Dict[Pair, Tuple[int, float]], float]:
    """Pixels and hectares of each pair of values, and the share of the first map that they are."""
    area = hectares(maps.first) or (lambda _row: 0.0)
    found: Dict[Pair, Tuple[int, float]] = {}
    compared = whole_first = 0
    for window, pairs, (mine, theirs) in _pairs(maps, tick, 0.0):
        valid = mine & theirs
        compared, whole_first = compared + int(valid.sum()), whole_first + int(mine.sum())
        of_rows = np.array([area(window.top + row) for row in range(window.height)])
        weights = np.broadcast_to(of_rows[:, None], valid.shape)[valid]
        kinds, which, counts = np.unique(pairs[valid], return_inverse=True, return_counts=True)
        sums = np.bincount(which, weights, len(kinds))
        for kind, count, total in zip(kinds.tolist(), counts.tolist(), sums.tolist()):
            pair = (kind >> 32, (kind & 0xFFFFFFFF) - (1 << 31))
            pixels, hectare = found.get(pair, (0, 0.0))
            found[pair] = (pixels + count, hectare + total)
    return found, compared / max(whole_first, 1)


def _pairs(
    maps: _Maps, tick: Tick, begin: float
) -> Iterator[Tuple[Window, np.ndarray, Tuple[np.ndarray, np.ndarray]]]:
    """Windows, both values of each pixel as one number (height, width), and where each map has data."""
    bands = [dataset.GetRasterBand(1) for dataset in (maps.first, maps.second)]
    parts = list(windows(maps.first))
    for number, window in enumerate(parts):
        step(tick, begin + 0.5 * number / len(parts))
        read = []
        for band, name in zip(bands, maps.names):
            values, mask = band.ReadAsArray(*window), band.GetMaskBand().ReadAsArray(*window)
            if values is None or mask is None:
                raise RasterError(tr("{name} cannot be read: the file may be damaged.", name=name))
            read.append((values.astype(np.int64), mask > 0))
        (before, mine), (after, theirs) = read
        yield window, (before << 32) + (after + (1 << 31)), (mine, theirs)


def _write(
    maps: _Maps,
    values: Dict[Pair, int],
    changes: Changes,
    tags: Dict[str, str],
    tick: Tick,
) -> None:
    kind, nodata = (gdal.GDT_Byte, 255) if len(changes.rows) < 255 else (gdal.GDT_UInt16, 65535)
    keys = np.array(sorted((a << 32) + b + (1 << 31) for a, b in values), np.int64)
    coded = {(a << 32) + b + (1 << 31): value for (a, b), value in values.items()}
    codes = np.array([coded[key] for key in keys.tolist()], np.int64)
    with whole(changes.path) as part:
        made = create(maps.first, part, kind)
        band = made.GetRasterBand(1)
        try:
            made.SetMetadata(tags)
            band.SetNoDataValue(nodata)
            band.SetDescription("change")
            set_classes(band, ((UNCHANGED, "", "#ffffff"), *changes.classes))  # without a name: not shown
            for window, pairs, (mine, theirs) in _pairs(maps, tick, 0.5):
                block = np.full(pairs.shape, UNCHANGED, np.int64)
                if len(keys):
                    at = np.minimum(np.searchsorted(keys, pairs), len(keys) - 1)
                    block = np.where(keys[at] == pairs, codes[at], UNCHANGED)
                block[~(mine & theirs)] = nodata
                if band.WriteArray(block.astype(np.uint16), window.left, window.top):
                    raise cannot_write(changes.path)
            flush(made, changes.path)
        finally:
            band = made = None  # closed before it is put in place or taken away
        step(tick, 1.0)


def _mixed(before: str, after: str) -> str:
    """The later class's colour with a little of the earlier's: changes to one class can be told apart."""
    pairs = ((int(one[at : at + 2], 16) for one in (before, after)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(0.3 * old + 0.7 * new):02x}" for old, new in pairs)
