# SPDX-License-Identifier: GPL-3.0-or-later
"""What a raster's file tells of its dates, beside its name: its metadata, and bands of several dates.

Touches neither layers nor widgets: it runs off the interface's thread, with GDAL.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from osgeo import gdal

from .._client.metadata import band_dates, extra_axes, taken_on
from .._client.steps import Steps, steps_by_name, steps_by_number
from .sources import safe_name

_ALPHA = 6
_PART = re.compile(r'NETCDF:"?([^"]+?)"?:[^:"]+')


class Step(NamedTuple):
    """One date of a file: its bands, from 1, and their names without the date, empty where there are none."""

    date: dt.date
    bands: Tuple[int, ...]
    names: Tuple[str, ...]


class FileDates(NamedTuple):
    """What a file tells.

    Attributes:
        taken: The day of acquisition in its metadata, and the tag that tells it; or that of all its bands,
            and an empty text.
        steps: The dates of its bands, rising, where these are of two or more.
    """

    taken: Optional[Tuple[dt.date, str]] = None
    steps: Tuple[Step, ...] = ()


NOTHING = FileDates()


class SplitError(Exception):
    """The rasters cannot be written; the text says why."""


def read(source: str) -> FileDates:
    """Look into a file; one that can't be read tells nothing.

    Args:
        source: Its path, or GDAL's name of a part of it.
    """
    return _known(source, stamp_of(source))


def stamp_of(source: str) -> Tuple[int, int]:
    """What changes when the file does."""
    part = _PART.fullmatch(source)
    try:
        status = Path(part[1] if part else source).stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=8192)
def _known(source: str, _stamp: Tuple[int, int]) -> FileDates:
    try:
        return _read(source)
    except (RuntimeError, OSError, ValueError, AttributeError):  # GDAL's ways to say that it can't be read
        return NOTHING


def tells_date(source: str) -> bool:
    """Whether a file tells dates beside its name."""
    told = read(source)
    return told.taken is not None or bool(told.steps)


def split(source: str, steps: Sequence[Step], folder: Path, stem: str) -> List[Path]:
    """Make a raster for each date: virtual ones, which show the file's own pixels.

    Args:
        source: As of ``read``.
        steps: The dates.
        folder: Where they are written.
        stem: What their names begin with.

    Raises:
        SplitError: They cannot be written.
    """
    made = []
    try:
        dataset = gdal.OpenEx(source, gdal.OF_RASTER | gdal.OF_READONLY)
        if dataset is None:
            raise SplitError(gdal.GetLastErrorMsg() or source)
        folder.mkdir(parents=True, exist_ok=True)
        alpha = [
            number
            for number in range(1, dataset.RasterCount + 1)
            if dataset.GetRasterBand(number).GetColorInterpretation() == _ALPHA
        ]
        for step in steps:
            path = folder / f"{safe_name(stem)}_{step.date.isoformat()}.vrt"
            part = gdal.Translate(str(path), dataset, format="VRT", bandList=[*step.bands, *alpha])
            if part is None:
                raise SplitError(gdal.GetLastErrorMsg() or str(path))
            for number, name in enumerate(step.names, 1):
                if name:
                    part.GetRasterBand(number).SetDescription(name)
            # The file's own tags are all there, too: of which day it is counts before them.
            part.SetMetadataItem("ACQUISITIONDATETIME", step.date.isoformat())
            part = None  # it is written now
            made.append(path)
    except (RuntimeError, OSError) as error:
        raise SplitError(str(error)) from error
    return made


def _read(source: str) -> FileDates:
    dataset = gdal.OpenEx(source, gdal.OF_RASTER | gdal.OF_READONLY)
    if dataset is None:
        return NOTHING
    tags: Dict[str, str] = {**dataset.GetMetadata(), **dataset.GetMetadata("IMAGERY")}
    found = [dataset.GetRasterBand(number) for number in range(1, dataset.RasterCount + 1)]
    bands = [
        (number, band) for number, band in enumerate(found, 1) if band.GetColorInterpretation() != _ALPHA
    ]
    steps = _steps(dataset, tags, [band for _, band in bands], Path(source).stem)
    if steps is None:
        return FileDates(taken_on(tags))
    by_date: Dict[dt.date, List[Tuple[int, str]]] = {}
    for (number, _), date, name in zip(bands, steps.dates, steps.names):
        if date is not None:
            by_date.setdefault(date, []).append((number, name))
    parts = [Step(date, *zip(*of)) for date, of in sorted(by_date.items())]
    if len(parts) > 1:
        return FileDates(None, tuple(parts))
    return FileDates((parts[0].date, "")) if parts else NOTHING


def _steps(dataset: Any, tags: Dict[str, str], bands: Sequence[Any], stem: str) -> Optional[Steps]:
    """As ``timo.series.stacks`` finds them, but for text files beside the raster."""
    if dataset.GetDriver().ShortName == "netCDF":
        told = [band.GetMetadata() for band in bands]
        dates = band_dates(tags, told)
        if not dates or not all(dates):
            return None
        named = ((one.get("NETCDF_VARNAME", ""), extra_axes(one)) for one in told)
        return Steps(tuple(dates), tuple("_".join(filter(None, pair)) for pair in named), len(set(dates)))
    names = [(band.GetDescription() or "").strip() for band in bands]
    return steps_by_name(names) or steps_by_number(names, stem)
