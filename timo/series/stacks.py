# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that hold many dates in their bands: which band is of which date.

Only what is certain is taken: dates in the bands' names, a time axis, numbered bands with a period in the
file's name that they divide evenly, or a text file with a date for each band.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from timo import access
from timo.errors import SeriesError
from timo.series.dates import calendar_dates, parse_date
from timo.series.facts import Facts, is_remote, name_of
from timo.series.steps import steps_by_name, steps_by_number

HOW = (
    "Give a CSV with columns path,band,date[,name] and a line for each band, or write each date to a raster "
    "of its own."
)
_LARGEST_TEXT = 1_000_000  # bytes; a list of dates is smaller


@dataclass(frozen=True)
class Slice:
    """The bands of one date: places in the file, from 1, and names, empty where none is told."""

    date: dt.date
    indexes: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Stack:
    """A file's slices, rising by date, and how their dates were found."""

    slices: tuple[Slice, ...]
    note: str | None = None


def stack_of(facts: Facts) -> Stack | None:
    """The dates in a file's bands; None if it is of one date, which its name may tell.

    Raises:
        SeriesError: The bands are numbered or named like steps in time, but nothing tells the dates.
    """
    if facts.dates and all(facts.dates):
        return _from_axis(facts)
    names = [(name or "").strip() for name in facts.descriptions]
    return _from_names(facts, names) or _from_numbers(facts, names) or _from_text(facts, names)


def _group(facts: Facts, dates: Sequence[dt.date | None], names: Sequence[str]) -> tuple[Slice, ...]:
    by_date: dict[dt.date, list[tuple[int, str]]] = {}
    for index, date, name in zip(facts.indexes, dates, names, strict=True):
        if date:
            by_date.setdefault(date, []).append((index, name))
    slices = []
    for date in sorted(by_date):
        indexes, given = zip(*by_date[date])
        if len(set(given)) < len(given):
            raise _refusal(facts, f"has two bands of {date} with the same name")
        slices.append(Slice(date, indexes, given))
    return tuple(slices)


def _from_axis(facts: Facts) -> Stack:
    names = [name or facts.variable or "" for name in facts.descriptions]
    return Stack(_group(facts, facts.dates, names))


def _from_names(facts: Facts, names: Sequence[str]) -> Stack | None:
    """Dates in the bands' names, such as B04_2020-08-01."""
    steps = steps_by_name(names)
    if steps is None:
        return None
    undated = [name for name, date in zip(names, steps.dates, strict=True) if not date]
    note = None
    if undated:
        note = f"{facts.path.name} has bands without a date, which are left out: {', '.join(undated[:5])}."
    return Stack(_group(facts, steps.dates, steps.names), note)


def _from_numbers(facts: Facts, names: Sequence[str]) -> Stack | None:
    """Bands named B1, B1_1, B1_2, ...: one step each of the period in the file's name."""
    steps = steps_by_number(names, name_of(facts.path))
    if steps is None:
        return None
    dates = sorted({date for date in steps.dates if date})
    if not dates:
        raise _refusal(
            facts, f"has {steps.count} bands of each name, numbered like steps in time, but tells no dates"
        )
    lengths = {(later - date).days for date, later in pairwise(dates)}
    length = f"{lengths.pop()} days" if len(lengths) == 1 else "a month"
    note = (
        f"{facts.path.name} holds {steps.count} steps of {length} from {dates[0]}, by the period in its "
        "name: each counts as its first day."
    )
    left = [name for name, date in zip(names, steps.dates, strict=True) if date is None]
    if left:
        note += f" Its bands {', '.join(left[:5])} have no date and are left out."
    return Stack(_group(facts, steps.dates, steps.names), note)


def _from_text(facts: Facts, names: Sequence[str]) -> Stack | None:
    """A text file beside the raster with as many lines as it has bands, each a date."""
    if len(names) < 2 or is_remote(facts.path) or calendar_dates(name_of(facts.path)):
        return None
    stem = name_of(facts.path)
    named = [facts.path.with_name(stem + end) for end in (".txt", "_dates.txt", "_timeline.txt")]
    found = [(path, dates) for path in named if (dates := _lines(path, len(names)))]
    if not found:
        try:
            others = sorted(facts.path.parent.glob("*.txt"))
        except OSError:
            others = []
        found = [(path, dates) for path in others if (dates := _lines(path, len(names)))]
        if len(found) > 1:
            raise _refusal(facts, f"has {len(names)} bands, and more than one text file has as many dates")
    if not found:
        return None
    path, dates = found[0]
    given = names if all(names) and len(set(names)) < len(names) else [""] * len(names)
    return Stack(_group(facts, dates, given), f"The dates of {facts.path.name} are the lines of {path.name}.")


def _lines(path: Path, count: int) -> list[dt.date] | None:
    """The dates in a text file, if it has so many lines and each is one."""
    access.demand(path)
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_TEXT:
            return None
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError):
        return None
    dates = [parse_date(line.strip().strip('"')) for line in lines if line.strip()]
    known = [date for date in dates if date]
    return known if len(known) == len(dates) == count else None


def _refusal(facts: Facts, what: str) -> SeriesError:
    return SeriesError("stacked_dates", f"{facts.path.name} {what}.", HOW)
