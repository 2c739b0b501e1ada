# SPDX-License-Identifier: GPL-3.0-or-later
"""How a date is read: which bands from which files, tiles laid side by side, masks applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from timo.series.bands import Band
from timo.series.catalog import Frame
from timo.series.facts import Mask, Raster
from timo.series.rasters import RasterReader


@dataclass(frozen=True)
class Codes:
    """A mask in a window, all (h, w): its numbers, where it has any, where they let the ground be seen."""

    mask: Mask
    numbers: NDArray[Any]
    inside: NDArray[np.bool_]
    clear: NDArray[np.bool_]


Known = dict[tuple[str, int], Codes]


@dataclass(frozen=True)
class Step:
    """Bands to read from a raster, and their places among the series' bands."""

    raster: Raster
    places: tuple[int, ...]
    bands: tuple[Band, ...]


Plan = tuple[Step, ...]


def reading_plan(frame: Frame, keys: Sequence[str]) -> Plan:
    """The steps that read a date; bands that it has without pixels have none."""
    steps: dict[int, tuple[Raster, list[int], list[Band]]] = {}
    for place, key in enumerate(keys):
        for raster, band in frame.find_all(key):
            _, places, bands = steps.setdefault(id(raster), (raster, [], []))
            places.append(place)
            bands.append(band)
    return tuple(Step(raster, tuple(places), tuple(bands)) for raster, places, bands in steps.values())


def read_plan(
    reader: RasterReader,
    plan: Plan,
    window: Window,
    values: NDArray[np.float32],
    valid: NDArray[np.bool_],
    shape: tuple[int, int] | None = None,
    known: Known | None = None,
) -> None:
    """Read a date's pixels of a window that lies in the grid.

    Where tiles overlap, the first that is valid counts.

    Args:
        reader: Of the series' grid.
        plan: Of ``reading_plan``.
        window: Rows and columns of the grid.
        values: (C, h, w) that the values go into, physical units; 0 beforehand and where invalid.
        valid: (C, h, w) that their validity goes into; False beforehand.
        shape: (h, w) to thin the window out to, by nearest neighbour.
        known: Gets what the date's masks say.

    Raises:
        SeriesError: A file can't be read any more.
    """
    known = {} if known is None else known
    written: set[int] = set()
    for step in plan:
        clear = clear_by(reader, step.raster.masks, window, shape, known)
        if clear is not None and not clear.any():
            continue
        beneath = not written.isdisjoint(step.places)
        if beneath:
            read, good = np.zeros_like(values), np.zeros_like(valid)
        else:
            read, good = values, valid
        of_bands = [read[place] for place in step.places], [good[place] for place in step.places]
        reader.read(step.raster, step.bands, window, *of_bands, shape)
        for place in step.places:
            if clear is not None:
                read[place] *= clear
                good[place] &= clear
            if beneath:
                fresh = good[place] & ~valid[place]
                np.copyto(values[place], read[place], where=fresh)
                valid[place] |= fresh
        written.update(step.places)


def clear_by(
    reader: RasterReader,
    masks: Sequence[Mask],
    window: Window,
    shape: tuple[int, int] | None = None,
    known: Known | None = None,
) -> NDArray[np.bool_] | None:
    """(h, w) where all kinds of mask let the ground be seen; None if there are none.

    Of several masks of one kind, which are tiles, the first that reaches a pixel decides on it.
    """
    if not masks:
        return None
    known = {} if known is None else known
    size = shape or (int(window.height), int(window.width))
    clear = np.ones(size, np.bool_)
    for title in dict.fromkeys(mask.scheme.title for mask in masks):
        open_yet = np.ones(size, np.bool_)
        seen = np.zeros(size, np.bool_)
        for mask in masks:
            if mask.scheme.title != title:
                continue
            key = (mask.raster.source, mask.raster.bands[0].index)
            if key not in known:
                numbers, inside = reader.read_codes(mask, window, shape)
                known[key] = Codes(mask, numbers, inside, inside & mask.scheme.is_clear(numbers))
            codes = known[key]
            seen |= codes.clear & open_yet
            open_yet &= ~codes.inside
        if any(mask.scheme.marks for mask in masks if mask.scheme.title == title):
            seen |= open_yet
        clear &= seen
    return clear
