# SPDX-License-Identifier: GPL-3.0-or-later
"""Class rasters block by block: of one grid, areas of pixels, files written whole or not at all. No Qt."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Optional, Tuple

from osgeo import gdal
from qgis.core import QgsGeometry, QgsPointXY

from ..i18n import tr
from .hectares import hectares_in
from .result_files import Classes, open_file

BLOCK = 1024

Tick = Callable[[float], bool]
"""Called with the share that is done, 0 to 1; False stops the work."""


class RasterError(Exception):
    """Something about a raster that the analyst can act on; the text is the sentence to show."""


class StoppedError(Exception):
    """The analyst has stopped the work."""


class Window(NamedTuple):
    """A part of a raster in pixels: left column, top row, width, height."""

    left: int
    top: int
    width: int
    height: int


def opened(path: Path) -> gdal.Dataset:
    """A raster to read.

    Raises:
        RasterError: It cannot be opened.
    """
    dataset = open_file(path)
    if dataset is None:
        raise RasterError(
            tr("{name} cannot be opened: it was moved or deleted, or is no raster.", name=path.name)
        )
    return dataset


def windows(dataset: gdal.Dataset, side: int = BLOCK) -> Iterator[Window]:
    """The raster in squares of ``side`` pixels, from the top left."""
    width, height = dataset.RasterXSize, dataset.RasterYSize
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield Window(left, top, min(side, width - left), min(side, height - top))


def step(tick: Tick, share: float) -> None:
    """Tell how far it is.

    Raises:
        StoppedError: The analyst has stopped it.
    """
    if not tick(share):
        raise StoppedError


def same_grid(one: gdal.Dataset, other: gdal.Dataset) -> bool:
    """Whether two rasters have the same size, place and CRS, so that their pixels lie on one another."""
    if (one.RasterXSize, one.RasterYSize) != (other.RasterXSize, other.RasterYSize):
        return False
    mine, theirs = one.GetGeoTransform(), other.GetGeoTransform()
    pixel = max(abs(mine[1]), abs(mine[5]), 1e-12)
    if any(abs(a - b) > 1e-3 * pixel for a, b in zip(mine, theirs)):
        return False
    here, there = one.GetSpatialRef(), other.GetSpatialRef()
    if here is None or there is None:
        return here is None and there is None
    return bool(here.IsSame(there))


def hectares(dataset: gdal.Dataset) -> Optional[Callable[[int], float]]:
    """A function that gives the area of a pixel in a row in hectares; None where the raster has no place."""
    measure = hectares_in(dataset.GetSpatialRef())
    if measure is None:
        return None
    place = dataset.GetGeoTransform()
    left, width = max(dataset.RasterXSize // 2 - 8, 0), min(dataset.RasterXSize, 16)

    @cache
    def of_band(top: int, height: int) -> float:
        corners = ((left, top), (left + width, top), (left + width, top + height), (left, top + height))
        ring = [QgsPointXY(*gdal.ApplyGeoTransform(place, *corner)) for corner in corners]
        return measure(QgsGeometry.fromPolygonXY([ring])) / (width * height)

    # A single small pixel is measured less exactly than some together in the middle of the raster.
    together = 16 if dataset.RasterYSize >= 256 else 1

    def of_row(row: int) -> float:
        top = row // together * together
        return of_band(top, min(together, dataset.RasterYSize - top))

    return of_row


def set_classes(band: gdal.Band, classes: Classes) -> None:
    """Give a band of whole numbers its classes' colours and names.

    Args:
        band: Of bytes or 16 bits without sign; others have no room for colours in a GeoTIFF.
        classes: (value, name, #rrggbb); one without a name has its colour alone.
    """
    if not classes:
        return
    top = 256 if band.DataType == gdal.GDT_Byte else 65536
    if band.DataType in (gdal.GDT_Byte, gdal.GDT_UInt16):
        table = gdal.ColorTable()
        for value, _, color in classes:
            if 0 <= value < top:
                red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
                table.SetColorEntry(value, (red, green, blue, 255))
        band.SetColorTable(table)
    names = {value: name for value, name, _ in classes}
    if min(names) >= 0 and max(names) < top:
        band.SetCategoryNames([names.get(value, "") for value in range(max(names) + 1)])


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to that becomes ``path`` when all went well, with GDAL's file beside it.

    Raises:
        RasterError: It cannot be put in place.
    """
    part = path.with_name(f"{path.stem}.part{path.suffix}")  # GDAL looks at the ending
    try:
        yield part
        part.replace(path)  # first: if that fails, what stands there keeps what is beside it
        if _side(part).exists():
            _side(part).replace(_side(path))
        else:
            _side(path).unlink(missing_ok=True)  # it tells of the file that was replaced
    except OSError as error:
        raise cannot_write(path, error.strerror or str(error)) from error
    except RuntimeError as error:  # GDAL with exceptions on
        raise cannot_write(path, str(error)) from error
    finally:
        for left in (part, _side(part), Path(f"{part}-journal")):
            with suppress(OSError):
                left.unlink(missing_ok=True)


def _side(path: Path) -> Path:
    """GDAL's file beside a raster: names of classes have no place in a GeoTIFF."""
    return path.with_name(f"{path.name}.aux.xml")


def cannot_write(path: Path, why: str = "") -> RasterError:
    """What is said where a file cannot be written."""
    why = why or gdal.GetLastErrorMsg() or tr("the disk may be full, or the folder read-only")
    return RasterError(
        tr(
            "{name} cannot be written to {folder}: {why}. Pick another folder.",
            name=path.name,
            folder=path.parent,
            why=why.rstrip("."),
        )
    )


def create(like: gdal.Dataset, path: Path, kind: int, options: Tuple[str, ...] = ()) -> Any:
    """A compressed, tiled GeoTIFF of one band on a raster's grid.

    Raises:
        RasterError: It cannot be written.
    """
    driver = gdal.GetDriverByName("GTiff")
    asked = ["TILED=YES", "COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER", *options]
    made = None
    with suppress(RuntimeError):
        made = driver.Create(str(path), like.RasterXSize, like.RasterYSize, 1, kind, asked)
    if made is None:
        raise cannot_write(path)
    if like.GetSpatialRef() is not None:
        made.SetSpatialRef(like.GetSpatialRef())
    made.SetGeoTransform(like.GetGeoTransform())
    return made


def flush(dataset: gdal.Dataset, path: Path) -> None:
    """Write what GDAL still holds: a disk that is full is noticed here.

    Raises:
        RasterError: It cannot be written.
    """
    gdal.ErrorReset()
    try:
        dataset.FlushCache()
    except RuntimeError as error:  # GDAL with exceptions on
        raise cannot_write(path, str(error)) from error
    if gdal.GetLastErrorType() >= gdal.CE_Failure:
        raise cannot_write(path)
