# SPDX-License-Identifier: GPL-3.0-or-later
"""An analyst's desk: a good series, good labels and a model, of which each row spoils one thing."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from tests.scenes import DATES, TRANSFORM, Scene, write_frame

DATA = Path(__file__).parents[4] / "shared" / "data"
UTM = "EPSG:32631"
SITE = 'LOCAL_CS["site",UNIT["metre",1]]'  # a building site's own coordinates
SIDE = 128


@dataclass(frozen=True)
class Desk:
    """Where the row's files are; all paths are below ``folder``, and sentences name them from there.

    ``good`` is the scene that is copied from, ``trained`` a model of it.
    """

    folder: Path
    good: Scene
    trained: Path

    def series(self, *, dates=DATES, bands=None) -> Path:
        """A folder of good frames, of these dates, with these of the bands B04, B08 and B11."""
        folder = self.folder / "series"
        folder.mkdir()
        for date in dates:
            source = self.good.folder / f"S2_{date}.tif"
            if bands is None:
                shutil.copy(source, folder)
                continue
            with rasterio.open(source) as file:
                kept = {name: values for name, values in zip(file.descriptions, file.read()) if name in bands}
            write_frame(folder / source.name, kept)
        return folder

    def half_empty(self) -> Path:
        """A series whose upper half is nodata on all dates."""
        folder = self.series()
        for date in DATES:
            values = np.full((3, SIDE, SIDE), 2000, np.uint16)
            values[:, : SIDE // 2] = 0
            self.frame(date, values)
        return folder

    def labels(self) -> Path:
        """Good polygons with the classes field and woods in the field kind."""
        return Path(shutil.copy(self.good.labels, self.folder))

    def model(self) -> Path:
        """A good model bundle, woods."""
        return Path(shutil.copytree(self.trained, self.folder / "woods"))

    def raster(self, name, values, **profile) -> Path:
        """A GeoTIFF of (bands, rows, columns), on the good series' grid where nothing else is said."""
        path = self.folder / name
        values = np.asarray(values)
        values = values[None] if values.ndim == 2 else values
        names, tags = profile.pop("names", ()), profile.pop("tags", {})
        profile = {
            "driver": "GTiff", "count": values.shape[0], "height": values.shape[1], "width": values.shape[2],
            "dtype": values.dtype, "crs": UTM, "transform": TRANSFORM, **profile,
        }  # fmt: skip
        path.parent.mkdir(exist_ok=True)
        with rasterio.open(path, "w", **profile) as file:
            file.write(values)
            if names:
                file.descriptions = names
            file.update_tags(**tags)
        return path

    def frame(self, date, values=2000, **profile) -> Path:
        """One more frame in the folder series, with all three bands."""
        if np.isscalar(values):
            values = np.full((3, SIDE, SIDE), values, np.uint16)
        names = ("B04", "B08", "B11")
        return self.raster(f"series/S2_{date}.tif", values, **{"nodata": 0, "names": names, **profile})

    def layer(self, name, geometries, *, crs=UTM, **columns) -> Path:
        """A vector layer with one column a field."""
        path = self.folder / name
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(np.array(geometries, object)),
            field_data=[np.array(column) for column in columns.values()],
            fields=list(columns),
            geometry_type=geometries[0].geom_type if geometries else "Polygon",
            crs=crs,
        )
        return path

    def finetune(self, labels=None, *more, series=None, field="kind"):
        """The command that trains a model: one epoch of eight small steps, if it gets that far."""
        named = ["--class-field", field] if field else []
        return [
            "finetune", "--series", series or self.series(), "--labels", labels or self.labels(), *named,
            "--out", self.folder / "new", "--epochs", "1", "--batch", "1", "--zoom", "1", *more,
        ]  # fmt: skip

    def predict(self, *more, series=None, model=None, out="map.tif"):
        """The command that maps the series."""
        series, model = series or self.series(), model or self.model()
        return ["predict", "--series", series, "--model", model, "--out", self.folder / out, *more]

    def evaluate(self, labels=None, *more, series=None, model=None, out="report"):
        """The command that judges the model."""
        return [
            "evaluate", "--series", series or self.series(), "--model", model or self.model(),
            "--labels", labels or self.labels(), "--class-field", "kind", "--out", self.folder / out,
            "--no-areas", *more,
        ]  # fmt: skip


def square(row, column, height=20, width=None):
    """A rectangle of the good series' pixels."""
    left, top = TRANSFORM @ (column, row)
    right, bottom = TRANSFORM @ (column + (width or height), row + height)
    return shapely.box(left, bottom, right, top)


def fields(*classes, count=16):
    """Squares all over the good series, and a class for each, in turn: what ``Desk.layer`` takes."""
    places = [(row, column) for row in range(4, SIDE, 32) for column in range(4, SIDE, 32)][:count]
    return [square(*place) for place in places], [classes[i % len(classes)] for i in range(len(places))]


def real(name) -> Path:
    """A real series, where it is present."""
    if not (DATA / name).exists():
        pytest.skip(f"no real series '{name}' in ../shared/data")
    return DATA / name
