# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a raster file: opened once, and remembered until the file changes."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.env import ensure_env
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from timo.errors import AccessError, SeriesError
from timo.series import virtual
from timo.series.bands import Band, describe_bands
from timo.series.grid import Grid
from timo.series.masks import Scheme
from timo.series.metadata import band_dates, extra_axes, scaling, taken_on, written_on
from timo.series.presets import baseline_offset
from timo.series.words import counted

if TYPE_CHECKING:
    from timo.series.sources import Told

# GDAL's cache of what it decoded would grow with the raster to a share of the machine's memory. It takes its
# size, in MB, from here when it is first used.
os.environ.setdefault("GDAL_CACHEMAX", "64")

# Allowed, where all rasters of a series are so.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

_COLORS = {ColorInterp.red: "red", ColorInterp.green: "green", ColorInterp.blue: "blue"}
_REMOTE = "/vsicurl/"
FILES_AT_ONCE = 8  # files that are opened at the same time: on a network the wait is shared
# A server that doesn't answer is given up after a while, one that stumbles is asked again; and no listing of
# its folder is asked for, which most servers refuse and all take long for.
REMOTE_OPTIONS = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    "GDAL_HTTP_LOW_SPEED_TIME": "20",
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
}


@dataclass(frozen=True)
class Mask:
    """A raster of one band whose numbers tell, by a scheme, where another raster shows the ground."""

    raster: Raster
    scheme: Scheme


@dataclass(frozen=True)
class Raster:
    """A raster file's facts, read once.

    Attributes:
        path: Of the file; a remote one begins with /vsicurl/.
        grid: Its pixels.
        bands: Those that are used of it.
        has_mask: An alpha band or a mask says what is valid.
        variable: Of a netCDF file with several.
        masks: Layers that say more about what is valid.
    """

    path: Path
    grid: Grid
    bands: tuple[Band, ...]
    has_mask: bool
    variable: str | None = None
    masks: tuple[Mask, ...] = ()

    @classmethod
    def open(cls, path: Path) -> Raster:
        """Read a file's facts.

        Raises:
            SeriesError: It can't be read as a raster.
        """
        return read_facts(path).raster()

    @property
    def source(self) -> str:
        """What GDAL opens."""
        return source_of(self.path, self.variable)

    def only(self, bands: Sequence[Band]) -> Raster:
        """The same file with these of its bands."""
        return replace(self, bands=tuple(bands))


def is_remote(path: Path) -> bool:
    """Whether the file is read over the network."""
    return path.as_posix().startswith(_REMOTE)


def source_of(path: Path, variable: str | None = None) -> str:
    """What GDAL opens for a path, and for a variable of a netCDF file."""
    if is_remote(path):
        return re.sub(r"^/vsicurl/(https?):/+", r"/vsicurl/\1://", path.as_posix())  # a Path joins slashes
    return f'NETCDF:"{path}":{variable}' if variable else str(path)


def open_raster(path: Path, variable: str | None = None) -> DatasetReader:
    """Open a file; of a netCDF file the axes x and y count by their names, for many lack CF's attributes.

    Raises:
        RasterioError: It can't be read.
        AccessError: This process may not use it, or what it is made of.
    """
    options = {"IGNORE_XY_AXIS_NAME_CHECKS": "YES"} if path.suffix.lower() == ".nc" else {}
    if not is_remote(path):
        virtual.demand(path)
    formats = virtual.formats(remote=is_remote(path))
    if formats is None:
        return rasterio.open(source_of(path, variable), **options)
    # `rasterio.open` takes one format, not several to choose from.
    dataset = ensure_env(DatasetReader)(source_of(path, variable), driver=formats, **options)
    try:
        virtual.demand_own_overviews(path, dataset)
    except AccessError:
        dataset.close()
        raise
    return dataset


def network(path: Path) -> contextlib.AbstractContextManager[object]:
    """GDAL set up to read a file: nothing for local ones, patience with limits for remote ones."""
    return rasterio.Env(**REMOTE_OPTIONS) if is_remote(path) else contextlib.nullcontext()


@dataclass(frozen=True)
class Facts:
    """All that a file tells without its pixels.

    Attributes:
        path: Of the file.
        grid: Its pixels.
        indexes: Places in the file of the bands of data, from 1; the other attributes go by these.
        dates: Of the bands, None where they have none.
        taken: The day of acquisition and the tag that tells it.
        written: The day in TIFFTAG_DATETIME.
        variables: Of a netCDF file that has several: then it has no bands of its own.
    """

    path: Path
    variable: str | None
    grid: Grid
    indexes: tuple[int, ...]
    descriptions: tuple[str | None, ...]
    color_names: tuple[str | None, ...]
    dtypes: tuple[str, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    nodatas: tuple[float | None, ...]
    added: float | None
    has_mask: bool
    palette: bool
    dates: tuple[dt.date | None, ...]
    taken: tuple[dt.date, str] | None
    written: dt.date | None
    variables: tuple[str, ...] = ()

    def raster(
        self, indexes: Sequence[int] = (), names: Sequence[str] = (), told: Told | None = None
    ) -> Raster:
        """The raster with all its bands, or with those at these places, under these names.

        What an analyst told counts more than the file: a nodata value is that of all bands.

        Raises:
            SeriesError: ``csv_band``: it has no such band.
        """
        unknown = [index for index in indexes if index not in self.indexes]
        if unknown:
            raise SeriesError(
                "csv_band",
                f"{self.path.name} has no band {unknown[0]}, but "
                f"{counted(len(self.indexes), 'band', 'bands')}.",
                "Correct the column band; the first band is 1.",
            )
        chosen: Sequence[int] = [self.indexes.index(index) for index in indexes] or range(len(self.indexes))
        known = told is not None and told.nodata is not None
        nodatas = (told.nodata,) * len(self.nodatas) if told and known else self.nodatas
        given: Sequence[str | None] = names or [self.descriptions[i] for i in chosen]
        bands = describe_bands(
            name_of(self.path),
            descriptions=given,
            color_names=[None if names else self.color_names[i] for i in chosen],
            dtypes=[self.dtypes[i] for i in chosen],
            scales=[self.scales[i] for i in chosen],
            offsets=[self.offsets[i] for i in chosen],
            nodatas=[nodatas[i] for i in chosen],
            added=self.added,
            told_sensor=told.sensor if told else None,
        )
        placed = []
        for band, i in zip(bands, chosen, strict=True):
            # A mask of the file's own tells what is valid: no preset's nodata beside it.
            nodata = nodatas[i] if self.has_mask else band.nodata
            placed.append(replace(band, index=self.indexes[i], nodata=nodata))
        grid = replace(self.grid, crs=told.crs) if told and told.crs else self.grid
        return Raster(self.path, grid, tuple(placed), self.has_mask, self.variable)


def name_of(path: Path) -> str:
    """A file's name without folder, extension, and what follows a ? in an address."""
    return Path(path.name.partition("?")[0]).stem


def read_facts(path: Path, variable: str | None = None) -> Facts:
    """Read a file's facts, if they are not known yet.

    Raises:
        SeriesError: It can't be read as a raster.
    """
    return _read(path, variable, _stamp(path))


def read_ahead(files: Iterable[tuple[Path, str | None]]) -> None:
    """Read the facts of many files at once, so that they are known; what can't be read is passed over."""

    def read(file: tuple[Path, str | None]) -> None:
        with contextlib.suppress(SeriesError):
            read_facts(*file)

    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        list(pool.map(read, files))


def _stamp(path: Path) -> tuple[int, int] | None:
    if is_remote(path):
        return None
    try:
        stat = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=8192)
def _read(path: Path, variable: str | None, _stamp: object) -> Facts:
    with (
        unreadable(path),
        network(path),
        open_raster(path, variable) as dataset,
    ):
        return _facts(path, variable, dataset)


def _facts(path: Path, variable: str | None, dataset: DatasetReader) -> Facts:
    variables = tuple(name.rsplit(":", 1)[-1].strip('"') for name in dataset.subdatasets)
    if variables and not variable and (dataset.driver == "netCDF" or dataset.count == 0):
        return Facts(
            path,
            None,
            Grid.of(dataset),
            (),
            (),
            (),
            (),
            (),
            (),
            (),
            None,
            False,
            False,
            (),
            None,
            None,
            variables,
        )
    colors = dataset.colorinterp
    data = [i for i in range(dataset.count) if colors[i] != ColorInterp.alpha]
    if not data or np.dtype(dataset.dtypes[data[0]]).kind == "c":
        raise SeriesError(
            "raster_kind",
            f"{path.name} has no band of real numbers.",
            "Take it out of the series, or convert it to amplitudes.",
        )
    if not dataset.transform.determinant:
        raise SeriesError(
            "raster_place",
            f"{path.name} has pixels of no size: it doesn't tell where it lies.",
            "Set its place and pixel size, or take it out of the series.",
        )
    tags = {**dataset.tags(), **dataset.tags(ns="IMAGERY")}
    of_bands = [dataset.tags(i + 1) for i in data] if dataset.driver == "netCDF" else []
    scales, offsets = _scaling(dataset, data, tags)
    return Facts(
        path=path,
        variable=variable,
        grid=_grid(dataset),
        indexes=tuple(i + 1 for i in data),
        descriptions=_descriptions(dataset, data, variable, of_bands),
        color_names=tuple(_COLORS.get(colors[i]) for i in data),
        dtypes=tuple(dataset.dtypes[i] for i in data),
        scales=scales,
        offsets=offsets,
        nodatas=tuple(dataset.nodatavals[i] for i in data),
        added=baseline_offset(path, tags),
        has_mask=MaskFlags.per_dataset in dataset.mask_flag_enums[data[0]],
        palette=colors[data[0]] == ColorInterp.palette,
        dates=tuple(band_dates(tags, of_bands)) if of_bands else (None,) * len(data),
        taken=taken_on(tags),
        written=written_on(tags),
    )


def _grid(dataset: DatasetReader) -> Grid:
    grid = Grid.of(dataset)
    # Whose axes tell no place lies nowhere, though it names a coordinate system.
    nowhere = dataset.driver == "netCDF" and grid.transform.is_identity
    return replace(grid, crs=None) if nowhere else grid


def _descriptions(
    dataset: DatasetReader, data: Sequence[int], variable: str | None, of_bands: Sequence[dict[str, str]]
) -> tuple[str | None, ...]:
    if not of_bands:
        return tuple(dataset.descriptions[i] for i in data)
    names = [variable or tags.get("NETCDF_VARNAME", "") for tags in of_bands]
    axes = [extra_axes(tags) for tags in of_bands]
    return tuple("_".join(filter(None, pair)) or None for pair in zip(names, axes, strict=True))


def _scaling(
    dataset: DatasetReader, data: Sequence[int], tags: dict[str, str]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The bands' own scales and offsets, else those in the file's tags, which speak of integers."""
    own = [(float(dataset.scales[i]), float(dataset.offsets[i])) for i in data]
    told = scaling(tags)
    if told and all(pair == (1.0, 0.0) for pair in own):
        own = [told if np.dtype(dataset.dtypes[i]).kind in "iu" else pair for i, pair in zip(data, own)]
    return tuple(scale for scale, _ in own), tuple(offset for _, offset in own)


def reason(error: BaseException) -> str:
    """What GDAL complains of, as a part of a sentence."""
    while isinstance(error.__cause__, Exception):  # rasterio's own words only point to it
        error = error.__cause__
    told = error.strerror if isinstance(error, OSError) else None
    return told or str(error).strip().partition("\n")[0].rstrip(".: ") or type(error).__name__


class unreadable:  # noqa: N801 - reads as what it guards against
    """Turns GDAL's complaints about a file into a SeriesError that names it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: Any) -> None:
        if isinstance(error, CRSError):
            raise SeriesError(
                "crs_transform",
                f"{self._path.name} can't be brought to the series' coordinate system: {reason(error)}.",
                "Take it out of the series, or correct its coordinate system.",
            ) from error
        if isinstance(error, (RasterioError, OSError)) and is_remote(self._path):
            raise SeriesError(
                "raster_unreachable",
                f"{source_of(self._path)[len(_REMOTE) :]} can't be read as a raster: {reason(error)}.",
                "Check the address and the network, or download the file.",
                retryable=True,
            ) from error
        if isinstance(error, (RasterioError, OSError)):
            raise SeriesError(
                "raster_unreadable",
                f"{self._path} can't be read as a raster: {reason(error)}.",
                "Replace the file, or take it out of the series.",
            ) from error
