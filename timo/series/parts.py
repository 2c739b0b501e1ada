# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a split in vector files: as an analyst gives them, and as they are saved to be looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyogrio
import rasterio.features
import shapely
import shapely.geometry
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError

from timo.errors import LabelError, OutputError
from timo.series.grid import Grid
from timo.series.label_vectors import is_vector, read_vector_labels
from timo.series.rasters import reason
from timo.series.words import counted

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = (
    "train",
    "validation",
    "test",
)  # ``Parts.map`` and ``Split.side`` hold indices
NO_PART = -1

_SPELLINGS = {
    "train": 0, "training": 0,
    "validation": 1, "valid": 1, "val": 1,
    "test": 2, "testing": 2,
}  # fmt: skip
_MARK = "Write train, validation or test into the field."

Row = tuple[shapely.Polygon, Part, int, int]
"""Polygon, part, labelled pixels that count, and those that are lost to the buffer."""


@dataclass(frozen=True)
class Parts:
    """Which part of a split each pixel was given to.

    Attributes:
        map: (H, W) int8, index in ``PARTS``; -1 where none.
        name: Of the file that says so.
        problems: What an analyst should know, one sentence each.
    """

    map: NDArray[np.int8]
    name: str
    problems: tuple[str, ...] = ()


def read_parts(path: str | os.PathLike[str], grid: Grid, field: str = "part") -> Parts:
    """Read which part of the split a place is given to.

    Args:
        path: Polygons or points, in any CRS: a layer of parts such as ``Split.save`` writes, or the labels
            themselves (``file.gpkg|layername=NAME`` for one layer of several).
        grid: The grid of the labels.
        field: Its values are train, validation (or val) and test, in any case of letters.

    Raises:
        LabelError: Naming the file, the field, or the value that is none of these.
    """
    file = str(path).partition("|")[0]
    name = Path(file).name
    if not Path(file).exists():
        raise LabelError("split_not_found", f"The split {file} does not exist.", "Correct the path.")
    if not is_vector(path):
        raise LabelError(
            "split_unreadable",
            f"{name} can't be read as polygons or points.",
            "Give a vector file whose features say which part they are of.",
        )
    try:
        raw = read_vector_labels(path, grid, field, None)
    except LabelError as error:
        raise _about_parts(error, name, field) from error
    codes = np.full(256, NO_PART, np.int8)
    for index, written in enumerate(raw.names):
        code = _SPELLINGS.get(written.strip().lower())
        if code is None:
            raise LabelError(
                "part_unknown",
                f"Field '{field}' of {name} has the value '{written}', which is no part of a split.",
                _MARK,
            )
        codes[index] = code
    found = codes[raw.indices]
    problems = [problem.replace(" no class in ", " no part in ") for problem in raw.problems]
    if raw.conflicts:
        # Two spellings of one part are a conflict too: rare, and harmless.
        problems.append(
            counted(
                raw.conflicts,
                f"pixel of {name} is given to two parts: it is in none.",
                f"pixels of {name} are given to two parts: they are in none.",
            )
        )
    return Parts(found, name, tuple(problems))


def _about_parts(error: LabelError, name: str, field: str) -> LabelError:
    """What is wrong with a class field, said of a field of parts."""
    if error.code == "class_field_unknown":
        return LabelError("part_field_unknown", error.message, _MARK, detail=error.detail)
    if error.code in ("no_features", "too_many_classes", "class_field_decimal"):
        return LabelError(
            "no_parts",
            f"Field '{field}' of {name} doesn't say which part of the split a feature is of.",
            _MARK,
        )
    return error


def outlines(
    side: NDArray[np.int8], used: NDArray[np.bool_], labelled: NDArray[np.bool_], grid: Grid
) -> Iterator[Row]:
    """Polygons around the connected places of each part that hold labels, along the pixels' edges.

    Args:
        side: (H, W) index in ``PARTS``; -1 where none.
        used: (H, W) labelled pixels that count.
        labelled: (H, W) all labelled pixels.
        grid: Where they are.
    """
    found = rasterio.features.shapes(side.astype(np.int16), mask=side != NO_PART, transform=grid.transform)
    polygons, codes = [], []
    for geometry, code in found:
        polygons.append(shapely.geometry.shape(geometry))
        codes.append(int(code))
    if not polygons:
        return
    numbers = rasterio.features.rasterize(
        ((polygon, number) for number, polygon in enumerate(polygons, start=1)),
        out_shape=grid.shape, transform=grid.transform, fill=0, dtype=np.int32,
    )  # fmt: skip
    kept = np.bincount(numbers[used], minlength=len(polygons) + 1)
    total = np.bincount(numbers[labelled], minlength=len(polygons) + 1)
    for number, (polygon, code) in enumerate(zip(polygons, codes, strict=True), start=1):
        if total[number]:
            yield polygon, PARTS[code], int(kept[number]), int(total[number] - kept[number])


def write_parts(path: str | os.PathLike[str], rows: Iterable[Row], crs: str | None) -> None:
    """Write polygons with the fields ``part``, ``labelled`` and ``buffer`` as the layer of a GeoPackage.

    Raises:
        OutputError: It can't be written.
    """
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.partial.gpkg")
    polygons, parts, used, lost = zip(*rows)
    try:
        pyogrio.raw.write(
            unfinished,
            geometry=shapely.to_wkb(np.array(polygons, object)),
            field_data=[np.array(parts, object), np.array(used, np.int64), np.array(lost, np.int64)],
            fields=["part", "labelled", "buffer"],
            layer="split",
            driver="GPKG",
            geometry_type="Polygon",
            crs=crs,
        )
        unfinished.replace(target)
    except (OSError, DataSourceError, DataLayerError) as error:
        raise OutputError(
            "split_unwritable",
            f"{target} can't be written: {reason(error)}.",
            "Pick a folder that you may write to.",
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
