# SPDX-License-Identifier: GPL-3.0-or-later
"""How right a class map is on the kept test polygons, beside a random forest on the same pixels."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from xml.etree import ElementTree as ET  # nosec B405

import numpy as np
import pyogrio.raw
import rasterio
import shapely
import typer
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.errors import RasterioIOError
from rasterio.features import rasterize
from rasterio.warp import transform_geom
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score, precision_recall_fscore_support

from timo.errors import LabelError, OutputError, TimoError
from timo.series.series import open_series

NO_DATA = "no data"
CLASS_FIELD, PART_FIELD = "class", "part"
TREES, SEED = 200, 0

Names = NDArray[np.object_]


@dataclass(frozen=True)
class ClassMap:
    """A map as names: `names` (H, W) holds each pixel's class, or "no data"."""

    names: Names
    transform: rasterio.Affine
    crs: rasterio.crs.CRS


def assess(map_path: Path, labels_path: Path, series_dir: Path) -> dict[str, Any]:
    """Compare a class map with the test polygons, and a random forest with the same.

    Pixels count whose centre lies in a polygon; those in polygons of two classes do not. A test pixel that is
    mapped "no data" is wrong. The forest (200 trees, balanced, fixed seed) sees all bands of all dates of a
    pixel and learns from the pixels of the training polygons.

    Args:
        map_path: GeoTIFF of class values with its class names in `.aux.xml`, as `timo predict` writes it.
        labels_path: Polygons with the text fields `class` and `part` (train or test).
        series_dir: The series that the map was made from, on the same grid.

    Returns:
        `classes`; `pixels` and `polygons`, {part: {class: count}}; `timo` and `random_forest`, each with
        `overall_accuracy`, `mean_iou`, `mean_f1`, `per_class` {class: `pixels`, `users_accuracy`,
        `producers_accuracy`, `f1`, `iou`} and `confusion` (`truth`: the rows' names, `mapped`: the columns',
        `counts`). Shares from 0 to 1; None where undefined: a class never mapped has no user's accuracy.

    Raises:
        TimoError: A file cannot be read, the grids differ, or a part has no pixels.
    """
    mapped = read_map(map_path)
    parts = read_parts(labels_path, mapped)
    for part in ("train", "test"):
        if not any(mask.any() for mask in parts[part].values()):
            raise LabelError(
                "labels_no_part",
                f"{labels_path.name} has no polygon of the part '{part}' on {map_path.name}.",
                "Give polygons of both parts that lie on the map.",
            )
    classes = sorted({name for masks in parts.values() for name in masks})
    truth, test = _pixels(parts["test"])
    return {
        "classes": classes,
        "polygons": count_polygons(labels_path),
        "pixels": {
            part: {name: int(mask.sum()) for name, mask in sorted(masks.items())}
            for part, masks in parts.items()
        },
        "timo": score(truth, mapped.names.ravel()[test], classes),
        "random_forest": score(truth, random_forest(parts, series_dir, mapped), classes),
    }


def score(truth: Names, predicted: Names, classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy of predicted class names (N,) against the true ones; see `assess` for the keys."""
    columns = [*classes, *sorted(set(predicted) - set(classes) - {NO_DATA}), NO_DATA]
    users, producers, f1, pixels = precision_recall_fscore_support(
        truth, predicted, labels=classes, zero_division=np.nan
    )
    iou = jaccard_score(truth, predicted, labels=classes, average=None, zero_division=0)
    counts = confusion_matrix(truth, predicted, labels=columns)[: len(classes)]
    return {
        "overall_accuracy": float(accuracy_score(truth, predicted)),
        "mean_iou": float(np.mean(iou)),
        "mean_f1": float(np.nanmean(f1)),
        "per_class": {
            name: {
                "pixels": int(pixels[i]),
                "users_accuracy": _share(users[i]),
                "producers_accuracy": _share(producers[i]),
                "f1": _share(f1[i]),
                "iou": _share(iou[i]),
            }
            for i, name in enumerate(classes)
        },
        "confusion": {"truth": list(classes), "mapped": columns, "counts": counts.tolist()},
    }


def random_forest(parts: dict[str, dict[str, NDArray[np.bool_]]], series_dir: Path, like: ClassMap) -> Names:
    """Class names (N,) that a forest gives the test pixels, in the order of `_pixels`.

    Raises:
        TimoError: The series cannot be read or lies on another grid than the map.
    """
    series = open_series(series_dir)
    size = (series.grid.height, series.grid.width)
    if size != like.names.shape or not series.grid.transform.almost_equals(like.transform, precision=1e-3):
        raise OutputError(
            "map_other_grid",
            f"The map is not on the grid of the series in {series_dir}.",
            "Predict on that series.",
        )
    frames = series.read()
    count = math.prod(size)
    features = frames.filled().reshape(-1, count).T
    ever_valid = frames.band_valid.any(axis=0).all(axis=0).reshape(count)

    truth, train = _pixels(parts["train"])
    _, test = _pixels(parts["test"])
    known, seen = ever_valid[train], ever_valid[test]
    forest = RandomForestClassifier(n_estimators=TREES, class_weight="balanced_subsample", random_state=SEED)
    forest.fit(features[train[known]], truth[known])
    predicted = np.full(test.size, NO_DATA, dtype=object)
    if seen.any():
        predicted[seen] = forest.predict(features[test[seen]])
    return predicted


def read_map(path: Path) -> ClassMap:
    """A class map with the names of `.aux.xml` in place of its values.

    Raises:
        OutputError: It cannot be opened, or its class names are missing.
    """
    sidecar = path.with_name(path.name + ".aux.xml")
    try:
        with rasterio.open(path) as source:
            values, valid = source.read(1), source.dataset_mask() > 0
            transform, crs = source.transform, source.crs
        # Written by timo predict beside the map: no stranger's file.
        root = ET.parse(sidecar).getroot()  # noqa: S314  # nosec B314
        categories = root.findall("PAMRasterBand[@band='1']/CategoryNames/Category")
        if not categories:
            raise ET.ParseError("no CategoryNames")
    except (RasterioIOError, OSError, ET.ParseError) as error:
        raise OutputError(
            "map_unreadable",
            f"{path} could not be read as a class map with its names in {sidecar.name}.",
            "Give a map written by timo predict, with the files beside it.",
            detail={"reason": str(error)},
        ) from error
    names = np.full(values.shape, NO_DATA, dtype=object)
    for value, category in enumerate(categories):
        if category.text:
            names[valid & (values == value)] = category.text
    return ClassMap(names, transform, crs)


def read_parts(path: Path, like: ClassMap) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """The pixels of each class of each part, {part: {class: (H, W) bool}}, on the grid of a map.

    A pixel belongs to a polygon if its centre lies in it; one that two classes or both parts claim to
    neither.

    Raises:
        LabelError: The file or a field cannot be read.
    """
    polygons, wkt = _read_polygons(path)
    crs = rasterio.crs.CRS.from_user_input(wkt)
    masks: dict[str, dict[str, NDArray[np.bool_]]] = {"train": {}, "test": {}}
    claims = np.zeros(like.names.shape, np.int64)
    for part, of_class in masks.items():
        for name in sorted({name for name, its_part, _ in polygons if its_part == part}):
            shapes = [
                shape if crs == like.crs else transform_geom(crs, like.crs, shapely.geometry.mapping(shape))
                for its_name, its_part, shape in polygons
                if (its_name, its_part) == (name, part)
            ]
            mask = rasterize(
                shapes, out_shape=claims.shape, transform=like.transform, all_touched=False, dtype="uint8"
            )
            of_class[name] = mask.astype(bool)
            claims += mask
    return {
        part: {name: mask & (claims == 1) for name, mask in of_class.items()}
        for part, of_class in masks.items()
    }


def count_polygons(path: Path) -> dict[str, dict[str, int]]:
    """How many polygons, {part: {class: count}}."""
    polygons, _ = _read_polygons(path)
    counts: dict[str, dict[str, int]] = {"train": {}, "test": {}}
    for name, part, _ in polygons:
        counts[part][name] = counts[part].get(name, 0) + 1
    return counts


def tables(report: dict[str, Any]) -> list[Table]:
    """The report as tables for a terminal: accuracies of both, and the confusion of each."""
    pixels = sum(report["pixels"]["test"].values())
    summary = Table(
        title=f"On the kept polygons ({pixels} pixels)",
        caption="UA user's accuracy, PA producer's accuracy",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),  # fits 80 columns
    )
    summary.add_column("", no_wrap=True)
    columns = {"users_accuracy": "UA", "producers_accuracy": "PA", "f1": "F1", "iou": "IoU"}
    for who in ("TiMo", "forest"):
        for title in columns.values():
            summary.add_column(f"{who}\n{title}", justify="right")
    both = (report["timo"], report["random_forest"])
    for name in report["classes"]:
        cells = [_figure(result["per_class"][name][key]) for result in both for key in columns]
        summary.add_row(name, *cells)
    summary.add_section()
    for title, key in (
        ("overall accuracy", "overall_accuracy"),
        ("mean F1", "mean_f1"),
        ("mean IoU", "mean_iou"),
    ):
        timo, forest = (_figure(result[key]) for result in both)
        summary.add_row(
            title, timo, "", "", "", forest, "", "", "", style="bold" if key == "overall_accuracy" else ""
        )
    return [summary, *(_confusion(who, result) for who, result in zip(("TiMo", "Random forest"), both))]


def _confusion(who: str, result: dict[str, Any]) -> Table:
    title = f"{who}: pixels of a class (row) and what they were mapped as"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("", no_wrap=True)
    for name in result["confusion"]["mapped"]:
        table.add_column(name, justify="right")
    for name, row in zip(result["confusion"]["truth"], result["confusion"]["counts"]):
        table.add_row(name, *(str(count) for count in row))
    return table


def _read_polygons(path: Path) -> tuple[list[tuple[str, str, Any]], str]:
    try:
        meta, _, geometry, fields = pyogrio.raw.read(path, columns=[CLASS_FIELD, PART_FIELD])
    except (DataSourceError, DataLayerError) as error:
        raise LabelError(
            "labels_unreadable",
            f"{path} could not be read as polygons.",
            "Give a GeoPackage.",
            detail={"ogr": str(error)},
        ) from error
    columns = dict(zip(meta["fields"], fields))
    for field in (CLASS_FIELD, PART_FIELD):
        if field not in columns:
            raise LabelError("labels_no_field", f"{path.name} has no field '{field}'.", "Add it.")
    strange = set(columns[PART_FIELD]) - {"train", "test"}
    if strange:
        raise LabelError(
            "labels_part",
            f"{path.name} has '{strange.pop()}' in the field 'part'.",
            "Write train or test there.",
        )
    return list(zip(columns[CLASS_FIELD], columns[PART_FIELD], shapely.from_wkb(geometry))), meta["crs"]


def _pixels(masks: dict[str, NDArray[np.bool_]]) -> tuple[Names, NDArray[np.intp]]:
    """Class names (N,) and places (N,) of a part's pixels in the flattened grid, class by class."""
    places = {name: np.flatnonzero(mask) for name, mask in sorted(masks.items())}
    names = np.concatenate([np.full(of_class.size, name, dtype=object) for name, of_class in places.items()])
    return names, np.concatenate(list(places.values()))


def _share(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main(
    map_path: Annotated[Path, typer.Option("--map", help="The class map.")],
    labels: Annotated[Path, typer.Option(help="Polygons with the fields class and part.")],
    series: Annotated[Path, typer.Option(help="The folder of the series.")],
    out: Annotated[Path | None, typer.Option("--json", help="Write the figures here, too.")] = None,
) -> None:
    """Print how right a map is on the test polygons, beside a random forest."""
    try:
        report = assess(map_path, labels, series)
    except TimoError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    console = Console()
    for table in tables(report):
        console.print(table)
    if out:
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
