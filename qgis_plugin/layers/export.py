# SPDX-License-Identifier: GPL-3.0-or-later
"""A result in another shape: clipped, in another CRS, as GeoTIFF, COG or polygons. GDAL alone, no Qt.

Colours, names of classes and what the file says of its origin are kept. A file that stood at the target is
replaced only when the new one is whole.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

from osgeo import gdal, ogr
from qgis.core import QgsGeometry

from ..i18n import tr
from . import geopackage
from .cutline import on_raster
from .hectares import hectares_in
from .raster_blocks import (
    RasterError,
    StoppedError,
    Tick,
    cannot_write,
    create,
    flush,
    opened,
    step,
    whole,
    windows,
)
from .result_files import MAP, OF_CLASSES, Classes

TIFF, COG, VECTOR = "tif", "cog", "gpkg"
ENDINGS = {TIFF: ".tif", COG: ".tif", VECTOR: ".gpkg"}
PACKED = ["COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"]
LAYER = "polygons"


@dataclass(frozen=True)
class Export:
    """What is asked for.

    Attributes:
        source: The raster.
        target: Where to.
        form: ``tif``, ``cog``, or ``gpkg`` for the classes as polygons.
        classes: Of the values, if they are classes.
        crs: As WKT; empty keeps the source's.
        cutline: A file of polygons to clip by; None keeps all.
        sieve: Polygons of fewer pixels go to their largest neighbour; 0 or 1 keeps all.
        kind: Which result it is: values that are classes are never mixed when the grid changes.
    """

    source: Path
    target: Path
    form: str = TIFF
    classes: Classes = ()
    crs: str = ""
    cutline: Optional[Path] = None
    sieve: int = 0
    kind: str = MAP


def export(asked: Export, tick: Tick = lambda _share: True) -> Path:
    """Write it.

    Args:
        asked: What to write.
        tick: Told how far it is; see ``raster_blocks.Tick``.

    Returns:
        The target.

    Raises:
        RasterError: A file cannot be read or written, or nothing is left of it.
        StoppedError: ``tick`` said so; nothing is left, and a file that stood there stays.
    """
    if asked.target.resolve() == asked.source.resolve():
        raise RasterError(tr("{name} is the map itself: give the copy another name.", name=asked.target.name))
    source, begin = opened(asked.source), 0.0
    named = source  # the warped one has no names
    names_between = ("grid.part", "sieve.part", "area.part.gpkg")
    between = [asked.target.with_name(f"{asked.target.name}.{name}") for name in names_between]
    try:
        if asked.crs or asked.cutline:
            source, begin = _warped(asked, source, between[0], between[2], _part(tick, 0.0, 0.5)), 0.5
        with whole(asked.target) as part:
            if asked.form == VECTOR:
                _polygons(asked, source, part, between[1], _part(tick, begin, 1.0))
            else:
                _raster(asked, source, part, _part(tick, begin, 1.0))
                _keep_names(named, part)
            step(tick, 1.0)
    finally:
        source = named = None  # closed before it is taken away
        for left in between:
            for file in (left, Path(f"{left}.aux.xml")):
                with suppress(OSError):
                    file.unlink(missing_ok=True)
    return asked.target


def _part(tick: Tick, begin: float, end: float) -> Tick:
    return lambda share: tick(begin + (end - begin) * share)


def _run(tick: Tick, path: Path, function: Callable[[Callable[..., int]], Any]) -> Any:
    """Call one of GDAL's tools with a callback, and tell a stop from a failure."""
    stopped = []

    def callback(share: float, _message: str, _data: Any) -> int:
        if not tick(share):
            stopped.append(True)
        return int(not stopped)

    gdal.ErrorReset()
    try:
        made, why = function(callback), ""
    except RuntimeError as error:  # GDAL with exceptions on
        made, why = None, str(error)
    if stopped:
        raise StoppedError
    if made is None:
        raise cannot_write(path, why)
    return made


def _warped(asked: Export, source: gdal.Dataset, path: Path, area: Path, tick: Tick) -> gdal.Dataset:
    """The raster on its new grid, in a file of its own; another one is of the area."""
    if source.GetSpatialRef() is None:
        raise RasterError(
            tr(
                "{name} has no place on earth: it can be exported whole, without a CRS.",
                name=asked.source.name,
            )
        )
    cutline = on_raster(asked.cutline, source, asked.source.name, area) if asked.cutline else None
    options = {
        "format": "GTiff",
        "creationOptions": ["TILED=YES", *PACKED],
        "resampleAlg": gdal.GRA_NearestNeighbour if asked.kind in OF_CLASSES else gdal.GRA_Bilinear,
        "multithread": True,
        "errorThreshold": 0,
        **({"dstSRS": asked.crs} if asked.crs else {}),
        **({"cutlineDSName": str(cutline), "cropToCutline": True} if cutline else {}),
    }
    made = _run(
        tick, asked.target, lambda callback: gdal.Warp(str(path), source, callback=callback, **options)
    )
    mask = made.GetRasterBand(1).GetMaskBand()
    if cutline and not any(mask.ReadAsArray(*window).any() for window in windows(made)):
        raise RasterError(
            tr("Nothing of {name} lies in the area: pick another area.", name=asked.source.name)
        )
    return made


def _raster(asked: Export, source: gdal.Dataset, part: Path, tick: Tick) -> None:
    options = list(PACKED)
    if asked.form == COG:
        options.append(f"OVERVIEW_RESAMPLING={'MODE' if asked.kind in OF_CLASSES else 'AVERAGE'}")
    else:
        options.append("TILED=YES")
    made = _run(
        tick,
        asked.target,
        lambda callback: gdal.Translate(
            str(part),
            source,
            format="COG" if asked.form == COG else "GTiff",
            creationOptions=options,
            callback=callback,
        ),
    )
    flush(made, asked.target)


def _keep_names(source: gdal.Dataset, path: Path) -> None:
    """Write the classes' names beside the file: a COG that is opened to be changed is none any more."""
    made = opened(path)
    for number in range(1, made.RasterCount + 1):
        before, band = source.GetRasterBand(number), made.GetRasterBand(number)
        names, table = before.GetCategoryNames(), before.GetDefaultRAT()
        if names and not band.GetCategoryNames():
            band.SetCategoryNames(names)
        if table is not None and band.GetDefaultRAT() is None:
            band.SetDefaultRAT(table)


def _polygons(asked: Export, source: gdal.Dataset, part: Path, between: Path, tick: Tick) -> None:
    """The classes' areas, each with its value, its class and its hectares."""
    band, begin = source.GetRasterBand(1), 0.0
    smoothed = None
    if asked.sieve > 1:
        smoothed = create(source, between, band.DataType)
        into, begin = smoothed.GetRasterBand(1), 0.4
        if band.GetNoDataValue() is not None:
            into.SetNoDataValue(band.GetNoDataValue())
        _run(
            _part(tick, 0.0, begin),
            asked.target,
            lambda callback: _good(
                gdal.SieveFilter(band, band.GetMaskBand(), into, asked.sieve, 4, callback=callback)
            ),
        )
        smoothed.FlushCache()
        band = into
    fields = {"value": ogr.OFTInteger, "class": ogr.OFTString, "hectares": ogr.OFTReal}
    try:
        made, layer = geopackage.create(part, LAYER, source.GetSpatialRef(), ogr.wkbPolygon, fields)
    except geopackage.GeoPackageError as error:
        raise cannot_write(asked.target, str(error)) from error
    try:
        _run(
            _part(tick, begin, 0.8),
            asked.target,
            lambda callback: _good(gdal.Polygonize(band, band.GetMaskBand(), layer, 0, callback=callback)),
        )
        _fill(asked, layer, _part(tick, 0.8, 1.0))
        layer.SetMetadata(source.GetMetadata())
        flush(made, asked.target)
    finally:
        layer = made = band = smoothed = None  # closed before it is put in place or taken away


def _good(failed: int) -> Optional[bool]:
    return None if failed else True


def _fill(asked: Export, layer: ogr.Layer, tick: Tick) -> None:
    """Write class and hectares of each polygon."""
    names = {value: name for value, name, _ in asked.classes}
    reference, count = layer.GetSpatialRef(), max(layer.GetFeatureCount(), 1)
    measure = hectares_in(reference)
    layer.StartTransaction()
    for number, feature in enumerate(layer):
        if number % 1000 == 0:
            step(tick, number / count)
        value = feature.GetField("value")
        feature.SetField("class", names.get(value, str(value)))
        if measure is not None:
            polygon = QgsGeometry()
            polygon.fromWkb(bytes(feature.GetGeometryRef().ExportToWkb()))
            feature.SetField("hectares", measure(polygon))
        if layer.SetFeature(feature):
            raise cannot_write(asked.target)
    layer.CommitTransaction()
