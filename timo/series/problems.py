# SPDX-License-Identifier: GPL-3.0-or-later
"""What an analyst should look at before the values of a series are trusted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from timo.series.bands import Band
from timo.series.catalog import Frame
from timo.series.facts import Raster
from timo.series.presets import OFFSET_SINCE, RADAR


def problems_of(frames: Sequence[Frame], keys: Sequence[str]) -> tuple[str, ...]:
    """Each once: doubts about dates, how files were read, values, scaling, offsets, radar, masks."""
    found: dict[str, None] = dict.fromkeys(frame.problem for frame in frames if frame.problem)
    found |= dict.fromkeys(note for frame in frames for note in frame.notes)
    for check in (_future, _fillers, _scaling, _offset, _radar, _masks):
        found |= dict.fromkeys(check(frames, keys))
    return tuple(found)


def _bands(frames: Sequence[Frame], keys: Sequence[str]) -> Iterator[tuple[Frame, str, Raster, Band]]:
    for frame in frames:
        for key in keys:
            for raster, band in frame.find_all(key):
                yield frame, key, raster, band


def _future(frames: Sequence[Frame], _keys: Sequence[str]) -> Iterator[str]:
    """A date that is yet to come was misread or mistyped; zones of time differ by less than two days."""
    late = [frame for frame in frames if frame.date > dt.date.today() + dt.timedelta(days=1)]
    if late:
        raster = late[0].rasters[0]
        name = f"{raster.path.name}{_and_more(len(late))}"
        yield f"{name} is of {late[0].date}, which is yet to come: check its date."


def _fillers(frames: Sequence[Frame], _keys: Sequence[str]) -> Iterator[str]:
    """Numbers that programs write where they have no data, in files whose nodata value doesn't say so."""
    found = [frame for frame in frames if frame.filler]
    if found:
        file, number = found[0].filler or ("", 0.0)
        yield (
            f"{file}{_and_more(len(found))} holds the value {number:g}, which looks like no data but counts "
            "as a measurement: set it as the file's nodata value."
        )


def _scaling(frames: Sequence[Frame], keys: Sequence[str]) -> Iterator[str]:
    """Values of some dates are physical, those of others the file's numbers."""
    first: dict[str, tuple[Raster, Band]] = {}
    for _, key, raster, band in _bands(frames, keys):
        before, other = first.setdefault(key, (raster, band))
        scaled = [(one.scale, one.offset) != (1.0, 0.0) for one in (other, band)]
        if scaled[0] != scaled[1]:
            yield (
                f"Band '{key}' has scale {other.scale:g} and offset {other.offset:g} in {before.path.name} "
                f"but {band.scale:g} and {band.offset:g} in {raster.path.name}: check that their values are "
                "comparable."
            )
            return


def _offset(frames: Sequence[Frame], keys: Sequence[str]) -> Iterator[str]:
    doubtful = {
        frame.date: raster
        for frame, _, raster, band in reversed(list(_bands(frames, keys)))
        if band.doubtful and frame.date >= OFFSET_SINCE
    }
    if doubtful:
        raster = doubtful[min(doubtful)]
        yield (
            f"{raster.path.name}{_and_more(len(doubtful))} may hold Sentinel-2's offset of 1000, which ESA "
            f"adds since {OFFSET_SINCE}: no product name or metadata tells, and none was taken off. If dark "
            "water is near 0.1, set the bands' offset to -0.1 and scale to 0.0001 in the files."
        )


def _radar(frames: Sequence[Frame], keys: Sequence[str]) -> Iterator[str]:
    kinds: dict[str, str] = {}
    for frame, _, raster, band in _bands(frames, keys):
        if band.role in RADAR and frame.radar:
            kinds.setdefault(frame.radar, raster.path.name)
    if len(kinds) > 1:
        (one, first), (other, second) = list(kinds.items())[:2]
        yield (
            f"The radar values are {_radar_words(one)} in {first} but {_radar_words(other)} in {second}: "
            "convert one of them."
        )
    elif "numbers" in kinds:
        yield (
            f"The radar values of {kinds['numbers']} are neither dB nor linear backscatter, but numbers "
            "whose scale isn't told: they are used as they are."
        )


def _radar_words(kind: str) -> str:
    return {"dB": "dB", "linear": "linear backscatter"}.get(kind, "numbers of no known scale")


def _masks(frames: Sequence[Frame], keys: Sequence[str]) -> Iterator[str]:
    """Some optical scenes have a mask, and others none."""
    bare: dict[dt.date, Raster] = {}
    masked: list[str] = []
    for frame, _, raster, band in _bands(frames, keys):
        if band.role not in RADAR and band.sensor != "sentinel-1":
            if raster.masks:
                masked.append(raster.masks[0].scheme.title)
            else:
                bare.setdefault(frame.date, raster)
    if bare and masked:
        raster = bare[min(bare)]
        yield (
            f"{raster.path.name}{_and_more(len(bare))} has no mask, while other dates have {masked[0]}: its "
            "clouds are not masked."
        )


def _and_more(count: int) -> str:
    return f" (one of {count} dates)" if count > 1 else ""
