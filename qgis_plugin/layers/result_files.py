# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job's output files say about themselves. Touches no layer: may be called in any thread."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from osgeo import gdal

from .._client.dates import parse_date
from ..i18n import tr

MAP, CONFIDENCE, PROBABILITIES = "map", "confidence", "probabilities"
POLYGONS, DATED, CHANGE = "polygons", "maps_per_date", "change"
OF_CLASSES = (MAP, DATED, CHANGE)
"""Rasters whose values are numbers of classes, which must not be mixed."""
ORDER = (MAP, POLYGONS, DATED, CONFIDENCE, PROBABILITIES)

SCALE = 250
"""Value of a probability of 1 in a raster of probabilities; its nodata value is 255."""

Classes = Tuple[Tuple[int, str, str], ...]


@dataclass(frozen=True)
class Result:
    """One output as its file describes it.

    Attributes:
        kind: ``map``, ``polygons``, ``maps_per_date``, ``confidence``, ``probabilities`` or ``change``.
        classes: (value, name, #rrggbb), empty if it has none.
        tags: The file's metadata.
        date: Of a map of one date, the date.
    """

    kind: str
    path: Path
    classes: Classes = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    date: Optional[dt.date] = None


def read_results(
    outputs: Mapping[str, str], known: Sequence[Mapping[str, Any]] = ()
) -> Tuple[List[Result], List[str]]:
    """Read the output files of a job.

    Args:
        outputs: Paths by kind; of ``maps_per_date`` the folder, or one file in it.
        known: The classes in the job's summary, for a map whose values have no room in a colour table.

    Returns:
        The results in the order of the legend, and a sentence for each file that cannot be read.
    """
    classes: Classes = tuple((int(c["value"]), str(c["name"]), str(c["color"])) for c in known)
    results: List[Result] = []
    problems: List[str] = []
    for kind in (kind for kind in ORDER if kind in outputs):
        path = Path(outputs[kind])
        if kind == DATED:
            results += _dated(path, Path(outputs.get(MAP, "")).stem, classes)
            continue
        result = read_result(kind, path)
        if result is None:
            problems.append(
                tr("{path} cannot be opened: it was moved or deleted since it was made.", path=path)
            )
            continue
        if kind in (MAP, POLYGONS):
            classes = result.classes or classes
            result = replace(result, classes=classes)
        results.append(result)
    return results, problems


def read_result(kind: str, path: Path) -> Optional[Result]:
    """Read one output; None where it cannot be opened."""
    dataset = open_file(path, gdal.OF_VECTOR if kind == POLYGONS else gdal.OF_RASTER)
    if dataset is None:
        return None
    if kind == POLYGONS:
        layer = dataset.GetLayer(0)
        return Result(kind, path, (), dict(layer.GetMetadata() or {}) if layer is not None else {})
    classes = classes_of(dataset.GetRasterBand(1)) if kind in OF_CLASSES else ()
    return Result(kind, path, classes, dict(dataset.GetMetadata() or {}))


def open_file(path: Union[Path, str], flags: int = gdal.OF_RASTER) -> Optional[gdal.Dataset]:
    """A dataset to read, or None: whether GDAL's exceptions are on is up to the user and other plugins."""
    try:
        dataset = gdal.OpenEx(str(path), flags)
    except RuntimeError:
        return None
    if dataset is not None:
        dataset.GetMetadata()  # GDAL reads the classes' names, which stand beside the file, not before this
    return dataset


def classes_of(band: gdal.Band) -> Classes:
    """The classes that have a name, by a band's colour table and category names, or its attribute table."""
    table, names = band.GetColorTable(), band.GetCategoryNames() or []
    if table is None:  # it has no room for values above 65535 or below 0
        return _classes_in(band.GetDefaultRAT())
    found = []
    for value, name in enumerate(names[: table.GetCount()]):
        if name:
            found.append((value, name, "#{:02x}{:02x}{:02x}".format(*table.GetColorEntry(value)[:3])))
    return tuple(found)


def _classes_in(table: Optional[gdal.RasterAttributeTable]) -> Classes:
    """The classes of an attribute table that gives each value a name and a colour."""
    if table is None:
        return ()
    usages = (gdal.GFU_MinMax, gdal.GFU_Name, gdal.GFU_Red, gdal.GFU_Green, gdal.GFU_Blue)
    value, name, *colors = (table.GetColOfUsage(usage) for usage in usages)
    if min(value, name, *colors) < 0:
        return ()
    found = []
    for row in range(table.GetRowCount()):
        color = "#{:02x}{:02x}{:02x}".format(*(table.GetValueAsInt(row, column) for column in colors))
        found.append((table.GetValueAsInt(row, value), table.GetValueAsString(row, name), color))
    return tuple(one for one in found if one[1])


def is_dated(name: str, stem: str) -> bool:
    """Whether a file's name is the map's and a date, and nothing between: ``map_2`` is another map."""
    begin, _, date = name.rpartition("_")
    return begin == stem and parse_date(date) is not None


def _dated(path: Path, stem: str, classes: Classes) -> List[Result]:
    """The maps of each date in a folder, by date: those named like the map that say their date."""
    folder = path if path.is_dir() else path.parent
    found: Dict[dt.date, Result] = {}
    for file in sorted(folder.glob("*.tif")):
        if stem and not is_dated(file.stem, stem):
            continue
        result = read_result(DATED, file)
        date = parse_date(result.tags.get("TIMO_DATE", "")) if result else None
        if result is not None and date is not None:
            found[date] = replace(result, date=date, classes=result.classes or classes)
    return [found[date] for date in sorted(found)]
