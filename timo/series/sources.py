# SPDX-License-Identifier: GPL-3.0-or-later
"""From what an analyst names (a folder, a glob, files, a CSV) to dated files."""

from __future__ import annotations

import csv
import datetime as dt
import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from timo.errors import SeriesError
from timo.series.dates import date_from_name, parse_date

RASTER_SUFFIXES = frozenset({".tif", ".tiff", ".vrt", ".jp2"})
_NAMING = "Name the files with their date, such as S2_20200801.tif, or give a CSV with columns path,date."


@dataclass(frozen=True)
class DatedFile:
    """A raster and its date; ``problem`` says what is doubtful about the date."""

    path: Path
    date: dt.date
    problem: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A file that isn't part of the series, and why."""

    path: str
    reason: str


def find_files(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str] | DatedFile],
) -> tuple[list[DatedFile], list[LeftOut]]:
    """The dated rasters that ``sources`` name, by date and path, and those without a date.

    Args:
        sources: One or several of: a folder (its own rasters, not those of sub-folders), a glob, a raster, a
            CSV with columns path,date (paths relative to the CSV), a file whose date is known.

    Raises:
        SeriesError: Naming what doesn't exist, holds no raster, or has no dates.
    """
    items = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    if not items:
        raise SeriesError("no_sources", "The series has no files.", "Name a folder, files or a CSV.")
    dated: dict[Path, DatedFile] = {}
    left_out: dict[Path, LeftOut] = {}
    for item in items:
        if isinstance(item, DatedFile):
            _add_dated(dated, item)
            continue
        if str(item).lower().endswith(".csv"):
            for file in _read_csv(Path(item)):
                _add_dated(dated, file)
            continue
        for path in _expand(str(item)):
            found = date_from_name(path.name)
            if found:
                _add_dated(dated, DatedFile(path, found.date, found.problem))
            else:
                left_out[path] = LeftOut(str(path), "It has no date in its name.")
    if not dated:
        where = ", ".join(str(item) for item in items[:3]) + (", ..." if len(items) > 3 else "")
        raise SeriesError("no_dates", f"No file of {where} has a date in its name.", _NAMING)
    return sorted(dated.values(), key=lambda file: (file.date, str(file.path))), list(left_out.values())


def _add_dated(dated: dict[Path, DatedFile], file: DatedFile) -> None:
    known = dated.setdefault(Path(os.path.abspath(file.path)), file)  # noqa: PTH100 - a link stays a link
    if known.date != file.date:
        raise SeriesError(
            "date_conflict",
            f"{file.path} is given twice, with the dates {known.date} and {file.date}.",
            "Give each file one date.",
        )


def _expand(item: str) -> Iterable[Path]:
    path = Path(item).expanduser()
    if path.is_dir():
        return _list_folder(path)
    if path.is_file():
        return [path]
    if glob.has_magic(item):
        # Path.glob takes no absolute pattern
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207
        rasters = [match for match in matches if match.is_file() and match.suffix.lower() in RASTER_SUFFIXES]
        rasters = rasters or [match for match in matches if match.is_file()]
        if rasters:
            return rasters
        raise SeriesError("no_rasters", f"No file matches {item}.", "Correct the pattern, or name a folder.")
    raise SeriesError("not_found", f"{item} does not exist.", "Correct the path of the series.")


def _list_folder(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise SeriesError(
            "not_readable", f"The folder {folder} can't be read: {error.strerror}.", "Check its permissions."
        ) from error
    rasters = [p for p in entries if p.suffix.lower() in RASTER_SUFFIXES and p.is_file() and p.name[0] != "."]
    if not rasters:
        folders = [p.name for p in entries if p.is_dir()]
        inside = f"; its sub-folders ({', '.join(folders[:3])}) are not read" if folders else ""
        kinds = ", ".join(sorted(RASTER_SUFFIXES))
        raise SeriesError(
            "no_rasters",
            f"The folder {folder} has no rasters ({kinds}){inside}.",
            "Name the folder that holds the dated rasters themselves.",
        )
    return rasters


def _read_csv(path: Path) -> list[DatedFile]:
    places = read_places(path)
    if len(places) > 1:
        raise SeriesError(
            "csv_places",
            f"{path} lists several places.",
            "Give a CSV of one place: its files become one series.",
        )
    return next(iter(places.values()))


def read_places(path: Path) -> dict[str, list[DatedFile]]:
    """The files of a CSV with columns path,date and, where it has several places, place: by place.

    Raises:
        SeriesError: Naming the line that is wrong, or the columns that are missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            file.seek(0)
            # Spreadsheets of many countries separate by semicolons.
            reader = csv.DictReader(file, delimiter=max(",;\t", key=header.count))
            fields = [(name or "").strip().lower() for name in reader.fieldnames or ()]
            rows = [dict(zip(fields, (value or "" for value in row.values()))) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SeriesError(
            "csv_unreadable", f"{path} can't be read as a CSV: {error}.", "Give a CSV with columns path,date."
        ) from error
    if not {"path", "date"} <= set(fields):
        raise SeriesError(
            "csv_columns",
            f"{path} has the columns {', '.join(fields) or 'none'}, not path and date.",
            "Give a CSV with columns path,date.",
        )
    places: dict[str, list[DatedFile]] = {}
    for number, row in enumerate(rows, start=2):
        date = parse_date(row["date"])
        if date is None:
            raise SeriesError(
                "csv_date",
                f"Line {number} of {path} has the date '{row['date']}'.",
                "Write it as 2020-08-01.",
            )
        raster = path.parent / Path(row["path"].strip()).expanduser()
        if not row["path"].strip() or not raster.is_file():
            raise SeriesError(
                "not_found",
                f"Line {number} of {path} names {raster}, which does not exist.",
                "Correct the path; it is relative to the CSV.",
            )
        places.setdefault(row.get("place", "").strip(), []).append(DatedFile(raster, date))
    if not places:
        raise SeriesError("csv_empty", f"{path} lists no files.", "Add a line for each raster.")
    return places
