# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that lie beside each other: the tiles of one sensor on one date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from timo.errors import SeriesError
from timo.series.facts import Raster
from timo.series.grid import Grid

_SAME_SIZE = 1.01  # pixels whose sides differ by less are of one size
_MOSTLY_EMPTY = 10  # a rectangle so many times larger than the tiles in it; a swath of tiles needs a few


def same_extent(grid: Grid, other: Grid) -> bool:
    """Whether two grids cover the same ground, to a pixel."""
    if (grid.rasterio_crs is None) != (other.rasterio_crs is None) or grid.rasterio_crs != other.rasterio_crs:
        return False
    size = max(*grid.pixel_size, *other.pixel_size)
    return all(abs(one - two) < size for one, two in zip(grid.bounds, other.bounds))


def check_bands(date: dt.date, rasters: Sequence[Raster]) -> None:
    """Make sure that rasters of one date that share a band are tiles of one sensor.

    Raises:
        SeriesError: ``band_twice``, naming two files that have the same band of the same ground, or that are
            of different sensors.
    """
    owners: dict[str, list[Raster]] = {}
    for raster in rasters:
        for band in raster.bands:
            for other in owners.setdefault(band.key, []):
                if not _are_tiles(raster, other):
                    raise SeriesError(
                        "band_twice",
                        f"{other.path} and {raster.path} are both of {date} and both have the band "
                        f"'{band.key}'.",
                        "Keep one of them, or name the bands in the files if they differ.",
                    )
            owners[band.key].append(raster)


def _are_tiles(raster: Raster, other: Raster) -> bool:
    if raster.bands[0].sensor != other.bands[0].sensor or raster.grid.crs is None or other.grid.crs is None:
        return False
    sizes = [one.grid.ground_sample_distance or 0.0 for one in (raster, other)]
    return max(sizes) <= min(sizes) * _SAME_SIZE and not same_extent(raster.grid, other.grid)


def tiles_beside(base: Raster, rasters: Sequence[Raster]) -> list[Raster]:
    """The rasters of a date that share a band, if there are several as fine as ``base``: all of them."""
    owners: dict[str, list[Raster]] = {}
    for raster in rasters:
        for band in raster.bands:
            owners.setdefault(band.key, []).append(raster)
    size = (base.grid.ground_sample_distance or 0.0) * _SAME_SIZE
    groups = [group for group in owners.values() if len(group) > 1]
    return [one for group in groups for one in group if (one.grid.ground_sample_distance or 0.0) <= size]


def spread(base: Raster, tiles: Sequence[Raster]) -> Grid:
    """The pixels of ``base`` over all tiles.

    Raises:
        SeriesError: ``places_apart``, naming two tiles, if they lie too far from each other to be one place.
    """
    grid = base.grid.over([tile.grid for tile in tiles])
    covered = base.grid.width * base.grid.height
    for i, tile in enumerate(tiles):
        if not any(same_extent(tile.grid, other.grid) for other in (base, *tiles[:i])):
            alone = base.grid.over([tile.grid])
            covered += min(tile.grid.width * tile.grid.height, alone.width * alone.height)
    if grid.width * grid.height > _MOSTLY_EMPTY * covered:
        by_distance = sorted(tiles, key=lambda tile: sum(base.grid.over([tile.grid]).shape))
        left, far = by_distance[0], by_distance[-1]
        raise SeriesError(
            "places_apart",
            f"{left.path.name} and {far.path.name} have the same date and band, but lie far from each other.",
            "Give the files of one place, or a CSV with columns place,path,date.",
        )
    return grid
