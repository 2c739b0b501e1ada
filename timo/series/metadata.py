# SPDX-License-Identifier: GPL-3.0-or-later
"""What a raster's metadata tell: when it was taken, when it was written, and the dates of its bands.

The plugin has this file, too.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence

from .dates import FIRST_YEAR, LAST_YEAR, parse_date

# The acquisition, by the tag's name without what stands before '#' or ':'. GDAL's own first, then those of
# Landsat, HLS, Sentinel-2, MODIS, STAC and the Attribute Convention for Data Discovery.
_TAKEN = (
    "ACQUISITIONDATETIME", "ACQUISITION_DATE", "ACQUISITION_DATETIME", "DATE_ACQUIRED", "SENSING_TIME",
    "DATATAKE_1_DATATAKE_SENSING_START", "PRODUCT_START_TIME", "RANGEBEGINNINGDATE", "SYSTEM:TIME_START",
    "DATETIME", "TIME_COVERAGE_START",
)  # fmt: skip
_WRITTEN = "TIFFTAG_DATETIME"
_UNITS = re.compile(
    r"(?P<unit>second|sec|minute|min|hour|hr|day)s?\s+since\s+(?P<start>\d{1,4}-\d{1,2}-\d{1,2})"
    r"(?:[T ]+(?P<time>\d{1,2}:\d{1,2}(?::\d{1,2})?)?.*)?",
    re.IGNORECASE,
)
_SECONDS = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600, "day": 86_400}
_CALENDARS = {"", "standard", "gregorian", "proleptic_gregorian"}
_TIME_NAMES = ("time", "t", "date", "times", "valid_time")


def taken_on(tags: Mapping[str, str]) -> tuple[dt.date, str] | None:
    """The day of acquisition and the tag that tells it; None if no tag does."""
    by_name = {key.upper().removeprefix("NC_GLOBAL#"): (key, text) for key, text in tags.items()}
    for name in _TAKEN:
        if name in by_name:
            key, text = by_name[name]
            date = _moment(text)
            if date:
                return date, key
    return None


def written_on(tags: Mapping[str, str]) -> dt.date | None:
    """The day in TIFFTAG_DATETIME (YYYY:MM:DD hh:mm:ss): mostly when the file was made, not the scene."""
    return parse_date(tags.get(_WRITTEN, "").replace(":", "-", 2))


def _moment(text: str) -> dt.date | None:
    text = text.strip()
    if re.fullmatch(r"\d{12,13}(?:\.\d+)?", text):  # Earth Engine's milliseconds since 1970
        return _since(dt.datetime(1970, 1, 1), float(text) / 1000)
    first = re.split(r"[;,]", text)[0].strip().rstrip("Z")
    return parse_date(first) or parse_date(first[:10])


def band_dates(tags: Mapping[str, str], bands: Sequence[Mapping[str, str]]) -> list[dt.date | None]:
    """The dates of a netCDF variable's bands, None where a band has none.

    Args:
        tags: Of the variable: its time axis tells the unit, as ``time#units``.
        bands: The tags of each band: GDAL writes the axis' value there, as ``NETCDF_DIM_time``.
    """
    for axis in _TIME_NAMES:
        if not any(f"NETCDF_DIM_{axis}" in band for band in bands):
            continue
        units = _UNITS.match(tags.get(f"{axis}#units", "").strip())
        calendar = tags.get(f"{axis}#calendar", "").strip().lower()
        if units is None or calendar not in _CALENDARS:
            return [None] * len(bands)
        start = _start(units)
        step = _SECONDS[units["unit"].lower()]
        return [_axis_date(band.get(f"NETCDF_DIM_{axis}"), start, step) for band in bands]
    return [None] * len(bands)


def extra_axes(tags: Mapping[str, str]) -> str:
    """The values of a band's axes other than time, joined, such as 'B04'; empty where there are none."""
    times = {f"NETCDF_DIM_{axis}" for axis in _TIME_NAMES}
    values = [text for key, text in tags.items() if key.startswith("NETCDF_DIM_") and key not in times]
    return "_".join(values)


def _start(units: re.Match[str]) -> dt.datetime | None:
    year, month, day = (int(part) for part in units["start"].split("-"))
    hour, minute = (int(part) for part in (units["time"] or "0:0").split(":")[:2])
    try:
        return dt.datetime(year, month, day, hour, minute)
    except ValueError:
        return None


def _axis_date(text: str | None, start: dt.datetime | None, step: int) -> dt.date | None:
    try:
        return None if text is None or start is None else _since(start, float(text) * step)
    except ValueError:
        return None


def _since(start: dt.datetime, seconds: float) -> dt.date | None:
    try:
        date = (start + dt.timedelta(seconds=seconds)).date()
    except (OverflowError, ValueError):
        return None
    return date if FIRST_YEAR <= date.year <= LAST_YEAR else None


def scaling(tags: Mapping[str, str]) -> tuple[float, float] | None:
    """Scale and offset in a file's tags, where they are plain numbers; None if there are none.

    Exports often keep them there (SCALE, scale_factor; OFFSET, add_offset) and not as GDAL's own.
    """
    low = {key.lower(): text for key, text in tags.items()}
    try:
        scale = float(low.get("scale") or low.get("scale_factor") or "")
        offset = float(low.get("offset") or low.get("add_offset") or 0.0)
    except ValueError:
        return None
    return (scale, offset) if scale > 0 and abs(offset) < 1e6 else None
