# SPDX-License-Identifier: GPL-3.0-or-later
"""A class raster seen on another's grid: nearest neighbour, nothing is written for it. No Qt."""

from __future__ import annotations

from math import sqrt

from osgeo import gdal

from ..i18n import tr
from .raster_blocks import RasterError, hectares, same_grid

MOST_RATIO = 4.0
"""Of pixels' sides: Landsat and Sentinel-2 go together; beyond, changes are mostly those of the pixels."""


def onto(first: gdal.Dataset, second: gdal.Dataset, one: str, other: str) -> gdal.Dataset:
    """The second raster on the first's grid, without data where it does not lie.

    Args:
        first: Whose grid counts.
        second: Of the same grid, it is given back as it is.
        one: The first's name, for what is said.
        other: The second's.

    Returns:
        A raster of the first's size, CRS and place; its mask tells where it has data.

    Raises:
        RasterError: One of them has no place on earth, their pixels differ too much in size, or there is no
            way from the one's CRS to the other's.
    """
    if same_grid(first, second):
        return second
    areas = [hectares(dataset) for dataset in (first, second)]
    for name, area in zip((one, other), areas):
        if area is None:
            raise RasterError(
                tr(
                    "{name} has no place on earth, and can be compared with maps of its own grid alone: pick "
                    "another map.",
                    name=name,
                )
            )
    mine, theirs = (
        sqrt(1e4 * area(dataset.RasterYSize // 2))
        for area, dataset in zip(areas, (first, second))
        if area is not None
    )
    if not 1 / MOST_RATIO <= theirs / mine <= MOST_RATIO:
        raise RasterError(
            tr(
                "{one} has pixels of {mine} m, and {other} of {theirs} m, which is too different to compare: "
                "pick maps whose pixels differ by less than {most} times.",
                one=one,
                mine=f"{mine:.3g}",
                other=other,
                theirs=f"{theirs:.3g}",
                most=f"{MOST_RATIO:.0f}",
            )
        )
    return _warped(first, second, one, other)


def _warped(first: gdal.Dataset, second: gdal.Dataset, one: str, other: str) -> gdal.Dataset:
    left, across, _, top, _, down = first.GetGeoTransform()
    right, bottom = left + across * first.RasterXSize, top + down * first.RasterYSize
    gdal.ErrorReset()
    try:
        made, why = (
            gdal.Warp(
                "",
                second,
                format="VRT",
                dstSRS=first.GetSpatialRef().ExportToWkt(),
                outputBounds=(left, bottom, right, top),
                width=first.RasterXSize,
                height=first.RasterYSize,
                resampleAlg=gdal.GRA_NearestNeighbour,
                dstAlpha=True,
            ),
            gdal.GetLastErrorMsg(),
        )
    except RuntimeError as error:  # GDAL with exceptions on
        made, why = None, str(error)
    if made is None or not same_grid(first, made):  # a grid that is turned cannot be asked for
        raise RasterError(
            tr(
                "{other} cannot be brought onto the grid of {one}: {why}. Pick maps of one place.",
                one=one,
                other=other,
                why=why.rstrip(".") or tr("the grid is turned"),
            )
        )
    return made
