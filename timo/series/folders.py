# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a folder belong to a series: its own rasters, folders of a date, folders of masks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from timo import access
from timo.errors import SeriesError
from timo.series.dates import date_from_folder
from timo.series.mask_names import scheme_of_folder
from timo.series.presets import is_auxiliary

RASTER_SUFFIXES = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".nc"})
HDF_SUFFIXES = frozenset({".h5", ".hdf5", ".he5", ".hdf"})
NO_HDF = "HDF files are not read; convert it to GeoTIFF or netCDF."
_NO_TARGET = "It is a link to a file that isn't there."
_DEEPEST = 6  # folders below the series': S2.SAFE/GRANULE/L2A/IMG_DATA/R10m has five
_RESOLUTION = re.compile(r"(?P<layer>.+)_(?P<metres>[1-6]0)m$", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """A file of a series; ``root`` is the folder that was named, whose sub-folders may tell the date.

    ``mask`` is the scheme of the folder it lies in, None for others.
    """

    path: Path
    root: Path
    mask: str | None = None


@dataclass(frozen=True)
class Listing:
    """Files in order, and those that are left out with the reason."""

    files: tuple[Found, ...]
    left_out: tuple[tuple[Path, str], ...]


def list_folder(folder: Path) -> Listing:
    """The rasters of a folder, with those of sub-folders that are named by a date or by a mask.

    Raises:
        SeriesError: It can't be read, or holds no rasters.
    """
    access.demand(folder)
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise SeriesError(
            "not_readable", f"The folder {folder} can't be read: {error.strerror}.", "Check its permissions."
        ) from error
    files = [Found(path, folder) for path in entries if _is_raster(path)]
    masks: list[Found] = []
    for sub in (path for path in entries if path.is_dir() and path.name[0] != "."):
        scheme = scheme_of_folder(sub.name)
        if scheme:
            masks += [Found(path, folder, scheme) for path in _walk(sub, 0) if _is_raster(path)]
        elif date_from_folder(sub.name) or sub.suffix.upper() == ".SAFE" or _in_product(sub):
            files += [
                Found(path, folder, _mask_folder(path, folder)) for path in _walk(sub, 0) if _is_raster(path)
            ]
    if not files:
        raise _no_rasters(folder, entries)
    kept, dropped = _finest(_without_extras(files + masks))
    left = [(path, NO_HDF) for path in entries if path.suffix.lower() in HDF_SUFFIXES and path.is_file()]
    left += [(path, _NO_TARGET) for path in entries if _is_dead_link(path)]
    return Listing(tuple(kept), tuple(dropped + left))


def _in_product(sub: Path) -> bool:
    """Whether it is a part of a Sentinel-2 product, whose folder was named itself."""
    return sub.name in {"GRANULE", "IMG_DATA", "R10m", "R20m", "R60m"}


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for path in entries:
        if path.is_dir():
            if depth < _DEEPEST and path.name[0] != ".":
                yield from _walk(path, depth + 1)
        else:
            yield path


def _is_raster(path: Path) -> bool:
    return path.suffix.lower() in RASTER_SUFFIXES and path.name[0] != "." and path.is_file()


def _is_dead_link(path: Path) -> bool:
    """Whether it is a raster's name for a file that has moved, or lies on a disk that isn't there now."""
    return path.suffix.lower() in RASTER_SUFFIXES and path.is_symlink() and not path.exists()


def _mask_folder(path: Path, root: Path) -> str | None:
    """The scheme of a mask folder between a file and the series' folder."""
    between = path.relative_to(root).parts[:-1]
    return next((scheme for part in between if (scheme := scheme_of_folder(part))), None)


def _without_extras(files: list[Found]) -> list[Found]:
    """Without the quality and browse files of Sentinel-2's SAFE folders, whose images lie in IMG_DATA."""
    return [
        file
        for file in files
        if not any(part.upper().endswith(".SAFE") for part in file.path.parts)
        or "IMG_DATA" in file.path.parts
    ]


def _finest(files: list[Found]) -> tuple[list[Found], list[tuple[Path, str]]]:
    """Of a layer that comes at several resolutions the finest; and without what measures no ground."""
    finest: dict[str, int] = {}
    for file in files:
        match = _RESOLUTION.fullmatch(file.path.stem)
        if match:
            layer = match["layer"]
            finest[layer] = min(finest.get(layer, 99), int(match["metres"]))
    kept, dropped = [], []
    for file in files:
        match = _RESOLUTION.fullmatch(file.path.stem)
        if is_auxiliary(file.path.stem):
            dropped.append((file.path, "It is no measurement of the ground."))
        elif match and int(match["metres"]) > finest[match["layer"]]:
            dropped.append((file.path, f"The same band is there at {finest[match['layer']]} m."))
        else:
            kept.append(file)
    return kept, dropped


def _no_rasters(folder: Path, entries: list[Path]) -> SeriesError:
    folders = [path.name for path in entries if path.is_dir()]
    inside = f"; its sub-folders ({', '.join(folders[:3])}) are not read" if folders else ""
    kinds = ", ".join(sorted(RASTER_SUFFIXES))
    if any(path.suffix.lower() in HDF_SUFFIXES for path in entries):
        inside = "; HDF files are not read" + inside
    return SeriesError(
        "no_rasters",
        f"The folder {folder} has no rasters ({kinds}){inside}.",
        "Name the folder that holds the dated rasters themselves.",
    )
