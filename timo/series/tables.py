# SPDX-License-Identifier: GPL-3.0-or-later
"""CSV files that list the rasters of a series, or of several places."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from rasterio.errors import CRSError

from timo import access
from timo.errors import SeriesError
from timo.series.dates import parse_date
from timo.series.facts import reason
from timo.series.grid import grid_crs
from timo.series.sources import DatedFile, Told, address_path, check_prefix, is_address

_COLUMNS = "Give a CSV with columns path,date."
_ENCODING = "Save it as CSV in UTF-8, which spreadsheets offer."


def read_csv(path: Path) -> list[DatedFile]:
    """The files of a CSV of one place.

    Raises:
        SeriesError: As ``read_places``, or the CSV lists several places.
    """
    places = read_places(path)
    if len(places) > 1:
        raise SeriesError(
            "csv_places",
            f"{path} lists several places.",
            "Give a CSV of one place: its files become one series.",
        )
    return next(iter(places.values()))


def read_places(path: Path) -> dict[str, list[DatedFile]]:
    """The files of a CSV with columns path,date, by place where it has the column place.

    With the column band, a number from 1, a line is one band of a file that holds several dates; the column
    name names it. The columns sensor, nodata and crs, where they are filled, count more than the file.

    Raises:
        SeriesError: Naming the line that is wrong, or the columns that are missing.
    """
    fields, rows = read_table(path)
    if not {"path", "date"} <= set(fields):
        raise SeriesError(
            "csv_columns",
            f"{path} has the columns {', '.join(fields) or 'none'}, not path and date.",
            _COLUMNS,
        )
    places: dict[str, list[DatedFile]] = {}
    bands: dict[tuple[str, DatedFile], list[tuple[int, str]]] = {}
    for number, row in rows:
        date = parse_date(row["date"])
        if date is None:
            raise SeriesError(
                "csv_date",
                f"Line {number} of {path} has the date '{row['date']}'.",
                "Write it as 2020-08-01.",
            )
        place = row.get("place", "").strip()
        file = DatedFile(_file_of(path, number, row["path"].strip()), date, told=_told(path, number, row))
        if row.get("band", "").strip():
            band = _number(path, number, row["band"].strip())
            given = bands.setdefault((place, file), [])
            if not given:
                places.setdefault(place, []).append(file)
            given.append((band, row.get("name", "").strip()))
        else:
            places.setdefault(place, []).append(file)
    if not places:
        raise SeriesError("csv_empty", f"{path} lists no files.", "Add a line for each raster.")
    return {
        place: [_with_bands(path, file, bands.get((place, file), [])) for file in files]
        for place, files in places.items()
    }


def read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns of a CSV in lower case, and its lines by column, each with its number in the file.

    Raises:
        SeriesError: It can't be read as a CSV.
    """
    access.demand(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            file.seek(0)
            # Spreadsheets of many countries separate by semicolons.
            reader = csv.DictReader(file, delimiter=max(",;\t", key=header.count))
            fields = [(name or "").strip().lower() for name in reader.fieldnames or ()]
            return fields, [
                (reader.line_num, dict(zip(fields, (value or "" for value in row.values()))))
                for row in reader
            ]
    except UnicodeDecodeError as error:
        raise SeriesError(
            "csv_unreadable", f"{path} can't be read as a CSV: it is no text in UTF-8.", _ENCODING
        ) from error
    except (OSError, csv.Error) as error:
        raise SeriesError(
            "csv_unreadable", f"{path} can't be read as a CSV: {reason(error)}.", _COLUMNS
        ) from error


def _file_of(table: Path, number: int, text: str) -> Path:
    if is_address(text):
        return address_path(text)
    raster = table.parent / Path(text).expanduser()
    if not text or not raster.is_file():
        check_prefix(text)
        raise SeriesError(
            "not_found",
            f"Line {number} of {table} names {raster}, which does not exist.",
            "Correct the path; it is relative to the CSV.",
        )
    return raster


def _told(table: Path, number: int, row: dict[str, str]) -> Told:
    sensor, nodata, crs = (row.get(name, "").strip() for name in ("sensor", "nodata", "crs"))
    try:
        value = float(nodata) if nodata else None
    except ValueError as error:
        raise SeriesError(
            "csv_nodata",
            f"Line {number} of {table} has the nodata value '{nodata}', which is no number.",
            "Write a number such as 0, or leave it empty.",
        ) from error
    try:
        known = grid_crs(crs) if crs else None
    except (CRSError, ValueError) as error:
        raise SeriesError(
            "csv_crs",
            f"Line {number} of {table} has the coordinate system '{crs[:60]}', which is not known.",
            "Write its code, such as EPSG:32631, or leave it empty.",
        ) from error
    return Told(sensor.lower() or None, value, known)


def _number(table: Path, number: int, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise SeriesError(
            "csv_band",
            f"Line {number} of {table} has the band '{text}'.",
            "Write its number in the file, from 1.",
        )
    return int(text)


def _with_bands(table: Path, file: DatedFile, given: list[tuple[int, str]]) -> DatedFile:
    if not given:
        return file
    indexes, names = zip(*given)
    if len(set(indexes)) < len(indexes):
        raise SeriesError(
            "csv_band",
            f"{table} gives a band of {file.path.name} twice on {file.date}.",
            "Give each band one line for each date.",
        )
    return replace(file, bands=indexes, names=names if all(names) else ())
