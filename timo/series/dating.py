# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which date a file is: by its metadata, its name, its folder's name.

What the metadata call the acquisition counts first. TIFFTAG_DATETIME mostly is the day of processing: it is
taken only where no file of the series has any other date, and that is said.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from timo.errors import SeriesError
from timo.series.dates import NameDate, date_from_folder, date_from_name
from timo.series.facts import Facts, read_ahead, read_facts
from timo.series.folders import Found
from timo.series.sources import DatedFile
from timo.series.stacks import stack_of

_MONTH = "File names tell the month alone: its first day was taken."
_WRITTEN = (
    "No file name tells a date: those in TIFFTAG_DATETIME were taken, which often are the days of processing."
)


@dataclass(frozen=True)
class _Own:
    """A file, its facts (None if it can't be read), and the date that it tells itself."""

    found: Found
    facts: Facts | None
    date: NameDate | None


def date_files(found: Sequence[Found], *, known: bool) -> tuple[list[DatedFile], list[tuple[Path, str]]]:
    """The files with their dates, and those without one, with the reason.

    Args:
        found: The files.
        known: Other files of the series have a date.

    Raises:
        SeriesError: A file holds many dates in its bands but doesn't tell them, and no other file has a date.
    """
    dated: list[DatedFile] = []
    undated: list[_Own] = []
    singles: list[_Own] = []
    refused: dict[Path, SeriesError] = {}
    read_ahead((file.path, None) for file in found)
    for file in found:
        facts = _try_facts(file.path)
        try:
            sliced = _slices(file, facts) if facts and not file.mask else []
        except SeriesError as error:
            refused[file.path] = error
            continue
        dated += sliced
        if not sliced:
            singles.append(_Own(file, facts, _own_date(file, facts)))
    with_date = {own.found.path.parent for own in singles if own.date}
    for own in singles:
        date = own.date
        if date is None and own.found.path.parent not in with_date:
            # Beside files that have dates of their own, a folder's date says nothing of one that has none.
            date = _folder_date(own.found)
        if date is None:
            undated.append(own)
            continue
        note = _MONTH if date.month_alone else None
        dated.append(DatedFile(own.found.path, date.date, date.problem, mask=own.found.mask, note=note))
    if not dated and not known:
        for own in undated:
            if own.facts and own.facts.written:
                dated.append(DatedFile(own.found.path, own.facts.written, mask=own.found.mask, note=_WRITTEN))
        undated = [own for own in undated if not own.facts or not own.facts.written]
    if refused and not dated and not known:
        raise next(iter(refused.values()))
    left_out = [(own.found.path, _why_undated(own)) for own in undated]
    return dated, left_out + [(path, str(error)) for path, error in refused.items()]


def _why_undated(own: _Own) -> str:
    if own.facts and own.facts.written:
        return (
            f"It has no date in its name; {own.facts.written} in TIFFTAG_DATETIME may be that of processing."
        )
    return "It has no date in its name." if own.facts else "It has no date in its name, and can't be read."


def _try_facts(path: Path) -> Facts | None:
    try:
        return read_facts(path)
    except SeriesError:
        return None  # whoever builds the series says so, if the file belongs to it


def _slices(file: Found, facts: Facts) -> list[DatedFile]:
    """The dates that a file holds in its bands; none if it holds only one that isn't told there."""
    dated: list[DatedFile] = []
    for variable in facts.variables or (None,):
        of = read_facts(file.path, variable) if variable else facts
        stack = stack_of(of)
        if stack is None:
            name = date_from_name(file.path.name) if variable else None
            if name:
                dated.append(DatedFile(file.path, name.date, name.problem, variable=variable))
            continue
        dated += [
            DatedFile(
                file.path, part.date, bands=part.indexes, names=part.names, variable=variable, note=stack.note
            )
            for part in stack.slices
        ]
    return dated


def _own_date(file: Found, facts: Facts | None) -> NameDate | None:
    """The date of the metadata, else of the name; with a problem where they disagree."""
    name = date_from_name(file.path.name)
    if facts is None or facts.taken is None:
        return _check_written(file, facts, name)
    date, tag = facts.taken
    problem = None
    if name and name.date != date and not (name.month_alone and name.date == date.replace(day=1)):
        problem = f"{file.path.name} is of {name.date} by its name, but {tag} says {date}, which was taken."
    return NameDate(date, problem)


def _check_written(file: Found, facts: Facts | None, name: NameDate | None) -> NameDate | None:
    """The name's date, with a problem if the file was made before it: later is what processing does."""
    if name is None or name.problem or facts is None or facts.written is None:
        return name
    if facts.written >= name.date - dt.timedelta(days=1):  # clocks of other zones
        return name
    problem = (
        f"{file.path.name} is of {name.date} by its name, but TIFFTAG_DATETIME says that it was made before, "
        f"on {facts.written}: the name's date was taken."
    )
    return NameDate(name.date, problem, name.month_alone)


def _folder_date(file: Found) -> NameDate | None:
    """The date of the nearest folder that has one, up to the one that was named."""
    folder = file.path.parent
    while True:
        date = date_from_folder(folder.name)
        if date:
            return NameDate(date)
        if folder in (file.root, folder.parent):
            return None
        folder = folder.parent
