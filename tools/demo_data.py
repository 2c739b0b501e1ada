# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the demo's series: 12 clear dates of a Romanian forest, out of the PyPI wheel of `nrt`.

The wheel (Joint Research Centre, EUPL-1.2) carries two netCDF cubes of Sentinel-2 reflectance x 10000, 140
dates from 2015 to 2021: B2, B3, B4, B8 at 10 m and B8A, B11 at 20 m. Each chosen date becomes one GeoTIFF of
six bands at 10 m. Contains modified Copernicus Sentinel data.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import rasterio
import typer
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.warp import reproject

from timo.errors import SeriesError, TimoError

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "demo"

REQUIREMENT = "nrt==0.1.0"
WHEEL = "nrt-0.1.0-py3-none-any.whl"
SHA256 = "a9d4a49ba05b921e3eb03c3192c0b1312bd4315b9061414ad641b0d43e41519c"
CUBE_10M = "nrt/data/sentinel2_cube_subset_romania_10m.nc"
CUBE_20M = "nrt/data/sentinel2_cube_subset_romania_20m.nc"
CRS = "EPSG:3035"
NODATA = 0
SCALE = 1e-4

# The same three times of each growing season: first summer green (a new clearing is bare, nothing grew on it
# yet), July, August. April and autumn are left out: the trees have no leaves in April, and low sun fills gaps
# with shadow in autumn. Of the dates of a season, one that the scene classification calls clear (vegetation
# or bare soil) on more than 0.97 of the pixels and snow on none, and that is clear to the eye: it calls
# 2017-06-21, 2018-07-21 and 2018-08-15 clear too, where clouds can be seen.
DATES = tuple(
    dt.date.fromisoformat(day)
    for day in (
        *("2017-06-06", "2017-07-06", "2017-08-05"),
        *("2018-05-22", "2018-07-01", "2018-08-25"),
        *("2019-06-16", "2019-07-06", "2019-08-10"),
        *("2020-05-16", "2020-07-05", "2020-08-04"),
    )
)

# Band name in the series, cube, variable, colour in which a GIS shows it by default.
BANDS = (
    ("B02", CUBE_10M, "B2", ColorInterp.blue),
    ("B03", CUBE_10M, "B3", ColorInterp.green),
    ("B04", CUBE_10M, "B4", ColorInterp.red),
    ("B08", CUBE_10M, "B8", ColorInterp.undefined),
    ("B8A", CUBE_20M, "B8A", ColorInterp.undefined),
    ("B11", CUBE_20M, "B11", ColorInterp.undefined),
)
TAGS = {
    "ATTRIBUTION": "Contains modified Copernicus Sentinel data, from nrt 0.1.0 (JRC, EUPL-1.2)",
    "AREA_OR_POINT": "Area",
}

# True colour with the same stretch on every date; QGIS by itself takes a style that stands beside the raster.
STRETCH = {"red": (3, 0.01, 0.11), "green": (2, 0.015, 0.11), "blue": (1, 0.01, 0.09)}


def prepare(home: Path = HOME) -> Path:
    """Fetch the wheel where it is missing and write the series; returns the folder of its GeoTIFFs.

    Args:
        home: `download/` and `series/` are made in it.

    Raises:
        SeriesError: The wheel cannot be had, is not the one expected, or holds no such cube.
    """
    wheel = fetch_wheel(home / "download")
    folder = home / "series"
    write_series(wheel, folder)
    return folder


def fetch_wheel(folder: Path) -> Path:
    """The wheel in `folder`, downloaded by pip unless it is there already.

    Raises:
        SeriesError: There is no network and no copy, or the file's SHA-256 is another.
    """
    wheel = folder / WHEEL
    if not wheel.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary", ":all:", "--retries", "1", "--timeout", "20"]
        command += ["--dest", str(folder), REQUIREMENT]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not wheel.exists():
            raise SeriesError(
                "demo_download_failed",
                f"The demo's images ({REQUIREMENT}) could not be downloaded from the Python Package Index.",
                f"Connect to the internet, or put {WHEEL} into {folder}.",
                retryable=True,
                detail={"pip": done.stderr[-2000:]},
            )
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        raise SeriesError(
            "demo_wheel_differs",
            f"{wheel} is damaged or another file than the published wheel.",
            "Delete it and try again.",
        )
    return wheel


def write_series(wheel: Path, folder: Path, dates: Sequence[dt.date] = DATES) -> list[Path]:
    """Write one GeoTIFF a date, `S2_YYYYMMDD.tif`, into `folder`, in place of what was in it.

    Bands B02, B03, B04, B08, B8A, B11 on the 10 m grid (the last two bilinear from 20 m), uint16, reflectance
    with scale 0.0001, nodata 0, EPSG:3035; a QGIS style in true colour beside each.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as unpacked:
        with zipfile.ZipFile(wheel) as archive:
            cubes = {name: Path(archive.extract(name, unpacked)) for name in (CUBE_10M, CUBE_20M)}
        transform = read_transform(cubes[CUBE_10M])
        stacks = [read_band(cubes[cube], variable, dates) for _, cube, variable, _ in BANDS]
        coarse = read_transform(cubes[CUBE_20M])
    shape = stacks[0].shape[1:]
    for index, date in enumerate(dates):
        layers = [
            stack[index] if stack.shape[1:] == shape else _resample(stack[index], coarse, transform, shape)
            for stack in stacks
        ]
        path = partial / f"S2_{date:%Y%m%d}.tif"
        _write(path, np.stack(layers), transform)
        path.with_suffix(".qml").write_text(style(STRETCH), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return [folder / f"S2_{date:%Y%m%d}.tif" for date in dates]


def read_transform(cube: Path) -> Affine:
    """The affine transform of a cube, from its pixel centres `x` and `y` (GDAL's driver gives none here)."""
    (left, *_, right), (top, *_, bottom) = (_read(cube, axis).ravel() for axis in ("x", "y"))
    columns, rows = (_read(cube, axis).size for axis in ("x", "y"))
    width, height = (right - left) / (columns - 1), (bottom - top) / (rows - 1)
    # The centres are doubles that went through a division: whole metres are what was meant.
    width, height = round(width, 3), round(height, 3)
    return Affine(width, 0.0, left - width / 2, 0.0, height, top - height / 2)


def read_band(cube: Path, variable: str, dates: Iterable[dt.date]) -> NDArray[np.uint16]:
    """(T, H, W) values of a variable at `dates`.

    Raises:
        SeriesError: A date is not in the cube.
    """
    with _open(cube, variable) as source:
        unit, _, start = source.tags()["time#units"].partition(" since ")
        first = dt.datetime.fromisoformat(start)
        days = [first + dt.timedelta(**{unit: int(v)}) for v in _values(source.tags())]
        index = {day.date(): number for number, day in enumerate(days, start=1)}
        missing = [date for date in dates if date not in index]
        if missing:
            raise SeriesError(
                "demo_date_missing",
                f"{cube.name} has no image of {missing[0]}.",
                f"Choose from its {len(index)} dates between {days[0]:%Y-%m-%d} and {days[-1]:%Y-%m-%d}.",
            )
        values: NDArray[np.uint16] = source.read([index[date] for date in dates])
        return values


def _values(tags: dict[str, str]) -> list[str]:
    return tags["NETCDF_DIM_time_VALUES"].strip("{}").split(",")


def _open(cube: Path, variable: str) -> rasterio.DatasetReader:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            # Rows as they lie in the file: by default the driver turns a cube whose grid it can't read.
            with rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO"):
                return rasterio.open(f'netcdf:"{cube}":{variable}')
        except RasterioIOError as error:
            raise SeriesError(
                "demo_cube_unreadable",
                f"{cube.name} in {WHEEL} could not be read as netCDF.",
                "Install rasterio from its PyPI wheel, which reads netCDF.",
                detail={"gdal": str(error)},
            ) from error


def _read(cube: Path, variable: str) -> NDArray[np.float64]:
    with _open(cube, variable) as source:
        values: NDArray[np.float64] = source.read(1)
        return values


def _resample(
    layer: NDArray[np.uint16], source: Affine, target: Affine, shape: tuple[int, ...]
) -> NDArray[np.uint16]:
    fine = np.zeros(shape, layer.dtype)
    reproject(
        layer,
        fine,
        src_transform=source,
        dst_transform=target,
        src_crs=CRS,
        dst_crs=CRS,
        src_nodata=NODATA,
        dst_nodata=NODATA,
        resampling=Resampling.bilinear,
    )
    return fine


def _write(path: Path, layers: NDArray[np.uint16], transform: Affine) -> None:
    count, height, width = layers.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=count,
        height=height,
        width=width,
        dtype=layers.dtype,
        crs=CRS,
        transform=transform,
        nodata=NODATA,
        compress="deflate",
        predictor=2,
        photometric="minisblack",
    ) as out:
        out.write(layers)
        out.descriptions = [name for name, *_ in BANDS]
        out.colorinterp = [color for *_, color in BANDS]
        out.scales = [SCALE] * count
        out.offsets = [0.0] * count
        out.update_tags(**TAGS)


def style(stretch: Mapping[str, tuple[int, float, float]]) -> str:
    """A QGIS style: the band of each colour, and the values that are drawn darkest and brightest."""
    bands = " ".join(f'{color}Band="{band}"' for color, (band, _, _) in stretch.items())
    stretches = "".join(
        f"<{color}ContrastEnhancement><minValue>{low}</minValue><maxValue>{high}</maxValue>"
        f"<algorithm>StretchToMinimumMaximum</algorithm></{color}ContrastEnhancement>"
        for color, (_, low, high) in stretch.items()
    )
    renderer = f'<rasterrenderer type="multibandcolor" opacity="1" {bands}>{stretches}</rasterrenderer>'
    return f'<!DOCTYPE qgis>\n<qgis version="3.22"><pipe>{renderer}</pipe></qgis>\n'


def main(
    home: Annotated[Path, typer.Option(help="Folder for the download and the series.")] = HOME,
) -> None:
    """Write the demo's series into HOME/series."""
    try:
        folder = prepare(home)
    except TimoError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"{len(DATES)} dates written to {folder}.")


if __name__ == "__main__":
    typer.run(main)
