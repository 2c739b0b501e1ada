# SPDX-License-Identifier: GPL-3.0-or-later
"""One place: the series' values over its dates, and what the model thought. Single pixels are read. No Qt."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from osgeo import gdal, osr

from .._client.dates import date_from_name, parse_date
from ..i18n import tr
from ..models import CARD, LARGEST
from .raster_blocks import RasterError
from .result_files import CONFIDENCE, DATED, MAP, PROBABILITIES, SCALE, open_file, read_result

INDICES = {"NDVI": ("nir", "red"), "NDWI": ("green", "nir"), "NBR": ("nir", "swir2")}
"""Normalised differences (a - b) / (a + b) of two roles."""
RASTERS = (".tif", ".tiff", ".vrt", ".jp2", ".img")


class Point(NamedTuple):
    """A place on the map: its coordinates, and their CRS as WKT (empty where the map has none)."""

    x: float
    y: float
    wkt: str


class Source(NamedTuple):
    """A file of the series, and what the analyst told of it, which counts more than the file.

    Attributes:
        date: Of the frame.
        path: The file.
        band: The one band that is meant, from 1; 0 means all.
        name: Of that band.
        nodata: The value where there is no data.
        crs: The file's coordinate system, as a code or WKT.
    """

    date: dt.date
    path: Path
    band: int = 0
    name: str = ""
    nodata: Optional[float] = None
    crs: str = ""


class Curve(NamedTuple):
    """A band, or an index of bands: its name, and its values by date; dates without data are left out."""

    name: str
    points: Tuple[Tuple[dt.date, float], ...]


class Chance(NamedTuple):
    """A class: its name, its colour (#rrggbb), its probability (0 to 1)."""

    name: str
    color: str
    share: float


@dataclass(frozen=True)
class Told:
    """What is told of a place.

    Attributes:
        curves: Of the bands, then of the indices that they allow.
        chances: The classes, the most probable first.
        note: What is missing, and why, in sentences.
    """

    curves: Tuple[Curve, ...]
    chances: Tuple[Chance, ...]
    note: str = ""


def ask(spec: Mapping[str, Any], family: Mapping[str, Path], at: Point) -> Told:
    """Read what there is at a place. Takes as long as opening each of the series' files.

    Args:
        spec: The parameters that the map was made with.
        family: The job's rasters by kind, as ``provenance.relatives`` gives them.
        at: The place.
    """
    curves: List[Curve] = []
    notes: List[str] = []
    chances, note = chances_at(family, at)
    if search_of(spec) is not None:  # the program tells its curve
        return Told((), tuple(chances), note)
    try:
        curves = curves_at(sources_of(spec), bands_of(spec), at)
        if not curves:
            notes.append(tr("The series has no data at this place."))
    except RasterError as error:
        notes.append(str(error))
    return Told(tuple(curves), tuple(chances), " ".join([*notes, *([note] if note else [])]))


def search_of(spec: Mapping[str, Any]) -> Optional[Path]:
    """The file of the search that a series is made of; None if it is made of files."""
    series = spec.get("series") or []
    given = series if isinstance(series, list) else [series]
    path = Path(str(given[0])) if len(given) == 1 else Path()
    return path if path.suffix.lower() == ".json" and "://" not in str(given[0]) else None


def told_curves(found: Mapping[str, Any]) -> Tuple[Curve, ...]:
    """The curves of what ``timo series --at`` tells."""
    dates = [parse_date(str(date)) for date in found.get("dates", ())]
    by_band: Dict[str, Dict[dt.date, float]] = {}
    for band in found.get("bands", ()):
        pairs = zip(dates, band.get("values", ()))
        points = {date: float(value) for date, value in pairs if date is not None and value is not None}
        by_band.setdefault(str(band.get("role") or band.get("name")).lower(), points)
    return tuple(_with_indices(by_band))


def degrees(at: Point) -> Optional[Tuple[float, float]]:
    """Longitude and latitude of a place; None where the map's coordinates are none of the earth."""
    earth = osr.SpatialReference()
    earth.ImportFromEPSG(4326)
    return _moved(at, earth) if at.wkt else None


def _moved(at: Point, there: osr.SpatialReference) -> Optional[Tuple[float, float]]:
    """A place's coordinates in another system; None where it has none there."""
    here, there = osr.SpatialReference(at.wkt), there.Clone()
    for one in (here, there):
        one.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    if here.IsSame(there):
        return at.x, at.y
    try:
        x, y, _ = osr.CoordinateTransformation(here, there).TransformPoint(at.x, at.y)
    except (RuntimeError, TypeError):  # no such place there; nothing leads there from a plan of a site
        return None
    return (x, y) if math.isfinite(x) and math.isfinite(y) else None


def sources_of(spec: Mapping[str, Any]) -> List[Source]:
    """The series' files and their dates, in their order.

    Raises:
        RasterError: They cannot be told from the parameters.
    """
    series = spec.get("series") or []
    found: List[Source] = []
    for text in series if isinstance(series, list) else [series]:
        path = Path(str(text))
        if path.suffix.lower() == ".csv":
            found += _listed(path)
        elif path.suffix.lower() == ".json" or "://" in str(text):
            raise RasterError(tr("The series comes from the web: its curve cannot be read from files."))
        else:
            found += [Source(date, file) for file in _files(path) for date in _date(file)]
    if not found:
        raise RasterError(tr("The map does not say which files its series has: the curve cannot be drawn."))
    return sorted(found, key=lambda one: (one.date, str(one.path), one.band))


def _listed(path: Path) -> List[Source]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            # Spreadsheets of many countries separate by semicolons.
            reader = csv.DictReader(file, delimiter=max(",;\t", key=header.count))
            rows = [{str(key).strip().lower(): str(row[key] or "").strip() for key in row} for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise RasterError(
            tr("The list of the series' files, {path}, cannot be read: it was moved or deleted.", path=path)
        ) from error
    return [source for row in rows for source in _told(path.parent, row)]


def _told(folder: Path, row: Mapping[str, str]) -> List[Source]:
    """What a line says; nothing where it has no date."""
    date, band = parse_date(row.get("date", "")), row.get("band", "")
    if date is None:
        return []
    try:
        nodata: Optional[float] = float(row.get("nodata", ""))
    except ValueError:
        nodata = None
    number = int(band) if band.isdecimal() else 0
    return [
        Source(date, folder / row.get("path", ""), number, row.get("name", ""), nodata, row.get("crs", ""))
    ]


def _files(path: Path) -> List[Path]:
    if path.is_dir():
        return [file for file in path.iterdir() if file.suffix.lower() in RASTERS]
    if any(sign in path.name for sign in "*?["):
        return list(path.parent.glob(path.name))
    return [path]


def _date(path: Path) -> List[dt.date]:
    found = date_from_name(path.name) or date_from_name(path.parent.name)
    return [found.date] if found else []


class _Band(NamedTuple):
    role: str
    scale: float
    offset: float


def bands_of(spec: Mapping[str, Any]) -> Dict[str, _Band]:
    """The model's bands by name, role and key in lower case; empty where its card is gone."""
    path = Path(str(spec.get("model", ""))) / CARD
    found: Dict[str, _Band] = {}
    try:
        if path.stat().st_size > LARGEST:
            return {}
        for band in json.loads(path.read_text(encoding="utf-8"))["bands"]:
            role = str(band.get("role") or band["name"]).lower()
            known = _Band(role, float(band.get("scale", 1)), float(band.get("offset", 0)))
            for name in (band.get("key"), role, band["name"]):
                found[str(name).lower()] = known
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return found


def curves_at(sources: Sequence[Source], bands: Mapping[str, _Band], at: Point) -> List[Curve]:
    """Each band's curve at a place, then the indices'.

    Raises:
        RasterError: None of the files can be opened.
    """
    by_band: Dict[str, Dict[dt.date, float]] = {}
    opened, dataset, last = 0, None, None
    for source in sources:
        if source.path != last:  # lines of one file's bands stand together
            dataset, last = open_file(source.path), source.path
        if dataset is None:
            continue
        opened += 1
        for name, value in _values(dataset, source, bands, at):
            by_band.setdefault(name, {}).setdefault(source.date, value)
    if not opened:
        raise RasterError(
            tr("{path} and the series' other files are not there any more.", path=sources[0].path)
        )
    return _with_indices(by_band)


def _with_indices(by_band: Dict[str, Dict[dt.date, float]]) -> List[Curve]:
    """The bands' curves and those of the indices that they allow; dates without data are left out."""
    for index, (one, other) in INDICES.items():
        mine, theirs = by_band.get(one, {}), by_band.get(other, {})
        points = {
            date: (mine[date] - theirs[date]) / (mine[date] + theirs[date])
            for date in mine
            if date in theirs and mine[date] + theirs[date]
        }
        if points:
            by_band[index] = points
    return [Curve(name, tuple(sorted(points.items()))) for name, points in by_band.items() if points]


def _values(
    dataset: gdal.Dataset, source: Source, bands: Mapping[str, _Band], at: Point
) -> List[Tuple[str, float]]:
    pixel = _pixel(dataset, at, source.crs)
    if pixel is None:
        return []
    found = []
    words = [word for word in _words(source.path.stem) if word in bands]
    numbers = [source.band] if source.band else range(1, dataset.RasterCount + 1)
    for number in numbers if source.band <= dataset.RasterCount else ():
        band = dataset.GetRasterBand(number)
        value = _read(band, pixel, source.nodata)
        if value is None:
            continue
        name = (source.name or band.GetDescription() or "").strip().lower()
        if not name:
            single = dataset.RasterCount == 1 and words
            name = words[-1] if single else tr("band {number}", number=number)
        known = bands.get(name)
        if known is not None:
            name, value = known.role, value * known.scale + known.offset
        else:
            value = value * (band.GetScale() or 1) + (band.GetOffset() or 0)
        found.append((name, value))
    return found


def _words(stem: str) -> List[str]:
    return stem.lower().replace("-", "_").replace(".", "_").split("_")


def _pixel(dataset: gdal.Dataset, at: Point, crs: str = "") -> Optional[Tuple[int, int]]:
    """Column and row of a place; None outside. A CRS that was told counts more than the file's."""
    x, y = at.x, at.y
    reference = dataset.GetSpatialRef()
    if crs:
        told = osr.SpatialReference()
        with suppress(RuntimeError):  # no such CRS: the file's
            if told.SetFromUserInput(crs) == 0:
                reference = told
    if reference is not None and at.wkt:
        moved = _moved(at, reference)
        if moved is None:
            return None
        x, y = moved
    inverse = gdal.InvGeoTransform(dataset.GetGeoTransform())
    if inverse is None or not (math.isfinite(x) and math.isfinite(y)):
        return None
    column, row = (math.floor(value) for value in gdal.ApplyGeoTransform(inverse, x, y))
    inside = 0 <= column < dataset.RasterXSize and 0 <= row < dataset.RasterYSize
    return (column, row) if inside else None


def _read(band: gdal.Band, pixel: Tuple[int, int], nodata: Optional[float] = None) -> Optional[float]:
    """The value of a pixel; None where there is none. A nodata value that was told replaces the file's."""
    mask, values = band.GetMaskBand().ReadAsArray(*pixel, 1, 1), band.ReadAsArray(*pixel, 1, 1)
    if mask is None or values is None or not math.isfinite(values[0, 0]):
        return None
    value = float(values[0, 0])
    replaced = nodata is not None and band.GetMaskFlags() & gdal.GMF_NODATA
    return None if value == nodata or not (mask[0, 0] or replaced) else value


def chances_at(family: Mapping[str, Path], at: Point) -> Tuple[List[Chance], str]:
    """The classes' probabilities at a place, and what cannot be told, as a sentence."""
    if DATED in family:
        return [], _on_date(family[DATED], at)
    mapped = read_result(MAP, family[MAP]) if MAP in family else None
    classes = mapped.classes if mapped else ()
    colors = {name: color for _, name, color in classes}
    grey = "#888888"
    dataset = open_file(family[PROBABILITIES]) if PROBABILITIES in family else None
    if dataset is not None:
        pixel = _pixel(dataset, at)
        found = []
        for number in range(1, dataset.RasterCount + 1) if pixel else ():
            band = dataset.GetRasterBand(number)
            value = _read(band, pixel)
            if value is not None and value <= SCALE:
                name = band.GetDescription() or str(number)
                found.append(Chance(name, colors.get(name, grey), value / SCALE))
        found.sort(key=lambda chance: -chance.share)
        return found, "" if found else tr("The map has no data at this place.")
    value = _at(family.get(MAP), at)
    if value is None:
        return [], tr("The map has no data at this place.")
    named = {number: (name, color) for number, name, color in classes}
    name, color = named.get(int(value), (str(int(value)), grey))
    share = _at(family.get(CONFIDENCE), at)
    if share is None:
        note = tr(
            "The map shows {name} here. How sure the model was is not known: predict again with "
            "Confidence or Probability of every class ticked.",
            name=name,
        )
        return [], note
    note = tr("Probabilities of the other classes were not written: predict again with them ticked.")
    return [Chance(name, color, share)], note


def _on_date(path: Path, at: Point) -> str:
    """What the map of a date shows: probabilities and confidence are those of the last date."""
    mapped, value = read_result(DATED, path), _at(path, at)
    if mapped is None or value is None:
        return tr("The map has no data at this place.")
    names = {number: name for number, name, _ in mapped.classes}
    return tr(
        "On {date} the map shows {name} here. How sure the model was is written for the last date alone: ask "
        "the job's main map.",
        date=mapped.tags.get("TIMO_DATE", path.stem),
        name=names.get(int(value), str(int(value))),
    )


def _at(path: Optional[Path], at: Point) -> Optional[float]:
    dataset = open_file(path) if path is not None else None
    pixel = _pixel(dataset, at) if dataset is not None else None
    return _read(dataset.GetRasterBand(1), pixel) if dataset is not None and pixel is not None else None
