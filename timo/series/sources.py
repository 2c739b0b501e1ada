# SPDX-License-Identifier: GPL-3.0-or-later
"""From what an analyst names (a folder, a glob, files, addresses, a CSV) to dated files."""

from __future__ import annotations

import datetime as dt
import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from timo.errors import SeriesError
from timo.series.facts import is_remote, read_facts
from timo.series.folders import HDF_SUFFIXES, NO_HDF, RASTER_SUFFIXES, Found, list_folder

_NAMING = "Name the files with their date, such as S2_20200801.tif, or give a CSV with columns path,date."
# A drive's letter is no prefix.
_PREFIX = re.compile(r"/vsi\w+/|[A-Za-z][A-Za-z0-9+_-]+:")


@dataclass(frozen=True)
class Told:
    """What an analyst knows of a raster that the file doesn't tell, or tells wrong; None: the file counts.

    Attributes:
        sensor: As ``timo.series.band_names.sensor_of`` names it.
        nodata: The value of no data, of all bands.
        crs: The coordinate system, an authority's code or WKT.
    """

    sensor: str | None = None
    nodata: float | None = None
    crs: str | None = None


@dataclass(frozen=True)
class DatedFile:
    """A raster and its date, or some of its bands.

    Attributes:
        path: Of the file.
        date: Of these bands.
        problem: What is doubtful about the date.
        bands: Places in the file, from 1; empty for all.
        names: Of these bands, where the file's own don't count.
        variable: Of a netCDF file with several.
        mask: The scheme of the folder of masks that it lies in.
        note: How the date was found, if not by the file's name: a sentence for the whole series.
        told: What counts more than the file.
    """

    path: Path
    date: dt.date
    problem: str | None = None
    bands: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    variable: str | None = None
    mask: str | None = None
    note: str | None = None
    told: Told = Told()


@dataclass(frozen=True)
class LeftOut:
    """A file that isn't part of the series, and why."""

    path: str
    reason: str


_Dated = dict[tuple[Path, str | None, tuple[int, ...]], DatedFile]


def find_files(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str] | DatedFile],
) -> tuple[list[DatedFile], list[LeftOut]]:
    """The dated rasters that ``sources`` name, by date and path, and those without a date.

    Args:
        sources: One or several of: a folder (its own rasters, those of sub-folders named by a date, and masks
            of sub-folders named so), a glob, a raster, an http address, a CSV with columns path,date (paths
            relative to the CSV), a file whose date is known.

    Raises:
        SeriesError: Naming what doesn't exist, holds no raster, or has no dates.
    """
    from timo.series.dating import date_files
    from timo.series.tables import read_csv

    items = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    if not items:
        raise SeriesError("no_sources", "The series has no files.", "Name a folder, files or a CSV.")
    dated: _Dated = {}
    left_out: dict[Path, LeftOut] = {}
    found: list[Found] = []
    for item in items:
        if isinstance(item, DatedFile):
            _add_dated(dated, item)
        elif str(item).lower().endswith(".csv") and not is_address(str(item)):
            for file in read_csv(Path(item)):
                _add_dated(dated, file)
        else:
            files, dropped = _expand(str(item))
            found += files
            left_out |= {path: LeftOut(str(path), why) for path, why in dropped}
    own, undated = date_files(list(dict.fromkeys(found)), known=bool(dated))
    for file in own:
        _add_dated(dated, file)
    left_out |= {path: LeftOut(str(path), why) for path, why in undated}
    if not dated:
        _check_rasters(found)
        where = ", ".join(str(item) for item in items[:3]) + (", ..." if len(items) > 3 else "")
        raise SeriesError("no_dates", f"No file of {where} has a date in its name.", _NAMING)
    return sorted(dated.values(), key=lambda file: (file.date, str(file.path))), list(left_out.values())


def _check_rasters(found: Sequence[Found]) -> None:
    """What is no raster at all has no use for a date.

    Raises:
        SeriesError: None of the files can be read as a raster: that of the first.
    """
    refusals = []
    for file in found:
        try:
            read_facts(file.path)
        except SeriesError as error:
            refusals.append(error)
        else:
            return
    if refusals:
        raise refusals[0]


def _add_dated(dated: _Dated, file: DatedFile) -> None:
    place = file.path if is_remote(file.path) else Path(os.path.abspath(file.path))  # noqa: PTH100 - a link stays one
    known = dated.setdefault((place, file.variable, file.bands), file)
    if known.date != file.date:
        raise SeriesError(
            "date_conflict",
            f"{file.path} is given twice, with the dates {known.date} and {file.date}.",
            "Give each file one date.",
        )


def is_address(item: str) -> bool:
    """Whether it is an http address, or GDAL's name for one."""
    return re.match(r"(?:/vsicurl/)?https?://", item, re.IGNORECASE) is not None


def address_path(item: str) -> Path:
    """The path by which a file at an http address is known here."""
    return Path("/vsicurl/" + item.removeprefix("/vsicurl/"))


def check_prefix(item: str) -> None:
    """Refuse GDAL's other names for what lies on servers, in archives and in databases.

    Raises:
        SeriesError: ``source_kind``, naming it.
    """
    match = _PREFIX.match(item)
    if match and not Path(item).exists():
        raise SeriesError(
            "source_kind",
            f"{item} can't be read: of what is no file, only http and https addresses are.",
            "Give its https address, or download it and name the file.",
        )


def _expand(item: str) -> tuple[list[Found], list[tuple[Path, str]]]:
    if is_address(item):
        path = address_path(item)
        return [Found(path, path.parent)], []
    check_prefix(item)
    path = Path(item).expanduser()
    if path.is_dir():
        listing = list_folder(path)
        return list(listing.files), list(listing.left_out)
    if path.is_file():
        if path.suffix.lower() in HDF_SUFFIXES:
            raise SeriesError("hdf", f"{path} is an HDF file.", NO_HDF)
        return [Found(path, path.parent)], []
    if glob.has_magic(item):
        # Path.glob takes no absolute pattern
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207
        rasters = [match for match in matches if match.is_file() and match.suffix.lower() in RASTER_SUFFIXES]
        rasters = rasters or [match for match in matches if match.is_file()]
        if rasters:
            return [Found(raster, raster.parent) for raster in rasters], []
        raise SeriesError("no_rasters", f"No file matches {item}.", "Correct the pattern, or name a folder.")
    raise SeriesError("not_found", f"{item} does not exist.", "Correct the path of the series.")


def read_places(path: Path) -> dict[str, list[DatedFile]]:
    """The files of a CSV by place: see ``timo.series.tables``."""
    from timo.series.tables import read_places as read

    return read(path)
