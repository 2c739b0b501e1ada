# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels that hold on a date: what a model that maps every date learns from."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timo.errors import LabelError
from timo.series.dates import parse_date
from timo.series.label_vectors import read_column
from timo.series.labels import NOT_LABELLED, Labels, LabelSource, read_label_sources
from timo.series.places import Place, label_table
from timo.series.words import counted


def dated_labels_of(
    places: Sequence[Place],
    path: str | os.PathLike[str],
    class_field: str | None = None,
    date_field: str | None = None,
    ignore: int | None = None,
    colors: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[Labels]:
    """The labels of each date of each place, with one class scheme for all.

    Args:
        places: Of ``timo.series.places.open_places``.
        path: Polygons or points with a field of dates, or a CSV with columns path,date (and place, where
            there are several), a file of labels for each date.
        class_field: See ``timo.series.labels.read_labels``.
        date_field: The field of the date on which a feature has its class, for polygons and points.
        ignore: As ``class_field``.
        colors: Likewise.
        names: Likewise.

    Returns:
        Labels with ``dated``. A label counts on the frame of its date alone: dates without one are told.

    Raises:
        LabelError: Naming the file, the field or the line at fault.
    """
    if str(path).lower().endswith(".csv"):
        entries = _listed(Path(path), places)
        untold = ""
    else:
        entries, untold = _of_features(places, path, date_field)
    if not entries:
        raise LabelError(
            "labels_other_dates",
            f"No label of {Path(str(path)).name} is of a date of the series.",
            f"The series has {_dates(places[0].series.dates)}: give labels the dates of its frames.",
        )
    sources = [source for _, _, source in entries]
    read = read_label_sources(sources, class_field, ignore, colors, names)
    found = []
    for number, place in enumerate(places):
        mine = [(t, one) for (at, t, _), one in zip(entries, read, strict=True) if at == number]
        found.append(_together(place, mine, read[0], str(path), untold))
    return found


def _together(place: Place, dated: list[tuple[int, Labels]], like: Labels, path: str, untold: str) -> Labels:
    maps = np.full((len(place.series), *place.series.grid.shape), NOT_LABELLED, np.uint8)
    for t, labels in dated:
        maps[t] = labels.map
    latest = np.full(maps.shape[1:], NOT_LABELLED, np.uint8)
    for one in maps:
        np.copyto(latest, one, where=one != NOT_LABELLED)
    problems = [problem for _, labels in dated for problem in labels.problems]
    return replace(
        like,
        map=latest,
        counts=np.bincount(latest.ravel(), minlength=256)[: len(like.scheme)].astype(np.int64),
        conflicts=sum(labels.conflicts for _, labels in dated),
        problems=tuple(dict.fromkeys([*([untold] if untold else []), *problems])),
        grid=place.series.grid,
        path=path,
        dated=maps,
    )


Entry = tuple[int, int, LabelSource]  # the place's number, the date's, and what to read


def _of_features(
    places: Sequence[Place], path: str | os.PathLike[str], date_field: str | None
) -> tuple[list[Entry], str]:
    name = Path(str(path).partition("|")[0]).name
    if date_field is None:
        raise LabelError(
            "date_field_missing",
            f"No field of {name} was named that holds the dates of its labels.",
            "Name the field of dates, or give a CSV with columns path,date.",
        )
    column = read_column(path, date_field)
    dates = np.array([_date(value) for value in column], object)
    written = [str(value) for value in column if value is not None]
    if written and not any(dates):
        raise LabelError(
            "date_field_unreadable",
            f"Field '{date_field}' of {name} holds no dates: the first value is '{written[0]}'.",
            "Name the field of dates, or write them as 2020-08-01.",
        )
    entries: list[Entry] = []
    used = np.zeros(len(dates), np.bool_)
    for number, place in enumerate(places):
        for t, date in enumerate(place.series.dates):
            only: NDArray[np.bool_] = np.array([one == date for one in dates], np.bool_)
            if only.any():
                entries.append((number, t, LabelSource(path, place.series.grid, only)))
                used |= only
    left = int((~used).sum())
    told = counted(
        left,
        f"feature of {name} has a date in '{date_field}' that no frame has: not used.",
        f"features of {name} have a date in '{date_field}' that no frame has: not used.",
    )
    return entries, told if left else ""


def _date(value: Any) -> dt.date | None:
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else value.astype("datetime64[D]").item()
    return parse_date(str(value)) if value is not None else None


def _listed(path: Path, places: Sequence[Place]) -> list[Entry]:
    rows = label_table(path, "path", "date")
    numbers = {place.name: number for number, place in enumerate(places)}
    entries: list[Entry] = []
    for line, row in rows:
        file_, date, place = row["path"], parse_date(row["date"]), row.get("place", "")
        where = f"Line {line} of {path.name}"
        if date is None:
            raise LabelError("csv_date", f"{where} has no date.", "Give a CSV with columns path,date.")
        if place not in numbers:
            raise LabelError(
                "csv_place",
                f"{where} is of place '{place}', which the series does not have.",
                "Write the places as in the table of the series.",
            )
        labels = path.parent / Path(file_).expanduser()
        if not file_ or not labels.is_file():
            raise LabelError(
                "labels_not_found",
                f"{where} names {labels}, which does not exist.",
                "Correct the path; it is relative to the CSV.",
            )
        series = places[numbers[place]].series
        if date not in series.dates:
            raise LabelError(
                "labels_other_dates",
                f"{where} is of {date}, which is no date of the series.",
                f"The series has {_dates(series.dates)}.",
            )
        entries.append((numbers[place], series.dates.index(date), LabelSource(labels, series.grid)))
    return entries


def _dates(dates: Sequence[dt.date]) -> str:
    shown = ", ".join(date.isoformat() for date in dates[:4])
    return f"{shown}, ... ({len(dates)} dates)" if len(dates) > 4 else shown
