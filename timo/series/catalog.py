# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rasters, dates and bands make one series."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import rasterio.warp
from rasterio.errors import RasterioError

from timo.errors import SeriesError
from timo.series.bands import Band
from timo.series.grid import Grid
from timo.series.rasters import Raster
from timo.series.sources import DatedFile, LeftOut

_SAME_SIZE = 1.001  # pixels whose sides differ by less are equally fine


@dataclass(frozen=True)
class Frame:
    """The rasters of one date; ``problem`` says what is doubtful about the date."""

    date: dt.date
    rasters: tuple[Raster, ...]
    problem: str | None = None

    @cached_property
    def bands(self) -> dict[str, tuple[Raster, Band]]:
        """Key of each band to where it is."""
        return {band.key: (raster, band) for raster in self.rasters for band in raster.bands}

    def find(self, key: str) -> tuple[Raster, Band] | None:
        """The band of that key, or else of that name."""
        found = self.bands.get(key)
        if found:
            return found
        return next((entry for entry in self.bands.values() if entry[1].name == key), None)

    def has(self, keys: Sequence[str]) -> bool:
        """Whether all these bands are there."""
        return all(self.find(key) for key in keys)


def build_frames(files: Sequence[DatedFile]) -> tuple[Frame, ...]:
    """Open the files and join those of one date.

    Raises:
        SeriesError: Naming the file that can't be read, or two files of one date that have the same band.
    """
    by_date: dict[dt.date, list[tuple[DatedFile, Raster]]] = {}
    for file in files:
        raster = Raster.open(file.path)
        _check_stack(raster)
        by_date.setdefault(file.date, []).append((file, raster))
    frames = []
    for date in sorted(by_date):
        owners: dict[str, Path] = {}
        for file, raster in by_date[date]:
            for band in raster.bands:
                other = owners.setdefault(band.key, file.path)
                if other != file.path:
                    raise SeriesError(
                        "band_twice",
                        f"{other} and {file.path} are both of {date} and both have the band '{band.key}'.",
                        "Keep one of them, or name the bands in the files if they differ.",
                    )
        problems = [file.problem for file, _ in by_date[date] if file.problem]
        frames.append(Frame(date, tuple(raster for _, raster in by_date[date]), " ".join(problems) or None))
    return tuple(frames)


def _check_stack(raster: Raster) -> None:
    names = [band.name for band in raster.bands]
    most = max(names, key=names.count)
    if names.count(most) > 1:
        raise SeriesError(
            "stacked_dates",
            f"{raster.path.name} has {names.count(most)} bands named '{most}': it seems a stack of dates.",
            "Write each date to a raster of its own, named with its date.",
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
    return [band.key for raster in rasters for band in raster.bands]


def reference_grid(frames: Sequence[Frame]) -> Grid:
    """The grid of the first among the finest rasters."""
    rasters = [raster for frame in frames for raster in frame.rasters]
    sizes = [raster.grid.ground_sample_distance or 0.0 for raster in rasters]
    finest = min(sizes) * _SAME_SIZE
    return next(raster.grid for raster, size in zip(rasters, sizes) if size <= finest)


def check_georeference(frames: Sequence[Frame]) -> None:
    """Make sure that all rasters can be read on one grid.

    Raises:
        SeriesError: Only some rasters have a georeference, or rasters without one differ in size.
    """
    rasters = [raster for frame in frames for raster in frame.rasters]
    bare = [raster for raster in rasters if raster.grid.crs is None]
    if bare and len(bare) < len(rasters):
        raise SeriesError(
            "no_crs",
            f"{bare[0].path.name} has no coordinate system, but other files of the series have one.",
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


def scaling_problems(frames: Sequence[Frame], keys: Sequence[str]) -> tuple[str, ...]:
    """A sentence where the dates' values are not scaled alike, and so may not be comparable."""
    first: dict[str, tuple[Raster, Band]] = {}
    for frame in frames:
        for key in keys:
            found = frame.find(key)
            assert found is not None, key  # noqa: S101 - the frames were selected so
            raster, band = first.setdefault(key, found)
            other, changed = found
            if (band.scale, band.offset) != (changed.scale, changed.offset):
                return (
                    f"Band '{key}' has scale {band.scale:g} and offset {band.offset:g} in {raster.path.name} "
                    f"but {changed.scale:g} and {changed.offset:g} in {other.path.name}: check that their "
                    "values are comparable.",
                )
    return ()


def select(
    frames: Sequence[Frame], keys: Sequence[str]
) -> tuple[tuple[Frame, ...], tuple[Band, ...], tuple[LeftOut, ...]]:
    """The dates that have all bands of ``keys``, those bands, and the files of the other dates.

    A band's facts are those of its first date; its sensor is None where the dates' differ.

    Raises:
        SeriesError: No date has them all; the first lacking file and band are named.
    """
    kept = tuple(frame for frame in frames if frame.has(keys))
    if not kept:
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
        found = [entry[1] for frame in kept if (entry := frame.find(key))]
        sensors = {band.sensor for band in found}
        bands.append(replace(found[0], sensor=found[0].sensor if len(sensors) == 1 else None))
    left_out = []
    for frame in frames:
        missing_keys = [key for key in keys if not frame.find(key)]
        reason = f"{frame.date} has no band {', '.join(missing_keys)}, which other dates have."
        left_out += [LeftOut(str(raster.path), reason) for raster in frame.rasters if missing_keys]
    return kept, tuple(bands), tuple(left_out)
