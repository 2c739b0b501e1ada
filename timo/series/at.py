# SPDX-License-Identifier: GPL-3.0-or-later
"""What a series measures at one place, over its dates."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
from rasterio.errors import RasterioError
from rasterio.warp import transform
from rasterio.windows import Window

from timo.errors import SeriesError
from timo.series.grid import Grid
from timo.series.series import Series, Sources, open_series
from timo.series.stac_search import read_search, search_file

_NEAR = 1e-5  # degrees, about a metre: of a search no scenes but those that reach so near are opened
_NOTHING = ("no_data", "stac_nothing", "stac_outside")


def values_at(sources: Sources, longitude: float, latitude: float) -> dict[str, Any]:
    """The values of the pixel at a place.

    Args:
        sources: As of ``timo.series.series.open_series``. Of a search, nothing but the place is read.
        longitude: In degrees (WGS 84).
        latitude: In degrees.

    Returns:
        JSON values: ``dates``, those with data at the place, and ``bands``, each with ``name``, ``role``,
        ``unit`` and ``values`` by date, in physical units; None where there is no data, or a mask hides it.

    Raises:
        SeriesError: The series can't be opened, or lies nowhere.
    """
    if not (abs(longitude) <= 180 and abs(latitude) <= 90):
        raise SeriesError(
            "place_invalid",
            f"The place {longitude:g} {latitude:g} is not on earth.",
            "Give longitude and latitude.",
        )
    try:
        file = search_file(sources)
        series = open_series(sources, keep_empty=True) if file is None else _near(file, longitude, latitude)
    except SeriesError as error:
        if error.code in _NOTHING:
            return {"dates": [], "bands": []}
        raise
    row, col = _pixel(series.grid, longitude, latitude)
    frames = series.read(Window(col, row, 1, 1))
    values, valid = frames.values[:, :, 0, 0], frames.band_valid[:, :, 0, 0]
    seen = [t for t in range(len(series)) if valid[t].any()]
    return {
        "dates": [series.dates[t].isoformat() for t in seen],
        "bands": [
            {
                "name": band.name,
                "role": band.role,
                "unit": band.unit,
                "values": [float(values[t, c]) if valid[t, c] else None for t in seen],
            }
            for c, band in enumerate(series.bands)
        ],
    }


def _near(file: Path, longitude: float, latitude: float) -> Series:
    """The part of a search's series around a place in its box."""
    from timo.series.stac_series import open_search

    search = read_search(file)
    west, south, east, north = search.bbox
    if not (west <= longitude <= east and south <= latitude <= north):
        raise SeriesError("stac_outside", "The place lies beside the box of the search.", "Pick one in it.")
    box = (
        max(longitude - _NEAR, -180.0),
        max(latitude - _NEAR, -90.0),
        min(longitude + _NEAR, 180.0),
        min(latitude + _NEAR, 90.0),
    )
    return open_search(msgspec.structs.replace(search, bbox=box), keep_empty=True)


def _pixel(grid: Grid, longitude: float, latitude: float) -> tuple[int, int]:
    """Row and column of a place, which may lie beyond the grid."""
    if grid.rasterio_crs is None:
        raise SeriesError(
            "no_crs",
            "The series has no coordinate system, so that no place can be found in it.",
            "Set that of its files.",
        )
    try:
        (x,), (y,) = transform("EPSG:4326", grid.rasterio_crs, [longitude], [latitude])
    except RasterioError:
        return -1, -1  # there is no such place in that coordinate system
    col, row = grid.pixel(x, y)
    return (math.floor(row), math.floor(col)) if math.isfinite(row) and math.isfinite(col) else (-1, -1)
