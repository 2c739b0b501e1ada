# SPDX-License-Identifier: GPL-3.0-or-later
"""Several places, each with a series of its own, that one model learns from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from timo.errors import LabelError, SeriesError
from timo.series.labels import Labels, LabelSource, read_label_sources
from timo.series.series import Series, Sources, open_series
from timo.series.tables import read_places, read_table


@dataclass(frozen=True)
class Place:
    """A series, and the name of its place: empty where there is only one."""

    name: str
    series: Series


def open_places(sources: Sources) -> list[Place]:
    """Open the series of one place or of several, with the bands that all of them have.

    Args:
        sources: What ``open_series`` takes; a CSV with columns place,path,date gives a series for each place.

    Raises:
        SeriesError: Naming the file or the place at fault.
    """
    items = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    if len(items) != 1 or not str(items[0]).lower().endswith(".csv"):
        return [Place("", open_series(sources))]
    rows = read_places(Path(str(items[0])))
    if len(rows) == 1:
        ((name, files),) = rows.items()
        return [Place(name, open_series(files))]
    if "" in rows:
        raise SeriesError(
            "csv_places",
            f"{rows[''][0].path.name} has no place in {items[0]}, but other files have one.",
            "Fill in the column place on every line.",
        )
    places = [Place(name, open_series(files)) for name, files in sorted(rows.items())]
    first = places[0]
    keys = [key for key in first.series.keys if all(key in place.series.keys for place in places)]
    if not keys:
        other = min(places, key=lambda place: len(set(first.series.keys) & set(place.series.keys)))
        raise SeriesError(
            "places_bands",
            f"Place '{first.name}' has the bands {', '.join(first.series.keys)} and place '{other.name}' "
            f"{', '.join(other.series.keys)}: no band is in all places.",
            "Give places with the same bands, or name the bands in the files.",
        )
    return [Place(place.name, place.series.select_bands(keys)) for place in places]


def labels_of(
    places: Sequence[Place],
    path: str | os.PathLike[str],
    class_field: str | None = None,
    ignore: int | None = None,
    colors: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[Labels]:
    """The labels of each place, with one class scheme for all.

    Args:
        places: Of ``open_places``.
        path: Labels that hold all places, or a CSV with columns place,path (relative to the CSV).
        class_field: See ``timo.series.labels.read_labels``.
        ignore: Likewise.
        colors: Likewise.
        names: Likewise.

    Raises:
        LabelError: Naming the file, the field or the place at fault.
    """
    if not str(path).lower().endswith(".csv"):
        sources = [LabelSource(path, place.series.grid) for place in places]
        return read_label_sources(sources, class_field, ignore, colors, names)
    files = _label_files(Path(path))
    for place in places:
        if place.name not in files:
            raise LabelError(
                "place_without_labels",
                f"{path} has no labels of place '{place.name}'.",
                "Add a line for it, or take the place out of the series.",
            )
    sources = [LabelSource(files[place.name], place.series.grid) for place in places]
    return read_label_sources(sources, class_field, ignore, colors, names)


def problems_of(places: Sequence[Place], labels: Sequence[Labels]) -> list[str]:
    """What is doubtful about series and labels, each sentence once, with its place if it has a name."""
    found: dict[str, None] = {}
    for place, one in zip(places, labels, strict=True):
        for problem in (*place.series.problems, *one.problems):
            found[f"{place.name}: {problem}" if place.name else problem] = None
    return list(found)


def label_table(path: Path, *columns: str) -> list[tuple[int, dict[str, str]]]:
    """The lines of a CSV of labels with their numbers, by column, without blanks around the values.

    Raises:
        LabelError: It can't be read, or lacks one of the columns.
    """
    action = f"Give a CSV with columns {','.join(columns)}."
    try:
        fields, rows = read_table(path)
    except SeriesError as error:
        raise LabelError(error.code, error.message, action) from error
    if not set(columns) <= set(fields):
        raise LabelError(
            "csv_columns",
            f"{path} has the columns {', '.join(fields) or 'none'}, not {' and '.join(columns)}.",
            action,
        )
    return [(number, {name: value.strip() for name, value in row.items()}) for number, row in rows]


def _label_files(path: Path) -> dict[str, Path]:
    rows = label_table(path, "place", "path")
    files: dict[str, Path] = {}
    for number, row in rows:
        labels = path.parent / Path(row["path"]).expanduser()
        if not row["path"] or not labels.is_file():
            raise LabelError(
                "labels_not_found",
                f"Line {number} of {path} names {labels}, which does not exist.",
                "Correct the path; it is relative to the CSV.",
            )
        if files.setdefault(row["place"], labels) != labels:
            raise LabelError(
                "place_twice",
                f"Line {number} of {path} gives place '{row['place']}' a second file of labels.",
                "Give each place one file.",
            )
    if not files:
        raise LabelError("csv_empty", f"{path} lists no labels.", "Add a line for each place.")
    return files
