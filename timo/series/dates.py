# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates from the names of files, folders and bands."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

FIRST_YEAR, LAST_YEAR = 1970, 2100

# Products whose names hold several dates by definition: the group is the acquisition.
_PRODUCTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"S2[A-D]_MSIL[12][ABC]_(?P<day>\d{8})T\d{6}_",  # Sentinel-2 since 2016; a processing time follows
        r"S2[A-D]_OPER_\w+?_V(?P<day>\d{8})T\d{6}",  # Sentinel-2 until 2016; the creation stands before it
        r"S1[A-D]_(?:IW|EW|SM|S\d|WV)_\w{4}_\w{4}_(?P<day>\d{8})T\d{6}_",  # Sentinel-1; the end follows
        r"L[COTEM]\d{2}_L\w{3}_\d{6}_(?P<day>\d{8})_\d{8}",  # Landsat collections; processing follows
        r"L[COTEM]\d\d{6}(?P<day>\d{7})[A-Z]{3}\d{2}",  # Landsat scene identifier
        r"(?:M[OYC]D|V[NJ]P|V[NJ]\d)\w{2,6}\.A(?P<day>\d{7})\.",  # MODIS, VIIRS; production follows
        r"HLS\.[SL]30\.T\w{5}\.(?P<day>\d{7})T\d{6}",  # Harmonized Landsat Sentinel-2
    )
)
_CALENDAR = re.compile(
    r"(?<!\d)(?P<iso>\d{4}(?P<sep>[-_.])\d{2}(?P=sep)\d{2})(?!\d)"
    r"|(?<!\d)(?P<day>\d{8})(?:[0-2]\d[0-5]\d[0-5]\d)?(?!\d)"  # a time may follow without a separator
)
_ORDINAL = re.compile(r"(?<!\d)(?P<day>\d{7})(?!\d)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WORD = (
    r"(?<![a-z])(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])"
)
_NAMED = re.compile(
    r"(?<![a-z\d])(?P<d1>\d{1,2})[-_. ]?" + _WORD.replace("{0}", "m1") + r"[-_. ]?(?P<y1>\d{4})(?!\d)"
    r"|(?<!\d)(?P<y2>\d{4})[-_. ]?" + _WORD.replace("{0}", "m2") + r"[-_. ]?(?P<d2>\d{1,2})(?!\d)"
    r"|" + _WORD.replace("{0}", "m3") + r"[-_. ]?(?P<y3>\d{4})(?!\d)"
    r"|(?<!\d)(?P<y4>\d{4})[-_. ]?" + _WORD.replace("{0}", "m4"),
    re.IGNORECASE,
)


@dataclass(frozen=True)
class NameDate:
    """The date in a file name, and what is doubtful about it (None where nothing is)."""

    date: dt.date
    problem: str | None = None
    month_alone: bool = False


def parse_date(text: str) -> dt.date | None:
    """The calendar date that ``text`` is: YYYY-MM-DD (also with _ or .), YYYYMMDD or YYYYDDD.

    An ISO time may follow and is left out. None if it is none, or none of the years 1970 to 2100.
    """
    day = re.sub(r"[T ]\d{2}:?\d{2}.*$", "", text.strip())
    digits = re.sub(r"(?<=^\d{4})([-_.])(\d{2})\1(?=\d{2}$)", r"\2", day)
    if not re.fullmatch(r"[0-9]{7,8}", digits):
        return None
    try:
        date = dt.datetime.strptime(digits, "%Y%m%d" if len(digits) == 8 else "%Y%j").date()
    except ValueError:
        return None
    # strptime takes day 366 of any year, as the next year's first
    return date if FIRST_YEAR <= date.year == int(digits[:4]) <= LAST_YEAR else None


def calendar_dates(text: str) -> list[tuple[dt.date, str]]:
    """All dates of day, month and year in digits that stand in a text, each with the characters it took."""
    found = [(parse_date(match["day"] or match["iso"]), match.group()) for match in _CALENDAR.finditer(text)]
    return [(date, taken) for date, taken in found if date]


def date_from_name(name: str) -> NameDate | None:
    """The first plausible date in a file name (without its folder).

    The patterns of known products come first, because they tell the acquisition from the processing date;
    then calendar dates; then those with the month's name; then YYYYDDD, since a number of seven digits is the
    likeliest to be something else. A month without a day counts as its first.

    Returns:
        The date, with a problem where the name holds a second, different date; None if it holds none.
    """
    for pattern in _PRODUCTS:
        match = pattern.search(name)
        date = parse_date(match["day"]) if match else None
        if date:
            return NameDate(date)
    named = [found for match in _NAMED.finditer(name) if (found := _named_date(match))]
    ordinals = [parse_date(match["day"]) for match in _ORDINAL.finditer(name)]
    for dates, alone in (
        ([date for date, _ in calendar_dates(name)], False),
        ([date for date, _ in named], bool(named) and named[0][1]),
        ([date for date in ordinals if date], False),
    ):
        if dates:
            others = [date for date in dates if date != dates[0]]
            problem = f"{name} holds two dates; {dates[0]} was taken, not {others[0]}." if others else None
            return NameDate(dates[0], problem, alone)
    return None


def _named_date(match: re.Match[str]) -> tuple[dt.date, bool] | None:
    """A date with a month's name, and whether it has no day."""
    groups = match.groupdict()
    number = next(n for n in "1234" if groups[f"m{n}"])
    month = _MONTHS.index(groups[f"m{number}"][:3].lower()) + 1
    day = groups.get(f"d{number}")
    try:
        date = dt.date(int(groups[f"y{number}"]), month, int(day or 1))
    except ValueError:
        return None
    return (date, day is None) if FIRST_YEAR <= date.year <= LAST_YEAR else None


def date_from_folder(name: str) -> dt.date | None:
    """The date in a folder's name, if it is a whole one: a month or two dates name a period."""
    found = date_from_name(name)
    return found.date if found and not found.month_alone and not found.problem else None
