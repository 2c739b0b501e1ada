# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that hold many dates in their bands: which band is of which date.

Only what is certain is taken: dates in the bands' names, a time axis, numbered bands with a period in the
file's name that they divide evenly, or a text file with a date for each band.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from timo import access
from timo.errors import SeriesError
from timo.series.dates import calendar_dates, parse_date
from timo.series.facts import Facts, is_remote, name_of

HOW = (
    "Give a CSV with columns path,band,date[,name] and a line for each band, or write each date to a raster "
    "of its own."
)
_LARGEST_TEXT = 1_000_000  # bytes; a list of dates is smaller
_NUMBERED = re.compile(r"(?P<base>.+?)_(?P<step>\d{1,4})")


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
    """Dates in the bands' names, such as B04_2020-08-01; what stands beside the date is the band's name."""
    dates: list[dt.date | None] = []
    rest: list[str] = []
    for name in names:
        found = calendar_dates(name)
        if len({date for date, _ in found}) > 1:
            return None
        dates.append(found[0][0] if found else None)
        text = re.sub(rf"{re.escape(found[0][1])}(?:T\d{{4,6}}Z?)?", " ", name) if found else name
        rest.append(re.sub(r"^[\s_.-]+|[\s_.-]+$|\s+(?=[_.-])|(?<=[_.-])\s+", "", text).strip())
    known = [date for date in dates if date]
    if not known:
        return None
    undated = [name for name, date in zip(names, dates) if not date]
    note = None
    if undated:
        note = f"{facts.path.name} has bands without a date, which are left out: {', '.join(undated[:5])}."
    return Stack(_group(facts, dates, rest), note)


def _from_numbers(facts: Facts, names: Sequence[str]) -> Stack | None:
    """Bands named B1, B1_1, B1_2, ...: one step each of the period in the file's name."""
    found = _steps_of(names)
    if found is None:
        return None
    steps, places = found
    period = sorted({date for date, _ in calendar_dates(name_of(facts.path))})
    dates = _divide(period[0], period[1], steps) if len(period) == 2 else None
    if dates is None:
        raise _refusal(
            facts, f"has {steps} bands of each name, numbered like steps in time, but tells no dates"
        )
    slices = _group(facts, [dates[p[1]] if p else None for p in places], [p[0] if p else "" for p in places])
    lengths = {(later - date).days for date, later in pairwise(dates)}
    length = f"{lengths.pop()} days" if len(lengths) == 1 else "a month"
    note = (
        f"{facts.path.name} holds {steps} steps of {length} from {dates[0]}, by the period in its name: each "
        "counts as its first day."
    )
    left = [name for name, place in zip(names, places) if place is None]
    if left:
        note += f" Its bands {', '.join(left[:5])} have no date and are left out."
    return Stack(slices, note)


def _steps_of(names: Sequence[str]) -> tuple[int, list[tuple[str, int] | None]] | None:
    """How many steps numbered bands have, and each band's base and step (None where it has one alone)."""
    plain = set(names)
    places: list[tuple[str, int] | None] = []
    for name in names:
        match = _NUMBERED.fullmatch(name)
        stepped = match is not None and match["base"] in plain
        places.append((match["base"], int(match["step"])) if match and stepped else (name, 0))
    counts = Counter(place[0] for place in places if place)
    repeated = {base: n for base, n in counts.items() if n > 1}
    if not repeated or "" in repeated:
        return None
    steps = Counter(repeated.values()).most_common(1)[0][0]
    members = {base for base, n in repeated.items() if n == steps}
    kept = [place if place and place[0] in members else None for place in places]
    complete = all({p[1] for p in kept if p and p[0] == base} == set(range(steps)) for base in members)
    if not complete or sum(p is not None for p in kept) * 2 < len(names):
        return None
    return steps, kept


def _divide(start: dt.date, end: dt.date, steps: int) -> list[dt.date] | None:
    """The first days of months, or of as many days each, that fill a period exactly; None if none do."""
    months = (end.year - start.year) * 12 + end.month - start.month
    to_the_last = start.day == 1 and (end + dt.timedelta(days=1)).day == 1 and months + 1 == steps
    if to_the_last or (start.day == end.day <= 28 and months == steps):
        first = start.year * 12 + start.month - 1
        return [dt.date((first + k) // 12, (first + k) % 12 + 1, start.day) for k in range(steps)]
    days, rest = divmod((end - start).days, steps)
    if rest == 0 and 28 <= days <= 31:
        return [start + dt.timedelta(days=days * k) for k in range(steps)]
    return None


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
