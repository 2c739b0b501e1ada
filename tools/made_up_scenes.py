# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes made-up scenes for the user guide's pictures: land cover, crops, a flood. Nothing was measured.

For each: dated GeoTIFFs with named bands, and ``labels.gpkg`` with the fields ``class`` and ``part`` (train,
test). The same seed gives the same pixels.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyogrio.raw
import rasterio
import shapely
from affine import Affine
from demo_data import style
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

ROOT = Path(__file__).resolve().parent.parent
SIDE = 192
CRS = "EPSG:32633"
TRANSFORM = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 5400000.0)
OPTICAL = ("B02", "B03", "B04", "B08", "B11")
COLOURS = {"B02": ColorInterp.blue, "B03": ColorInterp.green, "B04": ColorInterp.red}
OPTICAL_STRETCH = {"red": (3, 0.01, 0.22), "green": (2, 0.01, 0.2), "blue": (1, 0.01, 0.18)}
RADAR = {"red": (1, -24, -4), "green": (2, -30, -10), "blue": (1, -24, -4)}

Array = NDArray[np.float64]

# Reflectance of blue, green, red, near infrared, SWIR; how coarse and how strong the texture is.
COVERS: Mapping[str, tuple[tuple[float, ...], int, float]] = {
    "forest": ((0.02, 0.04, 0.025, 0.26, 0.11), 2, 0.25),
    "grassland": ((0.04, 0.08, 0.06, 0.34, 0.21), 6, 0.06),
    "cropland": ((0.06, 0.10, 0.11, 0.24, 0.28), 1, 0.05),
    "water": ((0.04, 0.04, 0.025, 0.015, 0.01), 8, 0.05),
    "built-up": ((0.13, 0.15, 0.17, 0.22, 0.26), 1, 0.35),
}
BARE = np.array((0.07, 0.10, 0.13, 0.20, 0.29))
GREEN = np.array((0.03, 0.07, 0.04, 0.42, 0.19))
# When a crop is green: day of the year of its peak, and how many days it lasts.
CROPS: Mapping[str, tuple[float, float]] = {
    "winter cereals": (135, 35),
    "summer cereals": (172, 26),
    "maize": (222, 32),
    "grassland": (180, 95),
}
SEASON = tuple(f"2023{day}" for day in ("0405", "0425", "0515", "0604", "0624", "0714", "0808", "0902"))


def land_cover(folder: Path, seed: int = 1) -> None:
    """Two dates: patches of five covers, each with its texture; in August the fields are bare."""
    random = np.random.default_rng(seed)
    cells = _cells(random, 42)
    names = list(COVERS)
    kinds = random.permutation(np.arange(42) % len(names))
    for date, fields in (("20230520", 0.7 * GREEN + 0.3 * BARE), ("20230820", BARE)):
        image = np.zeros((len(OPTICAL), SIDE, SIDE))
        for number, name in enumerate(names):
            colours, coarse, strength = COVERS[name]
            shown = fields if name == "cropland" else np.array(colours)
            texture = 1 + strength * _smooth(random, coarse)
            image += np.where(kinds[cells] == number, shown[:, None, None] * texture, 0)
        noisy = image * (1 + 0.03 * random.standard_normal(image.shape))
        _write(folder / f"S2_{date}.tif", noisy, OPTICAL)
    _write_labels(folder / "labels.gpkg", cells, [names[kind] for kind in kinds], random)


def crops(folder: Path, seed: int = 2) -> None:
    """Eight dates of a season: fields in a grid, each green when its crop is."""
    random = np.random.default_rng(seed)
    step = 24
    rows, columns = np.indices((SIDE, SIDE)) // step
    cells = rows * (SIDE // step) + columns
    count = int(cells.max()) + 1
    names = list(CROPS)
    kinds = random.permutation(np.arange(count) % len(names))
    late, vigour = random.normal(0, 5, count), random.uniform(0.75, 1, count)
    edge = (np.indices((SIDE, SIDE)) % step == 0).any(axis=0)
    for date in SEASON:
        day = dt.datetime.strptime(date, "%Y%m%d").timetuple().tm_yday
        peak = np.array([CROPS[names[kind]][0] for kind in kinds]) + late
        width = np.array([CROPS[names[kind]][1] for kind in kinds])
        cover = (vigour * np.exp(-0.5 * ((day - peak) / width) ** 2))[cells]
        cover = np.clip(cover * (1 + 0.08 * _smooth(random, 3)), 0, 1)
        cover = np.where(edge, 0.5, cover)
        image = BARE[:, None, None] * (1 - cover) + GREEN[:, None, None] * cover
        noisy = image * (1 + 0.04 * random.standard_normal(image.shape))
        _write(folder / f"S2_{date}.tif", noisy, OPTICAL)
    _write_labels(folder / "labels.gpkg", cells, [names[kind] for kind in kinds], random)


def flood(folder: Path, seed: int = 3) -> None:
    """Radar before and after: a river that leaves its bed. Decibels, VV and VH, with speckle."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices((SIDE, SIDE))
    middle = SIDE / 2 + 26 * np.sin(columns / 34) + 8 * np.sin(columns / 11)
    away = np.abs(rows - middle)
    river = away < 5
    flooded = (away < 22 + 9 * _smooth(random, 14)) & ~river
    land = 1.6 * _smooth(random, 7)
    for date, water in (("20240103", river), ("20240115", river | flooded)):
        bands = []
        for dry, wet in ((-9.0, -19.5), (-15.5, -26.0)):
            speckle = 10 * np.log10(random.gamma(5, 1 / 5, (SIDE, SIDE)))
            bands.append(np.where(water, wet, dry + land) + speckle)
        _write(folder / f"S1_{date}.tif", np.stack(bands), ("VV", "VH"))
    step = 16
    cells = (rows // step) * (SIDE // step) + columns // step
    names = []
    for cell in range(int(cells.max()) + 1):
        share = flooded[cells == cell].mean()
        names.append("flooded" if share > 0.9 else "dry" if share < 0.02 else "")
    _write_labels(folder / "labels.gpkg", cells, names, random)


SCENES = {"land_cover": land_cover, "crops": crops, "flood": flood}


def _smooth(random: np.random.Generator, size: int) -> Array:
    """(H, W) noise of mean 0 and deviation 1 whose patches are about ``size`` pixels wide."""
    noise = random.standard_normal((SIDE, SIDE))
    frequency = np.fft.fftfreq(SIDE)
    distance = frequency[:, None] ** 2 + frequency[None] ** 2
    smooth = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-20 * size**2 * distance / 2)).real
    return np.asarray((smooth - smooth.mean()) / smooth.std())


def _cells(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    """(H, W) the nearest of ``count`` random places, in a slightly bent metric."""
    seeds = random.uniform(0, SIDE, (count, 2))
    rows, columns = np.indices((SIDE, SIDE))
    bent_rows, bent_columns = rows + 4 * _smooth(random, 9), columns + 4 * _smooth(random, 9)
    distance = (bent_rows[None] - seeds[:, 0, None, None]) ** 2
    distance += (bent_columns[None] - seeds[:, 1, None, None]) ** 2
    return np.argmin(distance, axis=0)


def _write(path: Path, image: Array, names: Sequence[str]) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", count=len(names), height=SIDE, width=SIDE, dtype="float32",
        crs=CRS, transform=TRANSFORM, nodata=-9999, compress="deflate", predictor=3,
        photometric="minisblack",
    ) as out:  # fmt: skip
        out.write(image.astype(np.float32))
        out.descriptions = names
        out.colorinterp = [COLOURS.get(name, ColorInterp.undefined) for name in names]
        out.update_tags(ATTRIBUTION="A made-up scene: nothing in it was measured")
    stretch = RADAR if names[0] == "VV" else OPTICAL_STRETCH
    path.with_suffix(".qml").write_text(style(stretch), encoding="utf-8")


def _write_labels(
    path: Path, cells: NDArray[np.int64], names: Sequence[str], random: np.random.Generator
) -> None:
    """A square in the middle of each cell that has a name; every fourth of a class is for testing."""
    shapes, classes, parts = [], [], []
    seen: dict[str, int] = {}
    for cell in random.permutation(len(names)):
        name = names[cell]
        rows, columns = np.nonzero(cells == cell)
        if not name or len(rows) < 60:
            continue
        half = min(5, int(np.sqrt(len(rows)) / 4))
        middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
        left, top = TRANSFORM * (columns[middle] - half, rows[middle] - half)
        right, bottom = TRANSFORM * (columns[middle] + half, rows[middle] + half)
        seen[name] = seen.get(name, 0) + 1
        shapes.append(shapely.box(left, bottom, right, top))
        classes.append(name)
        parts.append("test" if seen[name] % 4 == 0 else "train")
    pyogrio.raw.write(
        str(path),
        shapely.to_wkb(np.array(shapes, dtype=object)),
        [np.array(classes, dtype=object), np.array(parts, dtype=object)],
        ["class", "part"],
        geometry_type="Polygon",
        crs=CRS,
        driver="GPKG",
        layer="labels",
    )


def write(home: Path) -> None:
    """Write all scenes, a folder each, in place of what was in it."""
    for name, make in SCENES.items():
        folder = home / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "docs" / "scenes")
    write(parser.parse_args().out)
