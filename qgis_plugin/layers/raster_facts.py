# SPDX-License-Identifier: GPL-3.0-or-later
"""What a raster layer tells of itself, without its pixels."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)

from .._client.band_names import name_from_file, role_of, sensor_of
from .._client.dates import NameDate, date_from_name
from .._client.mask_names import is_quality, scheme_of
from ..timing import inside_qgis
from .pixels import side
from .sources import gdal_source, layer_file

_BAND_WORD = re.compile(
    r"b(?:and)?\d{1,2}a?|coastal|blue|green|red|rededge\d*|nir\d*|swir\d*|pan|cirrus|thermal\d*|lwir\d*"
    r"|vv|vh|hh|hv"
)
UNUSED = "-"
"""The role of a band that measures nothing, or that the analyst leaves out."""
_BY_ITSELF = re.compile(r"(?:b(?:and)?[ _-]?1)?")  # a single band that programs name, or nobody
_COLORS = {2: UNUSED, 3: "red", 4: "green", 5: "blue", 6: UNUSED}  # GDAL's; a palette's index, and alpha
Box = Tuple[float, float, float, float]


@dataclass(frozen=True)
class Facts:
    """One raster layer.

    Attributes:
        path: Its file; None if it has none that the backend could read.
        source: What GDAL opens, where it is on this computer: also a part of a netCDF file; else empty.
        found: The date that its names tell, else the begin of its time in QGIS, else its folder's date.
        named: Whether it is of its names.
        bands: Names of its bands in lower case; empty strings where they have none.
        colors: red, green or blue where a nameless band is drawn so, "-" where a band holds a palette's
            numbers or alpha, else empty.
        crs: A code, or WKT; empty if there is none.
        told_crs: The same where the layer's is not the file's own, else empty.
        box: West, south, east, north in degrees; None if it lies nowhere.
        grid: CRS, width, height, and west, south, east, north in the CRS: equal for rasters on the same grid.
        pixel: Side of a square of a pixel's area in metres; None without a CRS.
        nodata: The value that the analyst set in QGIS in place of the file's; None if none.
        added_nodata: The value that QGIS hides beside the file's own, of which a job knows nothing; None
            if none.
        tells_nodata: Whether the file has a nodata value, a mask or floating-point numbers.
        mask: Whether its bands tell clouds and no ground.
        file_sensor: What the file's name and bands tell; empty if nothing.
    """

    name: str
    path: Optional[Path]
    source: str
    found: Optional[NameDate]
    named: bool
    bands: Tuple[str, ...]
    colors: Tuple[str, ...]
    width: int
    height: int
    crs: str
    told_crs: str
    box: Optional[Box]
    grid: Tuple[Any, ...]
    pixel: Optional[float]
    nodata: Optional[float]
    added_nodata: Optional[float]
    tells_nodata: bool
    mask: bool
    file_sensor: str
    sensor: str

    def role(self, number: int, sensor: str) -> str:
        """What a band (from 0) measures if a sensor took it, by the names; empty if they don't tell."""
        name = self.bands[number]
        if self.colors[number] == UNUSED:
            return UNUSED
        if not name and len(self.bands) == 1 and self.path is not None:
            return name_from_file(self.path.stem, sensor or None)[1] or ""
        return _role(name, sensor) if name else self.colors[number]


class FactsReader:
    """Reads facts, and remembers them until the layer shows another file or is called otherwise."""

    def __init__(self) -> None:
        self._known: Dict[str, Tuple[Any, Facts]] = {}
        self.reads = 0
        """How many layers were looked into."""

    def read(self, layer: QgsRasterLayer) -> Facts:
        """The facts of a layer."""
        stamp = (
            layer.source(), layer.name(), layer.isValid(), layer.crs().authid() or layer.crs().toWkt(),
            _nodata(layer), _day_in_time(layer),
        )  # fmt: skip
        kept = self._known.get(layer.id())
        if kept is None or kept[0] != stamp:
            self.reads += 1
            kept = self._known[layer.id()] = (stamp, _facts(layer))
        return kept[1]


@lru_cache(maxsize=4096)
def _role(name: str, sensor: str) -> str:
    """Files of a series have the same few names."""
    return role_of(name, sensor or None) or ""


def is_mask(name: str) -> bool:
    """Whether a band or a file of this name tells quality: clouds, shadows."""
    return scheme_of(name) is not None or is_quality(name)


def band_keys(bands: Tuple[str, ...], told: Tuple[str, ...]) -> Tuple[str, ...]:
    """By what a file's bands are known among those of their sensor: by their names.

    One without a name is known by its number among like files: those of as many bands that tell the same.

    Args:
        bands: Names; empty where there are none.
        told: What the file tells that they measure.

    Returns:
        Names, or ``#1/4``: the first of four, of which nothing is told.
    """
    kind = ",".join(name or role for name, role in zip(bands, told))
    like = f"{len(bands)} {kind}" if kind.strip(",") else f"{len(bands)}"
    return tuple(name or f"#{number}/{like}" for number, name in enumerate(bands, 1))


def _facts(layer: QgsRasterLayer) -> Facts:
    with inside_qgis():
        path, source = layer_file(layer), gdal_source(layer)
        provider = layer.dataProvider() if layer.isValid() else None
        bands = _band_names(layer, path)
        extent = layer.extent()
        crs = _code(layer.crs())
    nodata, added_nodata = _nodata(layer)
    named = (date_from_name(path.name) if path else None) or date_from_name(layer.name())
    by_file = (sensor_of(path.stem, bands) or "") if path else ""
    return Facts(
        name=layer.name(),
        path=path if layer.isValid() else None,
        source=source if layer.isValid() else "",
        found=named or _other_date(layer, path),
        named=named is not None,
        bands=bands,
        colors=tuple(_color(provider, number) for number in range(len(bands))),
        width=layer.width(),
        height=layer.height(),
        crs=crs,
        told_crs=crs if provider and crs and layer.crs() != provider.crs() else "",
        box=_box(layer),
        grid=(crs, layer.width(), layer.height(), *(round(edge, 6) for edge in _edges(extent))),
        pixel=side(crs, layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY(), extent.center().y())
        if provider
        else None,
        nodata=nodata,
        added_nodata=added_nodata,
        tells_nodata=_tells_nodata(provider),
        mask=bool(bands) and all(map(is_mask, bands)),
        file_sensor=by_file,
        sensor=by_file or sensor_of(layer.name()) or "",
    )


def _other_date(layer: QgsRasterLayer, path: Optional[Path]) -> Optional[NameDate]:
    """The date of a layer whose names tell none. A folder's is the last to count: it may be of a delivery."""
    day = _day_in_time(layer)
    if day is not None:
        return NameDate(day)
    return date_from_name(path.parent.name) if path else None


def _day_in_time(layer: QgsRasterLayer) -> Optional[dt.date]:
    """When the time begins that the temporal controller shows the layer for; None if it shows it always."""
    told = layer.temporalProperties()
    if not told.isActive() or told.mode() != Qgis.RasterTemporalMode.FixedTemporalRange:
        return None
    begin = told.fixedTemporalRange().begin()
    return dt.date(*begin.date().getDate()) if begin.isValid() else None


def _code(crs: QgsCoordinateReferenceSystem) -> str:
    """An authority's code, or the WKT where QGIS's own or no code stands for it."""
    if not crs.isValid():
        return ""
    code = crs.authid()
    return code if code and not code.startswith("USER:") else crs.toWkt(crs.WKT_PREFERRED)


def _box(layer: QgsRasterLayer) -> Optional[Box]:
    if not layer.isValid() or not layer.crs().isValid():
        return None
    with inside_qgis():
        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        transform = QgsCoordinateTransform(layer.crs(), degrees, QgsProject.instance())
        try:
            box = transform.transformBoundingBox(layer.extent())
        except QgsCsException:  # its coordinates are none of its coordinate system
            return None
    return _edges(box)


def _edges(extent: QgsRectangle) -> Box:
    return (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())


def _nodata(layer: QgsRasterLayer) -> Tuple[Optional[float], Optional[float]]:
    """The value that was set in QGIS: as what a job is told in place of the file's, and beside it."""
    provider = layer.dataProvider() if layer.isValid() else None
    ranges = provider.userNoDataValues(1) if provider else []
    if len(ranges) != 1 or ranges[0].min() != ranges[0].max():
        return None, None
    told = ranges[0].min()
    own = provider.sourceNoDataValue(1) if provider.sourceHasNoDataValue(1) else math.nan
    if math.isnan(own) or own == told or not provider.useSourceNoDataValue(1):  # NaN never is ground
        return told, None
    return None, told


def _tells_nodata(provider: Any) -> bool:
    if provider is None or provider.bandCount() < 1:
        return False
    alpha = _interpretation(provider, provider.bandCount()) == 6
    floating = _number(provider.dataType(1)) in (6, 7)  # GDAL's Float32 and Float64, where NaN tells
    return alpha or floating or provider.sourceHasNoDataValue(1)


def _color(provider: Any, number: int) -> str:
    return _COLORS.get(_interpretation(provider, number + 1), "") if provider else ""


def _interpretation(provider: Any, band: int) -> int:
    return _number(provider.colorInterpretation(band))


def _number(value: Any) -> int:
    return int(getattr(value, "value", value))  # an enum in later versions of QGIS


def _band_names(layer: QgsRasterLayer, path: Optional[Path]) -> Tuple[str, ...]:
    """Names of the bands; a nameless single band has that of its file's last word that names one: X_B02."""
    names = tuple(_band_name(layer.bandName(band)) for band in range(1, layer.bandCount() + 1))
    if len(names) != 1 or path is None:
        return names
    if (scheme_of if names[0] else is_mask)(path.stem) and _BY_ITSELF.fullmatch(names[0]):
        return (path.stem.lower(),)
    if names[0]:
        return names
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    return (next((word for word in reversed(words) if _BAND_WORD.fullmatch(word)), ""),)


def _band_name(text: str) -> str:
    """A band's own name, without the "Band 1: " that QGIS puts before it in every language."""
    return re.sub(r"^[^\d:]*\d+(\s*\([^)]*\))?(:\s*|$)", "", text).strip().lower()
