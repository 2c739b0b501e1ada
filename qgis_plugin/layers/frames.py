# SPDX-License-Identifier: GPL-3.0-or-later
"""The series as the analyst ticks it: which rasters there are, of which date, and what is wrong."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer

from .._client.dates import date_from_name, parse_date
from .sources import is_result, layer_file, safe_name

DATE_PROPERTY = "timo/date"
TICK_PROPERTY = "timo/ticked"
_BAND_WORD = re.compile(
    r"b(?:and)?\d{1,2}a?|coastal|blue|green|red|rededge\d*|nir\d*|swir\d*|pan|cirrus|thermal\d*|lwir\d*"
    r"|vv|vh|hh|hv"
)


@dataclass(frozen=True)
class Row:
    """One raster layer.

    Attributes:
        path: Its file; None if it has none that the backend could read.
        bands: Names of its bands; empty strings where they have none.
        problem: What keeps it from being used, as a sentence that says what to do; empty if nothing.
        note: What is worth knowing about it, as a sentence.
        fault: The problem, or else the note, in two words.
    """

    layer_id: str
    name: str
    path: Optional[Path]
    date: Optional[dt.date]
    edited: bool
    ticked: bool
    bands: Tuple[str, ...]
    width: int
    height: int
    crs: str
    problem: str = ""
    note: str = ""
    fault: str = ""

    @property
    def size(self) -> str:
        """Width and height in words."""
        return f"{self.width} × {self.height}"


def read_rows(project: QgsProject) -> List[Row]:
    """The project's rasters that a series can be made of, by date and name; results are not among them."""
    layers = [layer for layer in project.mapLayers().values() if _fits(layer)]
    rows = [_row(layer) for layer in layers]
    return sorted(rows, key=lambda row: (row.date or dt.date.max, row.name.lower()))


def read_row(layer: QgsRasterLayer) -> Row:
    """What a series takes of one raster layer."""
    return _row(layer)


def write_edit(layer: QgsRasterLayer, text: str) -> bool:
    """Keep a date that was typed in with the layer; an empty text goes back to the name's.

    Returns:
        Whether the text is a date, or empty.
    """
    if not text.strip():
        layer.removeCustomProperty(DATE_PROPERTY)
        return True
    date = parse_date(text)
    if date is None:
        return False
    layer.setCustomProperty(DATE_PROPERTY, date.isoformat())
    return True


def check(rows: Sequence[Row]) -> List[Row]:
    """The rows with what is wrong, seen together: only ticked rows disturb each other."""
    by_date: Dict[dt.date, List[Row]] = {}
    for row in rows:
        if row.ticked and row.date and row.path:
            by_date.setdefault(row.date, []).append(row)
    checked = []
    for row in rows:
        fault, problem, note = "Two dates" if row.note else "", "", row.note
        others = [other for other in by_date.get(row.date, []) if other is not row] if row.date else []
        if row.path is None:
            fault, problem = "No file", "It is no file that the backend could read: untick it."
        elif row.date is None:
            fault, problem = "No date", "It has no date in its name: double-click its Date and type one."
        elif row.ticked and others:
            twins = [other for other in others if _share_bands(row, other)]
            if twins:
                fault = "Duplicate"
                problem = f"It has the same date and bands as {twins[0].name}: untick one of them."
            else:
                fault = "Joined"
                note = f"Makes one date with {', '.join(other.name for other in others)}."
        checked.append(replace(row, fault=fault, problem=problem, note=note))
    return checked


def ticked(rows: Sequence[Row]) -> List[Row]:
    """The rows of the series."""
    return [row for row in rows if row.ticked]


def dates(rows: Sequence[Row]) -> List[dt.date]:
    """The series' dates, each once."""
    return sorted({row.date for row in rows if row.ticked and row.date and not row.problem})


def why_not(rows: Sequence[Row], fewest: int = 2) -> str:
    """Why the ticked rows are no series, in a sentence that says what to do; empty if they are one."""
    chosen = ticked(rows)
    if not chosen:
        return "Tick the dated layers of your series on the Series page."
    faulty = [row for row in chosen if row.problem]
    if faulty:
        more = f" ({len(faulty) - 1} more with problems)" if len(faulty) > 1 else ""
        return f"{faulty[0].name}: {faulty[0].problem}{more}"
    if len(dates(rows)) < fewest:
        return f"Tick at least {number(fewest)} dated layers on the Series page."
    return ""


def summary(rows: Sequence[Row]) -> str:
    """The series in a sentence."""
    chosen = ticked(rows)
    if not rows:
        return "The project has no raster layers yet. Add one raster for each date: drag the files into QGIS."
    if not chosen:
        return f"{_count(len(rows), 'raster layer')} in the project, none ticked."
    days = dates(rows)
    text = f"{_count(len(chosen), 'layer')} ticked, {_count(len(days), 'date')}"
    if days:
        text += (
            f" from {days[0].isoformat()} to {days[-1].isoformat()}"
            if len(days) > 1
            else f", {days[0].isoformat()}"
        )
    return f"{text}."


def brief(rows: Sequence[Row]) -> str:
    """The series in a few words; empty if there is none."""
    days = dates(rows)
    if not days:
        return "nothing ticked yet"
    return f"{_count(len(days), 'date')}, {days[0].isoformat()} to {days[-1].isoformat()}"


def write_csv(rows: Sequence[Row], folder: Path, name: str) -> Path:
    """Write the ticked rows as a CSV of path and date, which is what jobs read.

    The file's name holds a digest of its content: a job that waits keeps the series it was given.

    Raises:
        OSError: It cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "date"))
    for row in ticked(rows):
        if row.path is not None and row.date is not None:
            writer.writerow((str(row.path.absolute()), row.date.isoformat()))
    data = text.getvalue().encode("utf-8")
    path = folder / f"{safe_name(name)}-{hashlib.sha256(data).hexdigest()[:8]}.csv"
    path.write_bytes(data)
    return path


def number(count: int) -> str:
    """A small number in words."""
    return {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}.get(count, str(count))


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _fits(layer: QgsMapLayer) -> bool:
    return isinstance(layer, QgsRasterLayer) and layer.providerType() == "gdal" and not is_result(layer)


def _row(layer: QgsRasterLayer) -> Row:
    path = layer_file(layer)
    kept = parse_date(str(layer.customProperty(DATE_PROPERTY, "")))
    found = None
    for text in (path.name if path else "", layer.name(), path.parent.name if path else ""):
        found = date_from_name(text) if text else None
        if found:
            break
    return Row(
        layer_id=layer.id(),
        name=layer.name(),
        path=path if layer.isValid() else None,
        date=kept or (found.date if found else None),
        edited=kept is not None,
        ticked=str(layer.customProperty(TICK_PROPERTY, "")).lower() == "true",
        bands=_band_names(layer, path),
        width=layer.width(),
        height=layer.height(),
        crs=layer.crs().authid(),
        note=(found.problem or "") if found and not kept else "",
    )


def _band_names(layer: QgsRasterLayer, path: Optional[Path]) -> Tuple[str, ...]:
    """Names of the bands; a nameless single band has that of its file's last word that names one: X_B02."""
    names = tuple(_band_name(layer.bandName(band)) for band in range(1, layer.bandCount() + 1))
    if names != ("",) or path is None:
        return names
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    return (next((word for word in reversed(words) if _BAND_WORD.fullmatch(word)), ""),)


def _band_name(text: str) -> str:
    """A band's own name, without the "Band 1: " that QGIS puts before it in every language."""
    return re.sub(r"^[^\d:]*\d+(\s*\([^)]*\))?(:\s*|$)", "", text).strip().lower()


def _share_bands(row: Row, other: Row) -> bool:
    named, theirs = set(filter(None, row.bands)), set(filter(None, other.bands))
    return bool(named & theirs) or not named or not theirs
