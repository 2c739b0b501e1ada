# SPDX-License-Identifier: GPL-3.0-or-later
"""An analyst's labels as class indices on the grid of a series."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timo.errors import LabelError
from timo.series.grid import Grid
from timo.series.palette import palette

NOT_LABELLED = 255
MOST_CLASSES = 254


@dataclass(frozen=True)
class ClassInfo:
    """A class: the value that stands for it in rasters, its name, and its colour "#rrggbb"."""

    value: int
    name: str
    color: str


@dataclass(frozen=True)
class ClassScheme:
    """The classes in the order of their indices, which is that of their values."""

    classes: tuple[ClassInfo, ...]

    def __len__(self) -> int:
        return len(self.classes)


@dataclass
class Labels:
    """Labels on a grid.

    Attributes:
        map: (H, W) uint8, index of the class in the scheme; 255 where not labelled.
        scheme: The classes that have a pixel in the map.
        counts: (K,) labelled pixels of each class.
        conflicts: Pixels that carried two classes; they are not labelled.
        problems: What an analyst should know, one sentence each.
        grid: The grid.
        path: Where the labels come from.
    """

    map: NDArray[np.uint8]
    scheme: ClassScheme
    counts: NDArray[np.int64]
    conflicts: int
    problems: tuple[str, ...]
    grid: Grid
    path: str


@dataclass
class RawLabels:
    """Labels before their scheme is made: what ``vectors`` and ``label_rasters`` return.

    Attributes:
        indices: (H, W) uint8 indices into ``values``; 255 where not labelled.
        values: The classes' values, rising.
        names: Their names.
        colors: Colours by value, where the file has them.
    """

    indices: NDArray[np.uint8]
    values: Sequence[int]
    names: Sequence[str]
    colors: Mapping[int, str]
    conflicts: int
    problems: list[str]


def read_labels(
    path: str | os.PathLike[str],
    grid: Grid,
    class_field: str | None = None,
    ignore: int | None = None,
    colors: Mapping[str, str] | None = None,
) -> Labels:
    """Read labels onto the grid of a series.

    Args:
        path: Polygons or points (any vector format, in any CRS; ``file.gpkg|layername=NAME`` for one layer of
            several), or a raster of class values. Pixels count whose centre lies in a polygon.
        grid: The grid of the series.
        class_field: The field of the class, for polygons and points. Whole numbers keep their values; other
            classes are numbered from 1 in the order of their names.
        ignore: A value that means not labelled, beside the raster's nodata value.
        colors: "#rrggbb" by class name, before the raster's own colours and the default palette.

    Returns:
        The labels, with at least two classes.

    Raises:
        LabelError: Naming the file or field that is at fault.
    """
    from timo.series.label_rasters import read_raster_labels
    from timo.series.label_vectors import is_vector, read_vector_labels

    name = Path(str(path).partition("|")[0]).name
    if not Path(str(path).partition("|")[0]).exists():
        raise LabelError("labels_not_found", f"The labels {path} do not exist.", "Correct the path.")
    if is_vector(path):
        raw = read_vector_labels(path, grid, class_field, ignore)
    else:
        raw = read_raster_labels(Path(path), grid, ignore)
    return _finish(raw, grid, str(path), name, colors or {})


def polygon_mask(path: str | os.PathLike[str], grid: Grid) -> NDArray[np.bool_]:
    """Where polygons lie on a grid: (H, W) bool, True for pixels whose centre is inside of one.

    Raises:
        LabelError: The file can't be read, has no polygons, or none of them lies on the grid.
    """
    from timo.series.label_vectors import read_polygon_mask

    return read_polygon_mask(path, grid)


def _finish(raw: RawLabels, grid: Grid, path: str, name: str, colors: Mapping[str, str]) -> Labels:
    counts = np.bincount(raw.indices.ravel(), minlength=NOT_LABELLED + 1)[: len(raw.values)]
    present = np.flatnonzero(counts)
    problems = list(raw.problems)
    if raw.conflicts:
        problems.append(f"{raw.conflicts} pixels of {name} carry two classes and are not used.")
    if not len(present):
        raise LabelError(
            "labels_elsewhere",
            f"No label of {name} lies on the series.",
            "Give labels of the same place, and check both coordinate systems.",
        )
    if len(present) == 1:
        raise LabelError(
            "one_class",
            f"{name} has only one class on the series: '{raw.names[present[0]]}'.",
            "Label a second class, such as everything else.",
        )
    absent = [str(raw.names[i]) for i in range(len(raw.values)) if i not in set(present.tolist())]
    if absent:
        problems.append(f"No pixel of the series has class {', '.join(absent)} of {name}: left out.")
    chosen = iter(palette(len(present)))
    classes = []
    for i in present.tolist():
        fallback = next(chosen)
        color = colors.get(raw.names[i]) or raw.colors.get(raw.values[i]) or fallback
        classes.append(ClassInfo(int(raw.values[i]), str(raw.names[i]), color.lower()))
    index = np.full(NOT_LABELLED + 1, NOT_LABELLED, np.uint8)
    index[present] = np.arange(len(present), dtype=np.uint8)
    return Labels(
        map=index[raw.indices],
        scheme=ClassScheme(tuple(classes)),
        counts=counts[present].astype(np.int64),
        conflicts=raw.conflicts,
        problems=tuple(problems),
        grid=grid,
        path=path,
    )
