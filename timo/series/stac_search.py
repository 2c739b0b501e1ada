# SPDX-License-Identifier: GPL-3.0-or-later
"""What to search a STAC catalogue for, and the file that holds it."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from timo import access
from timo.errors import OutputError, SeriesError
from timo.series.dates import parse_date

_DATES = "Write them as 2020-01-01/2020-12-31."
_BOX = "Write it as west, south, east, north in degrees, such as 4.1 50.2 4.6 50.5."


class StacSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A search of a STAC API: the scenes of some collections in a box and a time.

    Attributes:
        stac: The API's root, http or https.
        collections: Identifiers of collections. Scenes of one day are bands of one frame, as of files.
        bbox: West, south, east, north in degrees (WGS 84).
        dates: First and last day, "2020-01-01/2020-12-31".
        cloud: Per cent of clouds that a scene may have, by its ``eo:cloud_cover``; scenes that don't tell
            are kept.
        bands: Asset keys, band names, common names or roles; left out, every band with a known role.
        skip: Identifiers of scenes that are left out.
    """

    stac: str
    collections: list[str]
    bbox: tuple[float, float, float, float]
    dates: str
    cloud: float | None = None
    bands: list[str] = []
    skip: list[str] = []

    @property
    def days(self) -> tuple[dt.date, dt.date]:
        """First and last day."""
        first, last = (parse_date(day) for day in self.dates.split("/"))
        assert first is not None and last is not None  # noqa: S101 - check() saw to it
        return first, last


def make_search(
    url: str,
    collections: str | Sequence[str],
    bbox: Sequence[float],
    dates: str,
    cloud: float | None = None,
    bands: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> StacSearch:
    """A search whose parameters are right.

    Raises:
        SeriesError: Naming the one that is not.
    """
    given = {
        "stac": url,
        "collections": [collections] if isinstance(collections, str) else list(collections),
        "bbox": list(bbox),
        "dates": dates,
        "cloud": cloud,
        "bands": list(bands),
        "skip": list(skip),
    }
    return _convert(given, "The search")


def search_file(sources: object) -> Path | None:
    """The file of a search, if it is what ``sources`` name.

    Raises:
        SeriesError: A search stands beside other sources.
    """
    items = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)  # type: ignore[call-overload]
    searches = [item for item in items if isinstance(item, (str, os.PathLike)) and _is_json(item)]
    if not searches:
        return None
    if len(items) > 1:
        raise SeriesError(
            "stac_mixed",
            f"The search {searches[0]} stands beside other sources of the series.",
            "Give one search alone; it may name several collections.",
        )
    return Path(searches[0]).expanduser()


def _is_json(item: str | os.PathLike[str]) -> bool:
    return str(item).lower().endswith(".json") and "://" not in str(item)


def read_search(path: str | os.PathLike[str]) -> StacSearch:
    """Read a search from a JSON file.

    Raises:
        SeriesError: Naming the file, and the field that is wrong.
    """
    access.demand(path)
    try:
        given = msgspec.json.decode(Path(path).read_bytes())
    except (OSError, msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise SeriesError(
            "stac_file", f"{path} can't be read as a search: {told}.", "Make one with 'timo stac'."
        ) from error
    if not isinstance(given, dict) or "stac" not in given:
        raise SeriesError(
            "stac_file", f"{path} is no search of a STAC catalogue: it has no field 'stac'.",
            "Make one with 'timo stac', or name the rasters themselves.",
        )  # fmt: skip
    return _convert(given, str(path))


def write_search(search: StacSearch, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a search as a JSON file that every task takes as its series.

    Raises:
        OutputError: It can't be written, or exists.
    """
    target = Path(path)
    if target.suffix.lower() != ".json":
        raise OutputError(
            "stac_suffix", f"'{target}' is no name for a search.", "End it in .json: a series is known by it."
        )
    if target.exists() and not overwrite:
        raise OutputError("exists", f"'{target}' exists.", "Pick another name, or give --overwrite.")
    try:
        target.write_bytes(msgspec.json.format(msgspec.json.encode(search), indent=2) + b"\n")
    except OSError as error:
        raise OutputError(
            "stac_unwritable", f"'{target}' cannot be written: {error.strerror}.",
            "Pick a folder that you may write to.",
        ) from error  # fmt: skip


def _convert(given: Mapping[str, Any], where: str) -> StacSearch:
    try:
        search = msgspec.convert(given, StacSearch)
    except msgspec.ValidationError as error:
        told, _, place = str(error).partition(" - at ")
        field = place.strip("`").removeprefix("$.").split("[")[0]
        if field == "bbox":
            raise SeriesError("stac_bbox", f"{where} has a box that is not four numbers.", _BOX) from error
        named = f"a wrong field '{field}'" if field else "a wrong field"
        raise SeriesError(
            "stac_field", f"{where} has {named}: {told[:1].lower()}{told[1:]}.", "Correct it."
        ) from error
    _check_server(search, where)
    _check_box(search.bbox, where)
    _check_dates(search.dates, where)
    if search.cloud is not None and not 0 <= search.cloud <= 100:
        raise SeriesError(
            "stac_cloud", f"{where} has the cloud limit {search.cloud:g}.", "Give per cent, from 0 to 100."
        )
    return search


def _check_server(search: StacSearch, where: str) -> None:
    try:
        parts = urlsplit(search.stac)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        known = False
    if not known:
        raise SeriesError(
            "stac_url",
            f"{where} has the address '{search.stac}', which is no web address.",
            "Give the root of a STAC API, beginning with https://.",
        )
    if not search.collections or not all(one.strip() for one in search.collections):
        raise SeriesError(
            "stac_collections", f"{where} names no collection.", "Name one, such as sentinel-2-l2a."
        )


def _check_box(box: tuple[float, float, float, float], where: str) -> None:
    west, south, east, north = box
    shown = " ".join(f"{side:g}" for side in box)
    if not all(math.isfinite(side) for side in box) or max(abs(west), abs(east)) > 180:
        raise SeriesError("stac_bbox", f"{where} has the box {shown}, which is not in degrees.", _BOX)
    if max(abs(south), abs(north)) > 90:
        raise SeriesError(
            "stac_bbox", f"{where} has the box {shown}, whose latitudes lie beyond the poles.", _BOX
        )
    if west >= east or south >= north:
        wrong = "west is not west of its east" if west >= east else "south is not south of its north"
        raise SeriesError("stac_bbox", f"{where} has the box {shown}, whose {wrong}.", _BOX)


def _check_dates(dates: str, where: str) -> None:
    days = [parse_date(day) for day in dates.split("/")]
    if len(days) != 2 or None in days:
        raise SeriesError("stac_dates", f"{where} has the dates '{dates}', which are not two days.", _DATES)
    first, last = days
    assert first is not None and last is not None  # noqa: S101
    if first > last:
        raise SeriesError(
            "stac_dates", f"{where} has the dates '{dates}', which end before they begin.", _DATES
        )
