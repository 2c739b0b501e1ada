# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up scene, small enough to train on in seconds: stripes of fields and of woods."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine

from timo import tasks
from timo.tasks.specs import load

SIDE = 128
TRANSFORM = Affine(10, 0, 600_000, 0, -10, 5_600_000)
DATES = ("20200401", "20200601", "20200801", "20201001")


@dataclass(frozen=True)
class Scene:
    """Where the scene's files are, and what is true there."""

    folder: Path
    labels: Path
    truth: np.ndarray  # (H, W), 1 field, 2 woods

    def finetune(self, out, reporter=None, **more):
        given = {
            "series": str(self.folder),
            "labels": str(self.labels),
            "class_field": "kind",
            "out": str(out),
        }
        return tasks.run("finetune", load("finetune", {**given, "epochs": 6, "zoom": 1, **more}), reporter)

    def predict(self, bundle, out, **more):
        given = {"series": str(self.folder), "model": str(bundle), "out": str(out)}
        return tasks.run("predict", load("predict", {**given, **more}))


def write_frame(path, bands, **options):
    """Write (C, H, W) uint16 values with band names."""
    names, values = list(bands), np.stack(list(bands.values())).astype(np.uint16)
    profile = {
        "driver": "GTiff", "dtype": "uint16", "count": len(names), "width": values.shape[2], "nodata": 0,
        "height": values.shape[1], "crs": "EPSG:32631", "transform": TRANSFORM, **options,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(values)
        target.descriptions = tuple(names)


def write_polygons(path, boxes, field="kind", crs="EPSG:32631"):
    """Write rectangles (row, column, height, width, class) in pixels."""
    shapes, classes = [], []
    for row, column, height, width, name in boxes:
        left, top = TRANSFORM @ (column, row)
        right, bottom = TRANSFORM @ (column + width, row + height)
        shapes.append(shapely.to_wkb(shapely.box(left, bottom, right, top)))
        classes.append(name)
    pyogrio.raw.write(
        path, np.array(shapes, object), [np.array(classes, object)], [field], geometry_type="Polygon", crs=crs
    )


def make_scene(root):
    """Fields turn green and bare within the year, woods stay as they are."""
    folder = root / "series"
    folder.mkdir()
    random = np.random.default_rng(7)
    truth = np.where(np.arange(SIDE)[:, None] // 32 % 2 == 0, 1, 2).repeat(SIDE, 1)
    for step, date in enumerate(DATES):
        green = np.where(truth == 1, (0.2, 0.8, 0.7, 0.2)[step], 0.6)
        noise = random.normal(0, 0.05, (3, SIDE, SIDE))
        red, nir, swir = 0.3 - 0.2 * green + noise[0], 0.2 + 0.3 * green + noise[1], 0.25 + noise[2]
        bands = {"B04": red, "B08": nir, "B11": swir}
        write_frame(folder / f"S2_{date}.tif", {k: (v.clip(0.01, 1) * 10_000) for k, v in bands.items()})
    labels = root / "labels.gpkg"
    boxes = [
        (row + 4, column + 4, 20, 20, "field" if row // 32 % 2 == 0 else "woods")
        for row in range(0, SIDE, 32)
        for column in range(0, SIDE, 32)
    ]
    write_polygons(labels, boxes)
    return Scene(folder, labels, truth)
