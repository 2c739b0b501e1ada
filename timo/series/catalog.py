# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rasters, dates and bands make one series."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import rasterio.warp
from rasterio.errors import RasterioError

from timo.errors import SeriesError
from timo.series.bands import Band
from timo.series.facts import Raster, read_ahead
from timo.series.grid import Grid, is_somewhere
from timo.series.layers import Layers, attach_masks, read_layers
from timo.series.presets import RADAR
from timo.series.sources import DatedFile, LeftOut
from timo.series.stacks import HOW
from timo.series.tiles import check_bands, spread, tiles_beside

_SAME_SIZE = 1.001  # pixels whose sides differ by less are equally fine


@dataclass(frozen=True)
class Frame:
    """The rasters of one date.

    Attributes:
        date: Of the rasters.
        rasters: Bands beside each other, or tiles that have the same.
        problem: What is doubtful about the date.
        notes: What an analyst should know of how the files were read.
        missing: Keys of bands that the date has, but without pixels that are worth reading.
        radar: How the radar's values are told: dB, linear or numbers; None without radar, or before counting.
        filler: A file's name and a value in it that looks like no data, though nothing says so.
    """

    date: dt.date
    rasters: tuple[Raster, ...]
    problem: str | None = None
    notes: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()
    radar: str | None = None
    filler: tuple[str, float] | None = None

    @cached_property
    def bands(self) -> dict[str, tuple[tuple[Raster, Band], ...]]:
        """Key of each band to where it is: one raster, or several tiles."""
        found: dict[str, list[tuple[Raster, Band]]] = {}
        for raster in self.rasters:
            for band in raster.bands:
                found.setdefault(band.key, []).append((raster, band))
        return {key: tuple(entries) for key, entries in found.items()}

    def find_all(self, key: str) -> tuple[tuple[Raster, Band], ...]:
        """The band of that key, or else of that name, in each raster that has it."""
        found = self.bands.get(key)
        if found:
            return found
        return next((entries for entries in self.bands.values() if entries[0][1].name == key), ())

    def find(self, key: str) -> tuple[Raster, Band] | None:
        """The first raster with the band of that key, or else of that name."""
        found = self.find_all(key)
        return found[0] if found else None

    def has(self, keys: Sequence[str]) -> bool:
        """Whether all these bands are there, and at least one has pixels."""
        return all(self.find(key) or key in self.missing for key in keys) and any(map(self.find, keys))

    @property
    def masks(self) -> tuple[str, ...]:
        """Titles of the masks of this date's rasters."""
        titles = (mask.scheme.title for raster in self.rasters for mask in raster.masks)
        return tuple(dict.fromkeys(titles))


def build_frames(files: Sequence[DatedFile]) -> tuple[tuple[Frame, ...], list[LeftOut]]:
    """Open the files and join those of one date.

    Returns:
        The frames by date, and the files that are no part of them.

    Raises:
        SeriesError: Naming the file that can't be read, or two files of one date that have the same band of
            the same ground.
    """
    by_date: dict[dt.date, list[Layers]] = {}
    left_out = []
    read_ahead((file.path, file.variable) for file in files)
    for file in files:
        layers = read_layers(file)
        if layers.unused:
            left_out.append(LeftOut(str(file.path), layers.unused))
            continue
        if layers.raster is not None:
            _check_stack(layers.raster)
        by_date.setdefault(file.date, []).append(layers)
    frames = []
    for date in sorted(by_date):
        pairs = attach_masks(by_date[date])
        if not pairs:
            for one in by_date[date]:
                reason = f"It is a mask, but there is no raster of {date}."
                left_out.append(LeftOut(str(one.file.path), reason))
            continue
        rasters = tuple(raster for raster, _ in pairs)
        check_bands(date, rasters)
        problems = dict.fromkeys(one.file.problem for one in by_date[date] if one.file.problem)
        notes = dict.fromkeys(note for one in by_date[date] for note in one.notes)
        frames.append(Frame(date, rasters, " ".join(problems) or None, tuple(notes)))
    if not frames:
        raise SeriesError(
            "no_bands",
            f"None of the dated files holds bands to work with; the first of {len(files)} is {files[0].path}."
            if len(files) > 1
            else f"The only dated file, {files[0].path}, holds no bands to work with.",
            "Name the rasters of measurements themselves.",
        )
    return tuple(frames), left_out


def _check_stack(raster: Raster) -> None:
    names = [band.name for band in raster.bands]
    most = max(names, key=names.count)
    if names.count(most) > 1:
        raise SeriesError(
            "stacked_dates",
            f"{raster.path.name} has {names.count(most)} bands named '{most}': it seems a stack of dates.",
            HOW,
        )


def common_bands(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Keys of the bands that keep the most: the set that maximises dates times bands.

    Series may hold dates with fewer bands, such as a radar scene on a day without an optical one. The keys
    stand in the order of the first date that has exactly this set.
    """
    best: tuple[int, tuple[str, ...]] = (0, ())
    tried: set[frozenset[str]] = set()
    for frame in frames:
        keys = frozenset(frame.bands)
        if keys in tried:
            continue
        tried.add(keys)
        kept = sum(keys <= frozenset(other.bands) for other in frames) * len(keys)
        if kept > best[0]:
            best = (kept, tuple(_optical_first(frame)))
    return best[1]


def _optical_first(frame: Frame) -> list[str]:
    """Keys by file, larger files first: where files share a date, order must not hang on their names."""
    rasters = sorted(frame.rasters, key=lambda raster: -len(raster.bands))
    return list(dict.fromkeys(band.key for raster in rasters for band in raster.bands))


def reference_grid(frames: Sequence[Frame]) -> Grid:
    """The grid of the first among the finest rasters; where dates have tiles, its pixels over all of them.

    Raises:
        SeriesError: ``places_apart``: tiles of a date lie far from each other.
    """
    rasters = [raster for frame in frames for raster in frame.rasters]
    sizes = [raster.grid.ground_sample_distance or 0.0 for raster in rasters]
    finest = min(sizes) * _SAME_SIZE
    base = next(raster for raster, size in zip(rasters, sizes) if size <= finest)
    tiles = [tile for frame in frames for tile in tiles_beside(base, frame.rasters)]
    return spread(base, tiles) if tiles else base.grid


def check_georeference(frames: Sequence[Frame]) -> None:
    """Make sure that all rasters can be read on one grid.

    Raises:
        SeriesError: Only some rasters have a georeference, or one that tells a place on Earth; or rasters
            without one differ in size.
    """
    rasters = [raster for frame in frames for one in frame.rasters for raster in _with_masks(one)]
    bare = [raster for raster in rasters if raster.grid.crs is None]
    if bare and len(bare) < len(rasters):
        raise SeriesError(
            "no_crs",
            f"{bare[0].path.name} has no coordinate system, but other files of the series have one.",
            "Set its coordinate system, or take it out of the series.",
        )
    local = [one for one in rasters if one.grid.rasterio_crs and not is_somewhere(one.grid.rasterio_crs)]
    if local and any(one.grid.rasterio_crs != local[0].grid.rasterio_crs for one in rasters):
        raise SeriesError(
            "crs_local",
            f"{local[0].path.name} has a coordinate system that tells no place on Earth, but other files of "
            "the series have one that does.",
            "Set its coordinate system, or take it out of the series.",
        )
    if bare:
        reference = bare[0]
        for raster in bare:
            same = raster.grid.shape == reference.grid.shape or not reference.grid.transform.is_identity
            if not same or raster.grid.offset_in(reference.grid) is None:
                raise SeriesError(
                    "size_differs",
                    f"{raster.path.name} and {reference.path.name} have no coordinate system and differ in "
                    "size or place.",
                    "Set the files' coordinate systems, or give files of one size.",
                )


def _with_masks(raster: Raster) -> list[Raster]:
    return [raster, *(mask.raster for mask in raster.masks)]


def touches(grid: Grid, other: Grid) -> bool:
    """Whether two grids share ground, by their bounds; what can't be told, touches."""
    left, bottom, right, top = grid.bounds
    theirs = other.bounds
    if grid.rasterio_crs != other.rasterio_crs:
        try:
            theirs = rasterio.warp.transform_bounds(other.rasterio_crs, grid.rasterio_crs, *theirs)
        except RasterioError:
            return True
    return theirs[0] < right and theirs[2] > left and theirs[1] < top and theirs[3] > bottom


def select(
    frames: Sequence[Frame], keys: Sequence[str]
) -> tuple[tuple[Frame, ...], tuple[Band, ...], tuple[LeftOut, ...]]:
    """The dates that have all bands of ``keys``, those bands, and the files of the other dates.

    A band's facts are those of its first date; its sensor and unit are None where the dates' differ.

    Raises:
        SeriesError: No date has them all; the first lacking file and band are named.
    """
    kept = tuple(frame for frame in frames if frame.has(keys))
    if not kept or not all(any(frame.find(key) for frame in kept) for key in keys):
        frame = max(frames, key=lambda frame: sum(frame.find(key) is not None for key in keys))
        missing = next(key for key in keys if not frame.find(key))
        files = " and ".join(raster.path.name for raster in frame.rasters)
        raise SeriesError(
            "band_missing",
            f"{files} has no band '{missing}', but only {', '.join(frame.bands)}.",
            "Give rasters with this band, or name the band so in the files.",
            detail={"missing": missing, "bands": list(frame.bands)},
        )
    bands = []
    for key in keys:
        found = [(frame, entry[1]) for frame in kept if (entry := frame.find(key))]
        first = found[0][1]
        sensors = {band.sensor for _, band in found}
        units = {frame.radar if band.role in RADAR else band.unit for frame, band in found}
        bands.append(
            replace(
                first,
                sensor=first.sensor if len(sensors) == 1 else None,
                unit=units.pop() if len(units) == 1 else None,
            )
        )
    left_out = []
    for frame in frames:
        if frame in kept:
            continue
        missing_keys = [key for key in keys if not frame.find(key)]
        reason = f"{frame.date} has no band {', '.join(missing_keys)}, which other dates have."
        left_out += [LeftOut(str(raster.path), reason) for raster in frame.rasters]
    return kept, tuple(bands), tuple(left_out)
