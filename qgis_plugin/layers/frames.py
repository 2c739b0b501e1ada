# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a series: the project's rasters, or a search's days, as the analyst ticks and edits them."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from qgis.core import QgsMapLayer, QgsRasterLayer

from .._client.dates import parse_date
from ..i18n import tr, trn
from .clear import Clear
from .file_dates import NOTHING, FileDates, Step
from .raster_facts import UNUSED, Box, Facts, band_keys, is_mask
from .series_store import DATE, SENSOR, TICKED, Series
from .sources import is_result


@dataclass(frozen=True)
class Row:
    """One raster layer, or one day of a search.

    Attributes:
        layer_id: Of the layer; of a day of a search its date.
        path: Its file; None if it has none that the backend could read.
        source: What GDAL opens; empty where that is not on this computer.
        steps: The dates of its bands, where these are of several; none where the analyst has typed one.
        edited: Whether the date was typed in.
        bands: Names of its bands; empty strings where they have none.
        roles: What they measure; empty where nothing tells, "-" where the analyst leaves a band out.
        band_keys: By what its bands are known where the analyst says what they measure.
        recalled: Those of the keys whose role was said of another series.
        mapped: Whether the roles are other than the names tell.
        mask: Whether it tells clouds, and no ground.
        scenes: Of a day of a search, the scenes' names.
        clear: Share of pixels that show the ground, 0 to 1; None where it is not known yet.
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
    source: str = ""
    steps: Tuple[Step, ...] = ()
    sensor: str = ""
    sensor_edited: bool = False
    told_sensor: str = ""
    roles: Tuple[str, ...] = ()
    band_keys: Tuple[str, ...] = ()
    recalled: Tuple[str, ...] = ()
    mapped: bool = False
    told_crs: str = ""
    box: Optional[Box] = None
    grid: Tuple[Any, ...] = ()
    pixel: Optional[float] = None
    """Side of a square of a pixel's area in metres; None where it is not known."""
    nodata: Optional[float] = None
    added_nodata: Optional[float] = None
    tells_nodata: bool = True
    mask: bool = False
    scenes: Tuple[str, ...] = ()
    clear: Optional[float] = field(default=None, compare=False)
    filler: Optional[float] = field(default=None, compare=False)
    """Share of pixels that are 0 in all bands though no nodata value says so."""
    problem: str = ""
    note: str = ""
    fault: str = ""
    twin: str = field(default="", compare=False)
    """The layer of the same date and bands."""

    @property
    def size(self) -> str:
        """Width and height in words."""
        return f"{self.width} × {self.height}" if self.width else ""


def fits(layer: QgsMapLayer) -> bool:
    """Whether a series can be made of a layer: a raster of a file or a service of GDAL's, and no result."""
    return isinstance(layer, QgsRasterLayer) and layer.providerType() == "gdal" and not is_result(layer)


class RowMaker:
    """Makes rows, and keeps those of which nothing has changed: most of them at every tick."""

    def __init__(self) -> None:
        self._made: Dict[str, Tuple[Any, Row]] = {}

    def rows(
        self,
        facts: Mapping[str, Facts],
        series: Series,
        clear: Mapping[str, Clear],
        told: Mapping[str, FileDates],
    ) -> List[Row]:
        """What a series can be made of, by date and name: rasters by layer id, or a search's days.

        Args:
            facts: By layer id.
            series: What the analyst knows better.
            clear: By layer id.
            told: What files tell of their dates, by ``Facts.source``.
        """
        if series.search:
            return _days(series)
        bands = _bands_key(series)
        rows = [
            self.row(ident, one, series, clear.get(ident), told.get(one.source, NOTHING), bands)
            for ident, one in facts.items()
        ]
        return sorted(rows, key=lambda row: (row.date or dt.date.max, row.name.lower()))

    def row(
        self,
        layer_id: str,
        facts: Facts,
        series: Series,
        seen: Optional[Clear],
        told: FileDates,
        bands: str = "",
    ) -> Row:
        """One layer's row."""
        said = tuple(series.layers.get(layer_id, {}).items())
        key = (facts, said, bands or _bands_key(series), seen, told)
        kept = self._made.get(layer_id)
        if kept is None or kept[0] != key:
            kept = self._made[layer_id] = (key, make_row(layer_id, facts, series, seen, told))
        return kept[1]


def _bands_key(series: Series) -> str:
    return json.dumps([series.bands, series.recalled], sort_keys=True)


def make_row(
    layer_id: str,
    facts: Facts,
    series: Series,
    clear: Optional[Clear] = None,
    told: FileDates = NOTHING,
) -> Row:
    """A layer's row: what it tells, and what the analyst knows better."""
    written, typed = series.get(layer_id, DATE), series.get(layer_id, SENSOR)
    kept = parse_date(written) if written else None
    sensor = typed or facts.sensor
    said, before = series.bands.get(sensor, {}), series.recalled.get(sensor, {})
    guessed = tuple(facts.role(number, sensor) for number in range(len(facts.bands)))
    keys = band_keys(facts.bands, guessed)
    roles = tuple(said.get(key, guess or before.get(key, "")) for key, guess in zip(keys, guessed))
    date, note = _date(facts, told)
    return Row(
        layer_id=layer_id,
        name=facts.name,
        path=facts.path,
        source=facts.source,
        steps=told.steps if kept is None else (),
        date=kept or date,
        edited=kept is not None,
        ticked=series.get(layer_id, TICKED) == "true",
        bands=facts.bands,
        width=facts.width,
        height=facts.height,
        crs=facts.crs,
        sensor=sensor,
        sensor_edited=bool(typed),
        told_sensor=sensor if sensor != facts.file_sensor else "",
        roles=roles,
        band_keys=keys,
        recalled=tuple(
            key for key, guess in zip(keys, guessed) if key not in said and not guess and before.get(key)
        ),
        mapped=roles != guessed,
        told_crs=facts.told_crs,
        box=facts.box,
        grid=facts.grid,
        pixel=facts.pixel,
        nodata=facts.nodata,
        added_nodata=facts.added_nodata,
        tells_nodata=facts.tells_nodata,
        mask=facts.mask,
        clear=clear.share if clear else None,
        filler=clear.filler if clear else None,
        note=note if kept is None else "",
    )


def _date(facts: Facts, told: FileDates) -> Tuple[Optional[dt.date], str]:
    """The date of the metadata, else of the names, as ``timo.series.dating`` has it; what is doubtful."""
    found = facts.found
    if told.steps:
        return None, ""
    if told.taken is None:
        return (found.date, found.problem or "") if found else (None, "")
    date, tag = told.taken
    same = found is None or found.date == (date.replace(day=1) if found.month_alone else date)
    if found is None or same or not (facts.named and tag):
        return date, ""
    return date, tr(
        "Its name tells {name}, and {tag} in its file {date}, which was taken.",
        name=found.date, tag=tag, date=date,
    )  # fmt: skip


def write_date(series: Series, layer_id: str, text: str) -> bool:
    """Keep a date that was typed in; an empty text goes back to the name's.

    Returns:
        Whether the text is a date, or empty.
    """
    date = parse_date(text) if text.strip() else None
    if text.strip() and date is None:
        return False
    series.put(layer_id, DATE, date.isoformat() if date else "")
    return True


def ticked(rows: Sequence[Row]) -> List[Row]:
    """The rows of the series."""
    return [row for row in rows if row.ticked]


def dates(rows: Sequence[Row]) -> List[dt.date]:
    """The series' dates, each once."""
    return sorted({row.date for row in rows if row.ticked and row.date and not row.problem})


def why_not(rows: Sequence[Row], fewest: int = 1) -> str:
    """Why the ticked rows are no series, in a sentence that says what to do; empty if they are one."""
    chosen = ticked(rows)
    if not chosen:
        return tr("Tick the dated layers of your series on the Series page.")
    faulty = [row for row in chosen if row.problem]
    if faulty:
        more = len(faulty) - 1
        text = f"{faulty[0].name}: {faulty[0].problem}"
        return (
            f"{text} " + trn("({count} more with problems)", "({count} more with problems)", more)
            if more
            else text
        )
    if len(dates(rows)) < fewest:
        return tr("Tick at least {number} dated layers on the Series page.", number=number(fewest))
    return ""


def summary(rows: Sequence[Row]) -> str:
    """The series in a sentence."""
    chosen = ticked(rows)
    if not rows:
        return tr(
            "The project has no raster layers yet. Add one raster for each date: drag the files into QGIS."
        )
    if not chosen and rows[0].scenes:
        return trn("{count} date found, not ticked.", "{count} dates found, none ticked.", len(rows))
    if not chosen:
        return trn(
            "{count} raster layer in the project, none ticked.",
            "{count} raster layers in the project, none ticked.",
            len(rows),
        )
    days = dates(rows)
    parts = trn("{count} layer ticked", "{count} layers ticked", len(chosen))
    if chosen[0].scenes:
        parts = trn("{count} scene", "{count} scenes", sum(len(row.scenes) for row in chosen))
    text = f"{parts}, " + trn("{count} date", "{count} dates", len(days))
    if len(days) > 1:
        return tr("{counts} from {first} to {last}.", counts=text, first=days[0], last=days[-1])
    return f"{text}, {days[0].isoformat()}." if days else f"{text}."


def brief(rows: Sequence[Row]) -> str:
    """The series in a few words; empty if there is none."""
    days = dates(rows)
    if not days:
        return tr("nothing ticked yet")
    text = trn("{count} date", "{count} dates", len(days))
    return tr("{counts}, {first} to {last}", counts=text, first=days[0], last=days[-1])


def recalled(rows: Sequence[Row], names: str) -> str:
    """That roles were taken from another series, and which."""
    roles = dict.fromkeys(
        tr("not used") if role == UNUSED else role
        for row in rows
        for key, role in zip(row.band_keys, row.roles)
        if key in row.recalled
    )
    return tr(
        "What the bands of {names} measure was taken from what you said before: {roles}.",
        names=names,
        roles=", ".join(roles),
    )


# Files of a series have the same few bands.


@lru_cache(maxsize=256)
def backend_keys(bands: Tuple[str, ...], roles: Tuple[str, ...]) -> FrozenSet[str]:
    """By what the backend knows the bands of a file: ``Band.key`` in ``timo.series.bands``; no masks."""
    found: Set[str] = set()
    for number, (name, role) in enumerate(zip(bands, roles), 1):
        if role != UNUSED and not is_mask(name):
            found.add(role if role and role not in found else name or f"band_{number}")
    return frozenset(found)


def number(count: int) -> str:
    """A small number in words."""
    words = {1: tr("one"), 2: tr("two"), 3: tr("three"), 4: tr("four"), 5: tr("five"), 6: tr("six")}
    return words.get(count, str(count))


def _days(series: Series) -> List[Row]:
    rows = []
    for day in series.days:
        date, clouds = parse_date(str(day.get("date", ""))), day.get("clouds")
        scenes = tuple(str(scene) for scene in day.get("scenes", ()))
        if date is None or not scenes:
            continue
        rows.append(
            Row(
                layer_id=date.isoformat(),
                name=scenes[0] if len(scenes) == 1 else f"{scenes[0]} + {len(scenes) - 1}",
                path=None,
                date=date,
                edited=False,
                ticked=series.get(date.isoformat(), TICKED) == "true",
                bands=(),
                width=0,
                height=0,
                crs="",
                sensor=", ".join(series.search.get("collections", [])),
                scenes=scenes,
                clear=None if clouds is None else 1 - float(clouds) / 100,
            )
        )
    return rows
