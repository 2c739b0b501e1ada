# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that are almost all invalid: counted once over the whole raster, and left out.

A scene is what one sensor took on one date. One with less than a tenth of the valid pixels of the best date
says next to nothing of the ground, and what it says comes from the rims of clouds, where masks miss haze and
shadow. It is compared with the best date, not with the raster, since parcels that are cut out are never valid
around. The count takes one band and the masks, and a million pixels at most: thinned out, or of a large
raster spots that lie evenly, since thinning reads every tile where there are no overviews. It must not cost a
reading of the series.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from timo.errors import SeriesError
from timo.series.catalog import Frame
from timo.series.facts import FILES_AT_ONCE, Raster, source_of
from timo.series.grid import TILE
from timo.series.plans import Codes, Known, read_plan, reading_plan
from timo.series.presets import RADAR
from timo.series.rasters import RasterReader
from timo.series.sources import LeftOut

LIMIT = 0.10  # of the best date's valid pixels
_SAMPLES = 1024 * 1024  # pixels that are counted at most
_BLOCK = 1024
_THIN = 4  # every how many rows and columns at most are counted; of larger rasters, spots
_SPOT = 64  # pixels of a spot's side: it lies in one tile
_DECIBELS = 0.5  # share of negative values from which on radar values are dB
# What programs write where they have no data: no sensor measures these.
_FILLERS = (-9999.0, -32768.0, -99999.0, float(np.finfo(np.float32).min))


@dataclass(frozen=True)
class _Scene:
    """A date's rasters of one sensor: the key of the band that was counted, and what was found in it.

    Attributes:
        rasters: Of the sensor.
        key: Of the band.
        share: Of the grid's pixels, those that are valid.
        radar: What a radar's values are.
        filler: A value that looks like no data among the valid ones.
    """

    rasters: tuple[Raster, ...]
    key: str
    share: float
    radar: str | None
    filler: float | None


def drop_empty(
    frames: Sequence[Frame], keys: Sequence[str], reader: RasterReader, *, keep: bool = False
) -> tuple[tuple[Frame, ...], list[LeftOut]]:
    """The frames without the scenes that are almost all invalid, and those scenes' files.

    A date that has another sensor's scene stays: its lost bands are filled in from other dates.

    Args:
        frames: With the rasters that touch the grid.
        keys: The series' bands; frames that lack some are left as they are.
        reader: Of the series' grid.
        keep: Drop none, but check the masks and tell the radar's values.

    Raises:
        SeriesError: A mask holds numbers that its scheme doesn't know, or a file can't be read.
    """
    whole = [frame for frame in frames if frame.has(keys)]
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        found = list(pool.map(lambda frame: list(_scenes(frame, keys, reader)), whole))
    counted = {id(frame): scenes for frame, scenes in zip(whole, found, strict=True)}
    best: dict[str, float] = {}
    for scenes in counted.values():
        for scene in scenes:
            best[scene.key] = max(best.get(scene.key, 0.0), scene.share)
    if best and not any(best.values()) and _step(reader) == 1:  # every pixel was counted
        first = source_of(whole[0].rasters[0].path)
        raise SeriesError(
            "no_data",
            f"No pixel of the series has data on any date; the first file is {first}.",
            "Check the files, their nodata values and their masks.",
        )
    kept: list[Frame] = []
    left_out: list[LeftOut] = []
    for frame in frames:
        scenes = counted.get(id(frame), [])
        empty = [scene for scene in scenes if not keep and scene.share < LIMIT * best[scene.key]]
        full = [scene for scene in scenes if scene not in empty]
        others = {raster.path.name for scene in full for raster in scene.rasters}
        for scene in empty:
            reason = _reason(frame.date, scene, best[scene.key], sorted(others))
            paths = dict.fromkeys(str(raster.path) for raster in scene.rasters)
            left_out += [LeftOut(path, reason) for path in paths]
        if full or not empty:
            kept.append(_without(frame, empty, full))
    return tuple(kept), left_out


def _without(frame: Frame, empty: Sequence[_Scene], full: Sequence[_Scene]) -> Frame:
    kind = next((scene.radar for scene in full if scene.radar), None)
    fillers = ((scene.rasters[0].path.name, scene.filler) for scene in full if scene.filler)
    frame = replace(frame, radar=kind, filler=next(fillers, None))
    if not empty:
        return frame
    gone = [raster for scene in empty for raster in scene.rasters]
    rasters = tuple(raster for raster in frame.rasters if not any(raster is other for other in gone))
    keys = {band.key for raster in gone for band in raster.bands}
    names = ", ".join(dict.fromkeys(raster.path.name for raster in gone))
    problem = f"{frame.date} is nearly empty in {names}: its bands are filled in from other dates."
    return replace(
        frame,
        rasters=rasters,
        problem=f"{frame.problem} {problem}" if frame.problem else problem,
        missing=frozenset(keys - {band.key for raster in rasters for band in raster.bands}),
    )


def _reason(date: dt.date, scene: _Scene, best: float, others: Sequence[str]) -> str:
    share = "none" if scene.share == 0 else f"only {scene.share * 100:.2g} %"
    reason = (
        f"Its scene of {date} is nearly empty: {share} of the pixels are valid, where the best date has "
        f"{best * 100:.0f} %"
    )
    return f"{reason}; the date stays by {', '.join(others)}." if others else f"{reason}."


def _scenes(frame: Frame, keys: Sequence[str], reader: RasterReader) -> Iterator[_Scene]:
    by_sensor: dict[str, list[Raster]] = {}
    for raster in frame.rasters:
        wanted = [key for key in keys if any(raster is one for one, _ in frame.find_all(key))]
        if wanted:
            radar = all(band.role in RADAR for band in raster.bands)
            by_sensor.setdefault(raster.bands[0].sensor or ("radar" if radar else ""), []).append(raster)
    for rasters in by_sensor.values():
        alone = replace(frame, rasters=tuple(rasters))
        key = next(key for key in keys if alone.find(key))
        yield _Scene(tuple(rasters), key, *_count(alone, key, reader))


def _step(reader: RasterReader) -> int:
    return thinning(reader.grid.width * reader.grid.height, _SAMPLES)


def _count(frame: Frame, key: str, reader: RasterReader) -> tuple[float, str | None, float | None]:
    """What a scene tells of itself in one band: see ``_Scene``."""
    plan = reading_plan(frame, [key])
    exact = not 1 < _step(reader) <= _THIN
    band = frame.bands[key][0][1]
    with np.errstate(over="ignore"):  # as they are read
        raw = np.array(_FILLERS, np.float32) * np.float32(band.scale) + np.float32(band.offset)
    fillers = dict(zip(raw.tolist(), _FILLERS, strict=True))
    filler: float | None = None
    clear = total = 0
    sample: list[NDArray[np.float32]] = []
    for window, shape in _looks(reader):
        values, valid = np.zeros((1, *shape), np.float32), np.zeros((1, *shape), np.bool_)
        known: Known = {}
        read_plan(reader, plan, window, values, valid, shape, known)
        clear += int(np.count_nonzero(valid))
        total += shape[0] * shape[1]
        if band.role in RADAR:
            sample.append(values[valid])
        filler = fillers.get(float(values.min()), filler)
        for codes in known.values():
            _check_codes(codes, exact=exact)
    return clear / total, _radar_values(sample) if sample else None, filler


def _looks(reader: RasterReader) -> Iterator[tuple[Window, tuple[int, int]]]:
    """What is counted: windows, and the (h, w) that each is thinned out to."""
    grid, step = reader.grid, _step(reader)
    if step <= _THIN:
        for window in grid.windows(_BLOCK * step):
            yield window, (math.ceil(window.height / step), math.ceil(window.width / step))
        return
    height, width = min(_SPOT, grid.height), min(_SPOT, grid.width)
    number = math.isqrt(_SAMPLES // _SPOT**2)
    down, across = (
        sorted({int(at) // TILE * TILE for at in np.linspace(0, length - side, number)})
        for length, side in ((grid.height, height), (grid.width, width))
    )
    for row in down:
        for column in across:
            yield Window(column, row, width, height), (height, width)


def thinning(pixels: int, most: int) -> int:
    """Every how many rows and columns are counted, so that it is at most ``most`` pixels."""
    return math.ceil(math.sqrt(max(1.0, pixels / most)))


def _check_codes(codes: Codes, *, exact: bool) -> None:
    mask = codes.mask
    unknown = mask.scheme.unknown(codes.numbers[codes.inside])
    # Overviews that were averaged hold numbers between codes.
    if len(unknown) > (0 if exact else 0.01 * codes.numbers.size):
        known = ", ".join(map(str, sorted(mask.scheme.codes)))
        raise SeriesError(
            "mask_codes",
            f"{mask.raster.path.name} holds the number {unknown[0]}, which is none of {mask.scheme.title}'s "
            f"({known}).",
            "Write the mask in these codes, or take it out of the folder.",
        )


def _radar_values(sample: Sequence[NDArray[np.float32]]) -> str | None:
    """Decibels are mostly negative, linear backscatter is between 0 and some tens; others are numbers."""
    values = np.concatenate(sample)
    if not values.size:
        return None
    if np.mean(values < 0) >= _DECIBELS:
        return "dB" if np.quantile(values, 0.1) > -60 else "numbers"  # such as dB times 100
    return "linear" if values.min() >= 0 and np.quantile(values, 0.9) < 10 else "numbers"
