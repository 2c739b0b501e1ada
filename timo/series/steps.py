# SPDX-License-Identifier: GPL-3.0-or-later
"""Many dates in one file: those that its bands tell by their names. The plugin has this file, too."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .dates import calendar_dates

_NUMBERED = re.compile(r"(?P<base>.+?)_(?P<step>\d{1,4})")


@dataclass(frozen=True)
class Steps:
    """Of each band its date, and its name without it.

    Attributes:
        dates: None where a band has none: all of them where steps are numbered and nothing tells their dates.
        names: Empty where there is none.
        count: How many steps there are.
    """

    dates: tuple[dt.date | None, ...]
    names: tuple[str, ...]
    count: int


def steps_by_name(names: Sequence[str]) -> Steps | None:
    """Dates in the bands' names, such as B04_2020-08-01; None if there is none, or one name has several."""
    dates: list[dt.date | None] = []
    rest: list[str] = []
    for name in names:
        found = calendar_dates(name)
        if len({date for date, _ in found}) > 1:
            return None
        dates.append(found[0][0] if found else None)
        text = re.sub(rf"{re.escape(found[0][1])}(?:T\d{{4,6}}Z?)?", " ", name) if found else name
        rest.append(re.sub(r"^[\s_.-]+|[\s_.-]+$|\s+(?=[_.-])|(?<=[_.-])\s+", "", text).strip())
    known = {date for date in dates if date}
    return Steps(tuple(dates), tuple(rest), len(known)) if known else None


def steps_by_number(names: Sequence[str], stem: str) -> Steps | None:
    """Bands named B1, B1_1, B1_2, ...: one step each of the period in the file's name; None if they aren't.

    Args:
        names: Of the bands.
        stem: The file's name.
    """
    found = _numbers(names)
    if found is None:
        return None
    count, places = found
    period = sorted({date for date, _ in calendar_dates(stem)})
    days = (_divide(period[0], period[1], count) if len(period) == 2 else None) or [None] * count
    return Steps(
        tuple(days[place[1]] if place else None for place in places),
        tuple(place[0] if place else "" for place in places),
        count,
    )


def _numbers(names: Sequence[str]) -> tuple[int, list[tuple[str, int] | None]] | None:
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


def _divide(start: dt.date, end: dt.date, steps: int) -> list[dt.date | None] | None:
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
