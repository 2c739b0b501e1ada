# SPDX-License-Identifier: GPL-3.0-or-later
"""The named series of a project, kept in its file: what is ticked and what the analyst knows better."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, Dict, List, Mapping

from qgis.core import QgsProject

from ..i18n import tr
from ..settings import Settings

SCOPE, KEY = "timo", "series"
DATE_PROPERTY = "timo/date"
TICK_PROPERTY = "timo/ticked"
"""Where the plugin kept dates and ticks before series had names: projects of then still open right."""
TICKED, DATE, SENSOR = "ticked", "date", "sensor"


@dataclass
class Series:
    """One series.

    Attributes:
        layers: By layer id: ``ticked`` ("true"), ``date`` and ``sensor`` where they were typed in.
        bands: Roles by sensor and band, as ``raster_facts.band_keys`` names it; "-" for a band that is not
            used.
        recalled: The same as it was said of other series before this one was made: it holds where files tell
            nothing.
        search: Of a STAC catalogue, as ``timo stac --out`` writes it; empty: the series is of layers.
        days: What the search found: ``date``, ``scenes`` (their names) and ``clouds`` (percent or None).
    """

    name: str
    layers: Dict[str, Dict[str, str]] = field(default_factory=dict)
    bands: Dict[str, Dict[str, str]] = field(default_factory=dict)
    recalled: Dict[str, Dict[str, str]] = field(default_factory=dict)
    search: Dict[str, Any] = field(default_factory=dict)
    days: List[Dict[str, Any]] = field(default_factory=list)

    def get(self, layer_id: str, what: str) -> str:
        """What is kept of a layer; empty if nothing is."""
        return self.layers.get(layer_id, {}).get(what, "")

    def put(self, layer_id: str, what: str, value: str) -> None:
        """Keep something of a layer; an empty value forgets it."""
        kept = self.layers.setdefault(layer_id, {})
        if value:
            kept[what] = value
        else:
            kept.pop(what, None)
        if not kept:
            del self.layers[layer_id]


class SeriesStore:
    """Reads and writes a project's series. One of them is the current one; there is always one.

    Args:
        project: The project.
        settings: What the series of a new project is called, and what was said of bands, as saved last.
    """

    def __init__(self, project: QgsProject, settings: Settings) -> None:
        self._project = project
        self._settings = settings
        self.all: List[Series] = []
        self.current = Series("")
        self.load()

    @property
    def names(self) -> List[str]:
        """Of all series, in the order in which they were made."""
        return [series.name for series in self.all]

    def load(self) -> None:
        """Read the project's series again."""
        text, _ = self._project.readEntry(SCOPE, KEY, "")
        try:
            kept = json.loads(text) if text else {}
            self.all = [_series(one) for one in kept.get("all", [])]
        except (ValueError, TypeError, AttributeError):  # written by another program
            kept, self.all = {}, []
        if not self.all:
            self.all = [self._former()]
        wanted = [series for series in self.all if series.name == kept.get("current")]
        self.current = (wanted or self.all)[0]

    def save(self) -> None:
        """Write them into the project, which is then unsaved."""
        kept = {"current": self.current.name, "all": [vars(series) for series in self.all]}
        self._project.writeEntry(SCOPE, KEY, json.dumps(kept, separators=(",", ":")))

    def choose(self, name: str) -> None:
        """Make another series the current one."""
        self.current = next((series for series in self.all if series.name == name), self.current)
        self.save()

    def new(self, name: str) -> None:
        """Make an empty series; it is the current one."""
        self._add(self._empty(self.free(name)))

    def duplicate(self) -> None:
        """Make another series like the current one."""
        copy = _series(json.loads(json.dumps(vars(self.current))))
        copy.name = self.free(self.current.name)
        self._add(copy)

    def rename(self, name: str) -> None:
        """Give the current series another name."""
        if name.strip() and name.strip() != self.current.name:
            self.current.name = self.free(name)
            self.save()

    def delete(self) -> None:
        """Forget the current series; its layers stay in the project."""
        place = self.all.index(self.current)
        self.all.remove(self.current)
        if not self.all:
            self.all.append(self._empty(tr("series")))
        self.current = self.all[min(place, len(self.all) - 1)]
        self.save()

    def say(self, sensor: str, roles: Mapping[str, str]) -> None:
        """Keep what bands of a sensor measure: for this series, and for those that will be made."""
        known = _copy(self._settings.bands)
        for kept in (self.current.bands, known):
            kept.setdefault(sensor, {}).update(roles)
        self._settings.save(bands=known)
        self.save()

    def free(self, name: str) -> str:
        """This name, or one with a number behind it where a series has it already."""
        base = name.strip() or tr("series")
        found, number = base, 1
        while found in self.names:
            number += 1
            found = f"{base} {number}"
        return found

    def _empty(self, name: str) -> Series:
        return Series(name, recalled=_copy(self._settings.bands))

    def _add(self, series: Series) -> None:
        self.all.append(series)
        self.current = series
        self.save()

    def _former(self) -> Series:
        """The series of a project that has none yet: of ticks and dates that layers have."""
        series = self._empty(self._settings.series_name or tr("series"))
        for layer in self._project.mapLayers().values():
            if str(layer.customProperty(TICK_PROPERTY, "")).lower() == "true":
                series.put(layer.id(), TICKED, "true")
            series.put(layer.id(), DATE, str(layer.customProperty(DATE_PROPERTY, "") or ""))
        return series


def _copy(bands: Mapping[str, Mapping[str, str]]) -> Dict[str, Dict[str, str]]:
    return {sensor: dict(roles) for sensor, roles in bands.items() if isinstance(roles, Mapping)}


def _series(kept: Mapping[str, Any]) -> Series:
    """A series as it was kept; what is of a wrong kind is left out."""
    series = Series(str(kept["name"]) if kept.get("name") else tr("series"))
    for entry in fields(Series):
        value = kept.get(entry.name)
        if isinstance(value, type(getattr(series, entry.name))):
            setattr(series, entry.name, value)
    series.layers = {key: value for key, value in series.layers.items() if isinstance(value, dict)}
    series.bands, series.recalled = _copy(series.bands), _copy(series.recalled)
    return series
