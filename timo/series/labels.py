# SPDX-License-Identifier: GPL-3.0-or-later
"""An analyst's labels as class indices on the grid of a series."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from timo.errors import LabelError
from timo.series.grid import Grid
from timo.series.palette import palette
from timo.series.words import counted

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
        dated: (T, H, W) uint8, as ``map``, of each date of a series; None where labels hold for the whole
            series. Then ``map`` has the latest label of each pixel.
    """

    map: NDArray[np.uint8]
    scheme: ClassScheme
    counts: NDArray[np.int64]
    conflicts: int
    problems: tuple[str, ...]
    grid: Grid
    path: str
    dated: NDArray[np.uint8] | None = None


class LabelSource(NamedTuple):
    """A file of labels, the grid that they are wanted on, and which of its features count (None for all)."""

    path: str | os.PathLike[str]
    grid: Grid
    only: NDArray[np.bool_] | None = None


@dataclass
class RawLabels:
    """Labels before their scheme is made: what ``vectors`` and ``label_rasters`` return.

    Attributes:
        indices: (H, W) uint8 indices into ``values``; 255 where not labelled.
        values: The classes' values, rising.
        names: Their names.
        colors: Colours by value, where the file has them.
        conflicts: Pixels that carry two classes.
        problems: What an analyst should know, one sentence each.
        outside: Polygons and points with a class that lie wholly beside the grid.
    """

    indices: NDArray[np.uint8]
    values: Sequence[int]
    names: Sequence[str]
    colors: Mapping[int, str]
    conflicts: int
    problems: list[str]
    outside: int = 0


def read_labels(
    path: str | os.PathLike[str],
    grid: Grid,
    class_field: str | None = None,
    ignore: int | None = None,
    colors: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
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
        names: Of the classes, by what the labels hold, where that is a code.

    Returns:
        The labels, with at least two classes.

    Raises:
        LabelError: Naming the file or field that is at fault.
    """
    return read_label_sources([LabelSource(path, grid)], class_field, ignore, colors, names)[0]


def read_label_sources(
    sources: Sequence[LabelSource],
    class_field: str | None = None,
    ignore: int | None = None,
    colors: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[Labels]:
    """Read the labels of several places, or of several dates, with one class scheme for all.

    Classes are the same where their values are; where files give one value different names, as files of text
    classes do, they are the same where their names are, and numbered anew.

    Args:
        sources: Files as for ``read_labels``, with their grids. One may have a single class, or none, if all
            together have two.
        class_field: See ``read_labels``.
        ignore: See ``read_labels``.
        colors: See ``read_labels``.
        names: See ``read_labels``.

    Raises:
        LabelError: Naming the file or field that is at fault.
    """
    raws = _same_classes([_named(_read_raw(source, class_field, ignore), names or {}) for source in sources])
    files = sorted({_name(source.path) for source in sources})
    name = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} other files"
    scheme, index = _scheme(raws, name, colors or {})
    found: list[Labels] = []
    for raw, (path, grid, _) in zip(raws, sources, strict=True):
        map_ = index[raw.indices]
        counts = np.bincount(map_.ravel(), minlength=NOT_LABELLED + 1)[: len(scheme)]
        problems = [*raw.problems, *(() if found else _spelt_alike(scheme, name))]  # of all files, said once
        if raw.conflicts:
            problems.append(
                counted(
                    raw.conflicts,
                    f"pixel of {_name(path)} carries two classes and is not used.",
                    f"pixels of {_name(path)} carry two classes and are not used.",
                )
            )
        absent = [str(raw.names[i]) for i in range(len(raw.values)) if index[i] == NOT_LABELLED]
        if absent:
            problems.append(
                f"No pixel of the series has class {', '.join(absent)} of {_name(path)}: left out."
            )
        if raw.outside and len(sources) == 1:  # of several places' labels most lie beside each place
            problems.append(
                counted(
                    raw.outside,
                    f"feature of {_name(path)} lies outside of the series: not used.",
                    f"features of {_name(path)} lie outside of the series: not used.",
                )
            )
        found.append(
            Labels(map_, scheme, counts.astype(np.int64), raw.conflicts, tuple(problems), grid, str(path))
        )
    return found


def _spelt_alike(scheme: ClassScheme, name: str) -> list[str]:
    """A sentence for the first two classes that are one word but for capital letters."""
    known: dict[str, str] = {}
    for one in scheme.classes:
        other = known.setdefault(one.name.casefold(), one.name)
        if other != one.name:
            differ = f"Classes '{other}' and '{one.name}' of {name} differ in capital letters alone"
            return [f"{differ}: they count as two."]
    return []


def _name(path: str | os.PathLike[str]) -> str:
    return Path(str(path).partition("|")[0]).name


def _read_raw(source: LabelSource, class_field: str | None, ignore: int | None) -> RawLabels:
    from timo.series.label_rasters import read_raster_labels
    from timo.series.label_vectors import is_vector, read_vector_labels

    path, grid, only = source
    if not Path(str(path).partition("|")[0]).exists():
        raise LabelError("labels_not_found", f"The labels {path} do not exist.", "Correct the path.")
    _check_shapefile(Path(str(path).partition("|")[0]))
    if is_vector(path):
        return read_vector_labels(path, grid, class_field, ignore, only)
    return read_raster_labels(Path(path), grid, ignore)


def _named(raw: RawLabels, names: Mapping[str, str]) -> RawLabels:
    return replace(raw, names=[names.get(str(name), str(name)) for name in raw.names])


def _check_shapefile(path: Path) -> None:
    if path.suffix.lower() != ".shp":
        return
    beside = {one.name.lower() for one in path.parent.glob(f"{glob.escape(path.stem)}.*")}
    missing = [
        path.with_suffix(end).name
        for end in (".shx", ".dbf")
        if path.with_suffix(end).name.lower() not in beside
    ]
    if missing:
        raise LabelError(
            "labels_incomplete",
            f"{path.name} lies there without {' and '.join(missing)}.",
            "Copy all files of the shapefile, or save it as a GeoPackage.",
        )


def _same_classes(raws: list[RawLabels]) -> list[RawLabels]:
    """The labels with the same values and names for all, and indices into them."""
    known: dict[int, str] = {}
    by_value = all(
        known.setdefault(value, name) == name for raw in raws for value, name in zip(raw.values, raw.names)
    )
    if by_value:
        values = sorted(known)
        names = [known[value] for value in values]
        places = [[values.index(value) for value in raw.values] for raw in raws]
    else:
        names = sorted({name for raw in raws for name in raw.names})
        values = list(range(1, len(names) + 1))
        places = [[names.index(name) for name in raw.names] for raw in raws]
    colors = {values[i]: raw.colors[raw.values[k]] for raw, where in zip(raws, places)
              for k, i in enumerate(where) if raw.values[k] in raw.colors}  # fmt: skip
    if len(values) > MOST_CLASSES:
        raise LabelError(
            "too_many_classes",
            f"The places' labels have {len(values)} different classes; at most {MOST_CLASSES} work.",
            "Give labels of one class scheme.",
        )
    same = []
    for raw, where in zip(raws, places, strict=True):
        index = np.full(NOT_LABELLED + 1, NOT_LABELLED, np.uint8)
        index[: len(where)] = where
        same.append(replace(raw, indices=index[raw.indices], values=values, names=names, colors=colors))
    return same


def _scheme(
    raws: list[RawLabels], name: str, colors: Mapping[str, str]
) -> tuple[ClassScheme, NDArray[np.uint8]]:
    """The classes that occur, and each raw index's place among them (255 where it doesn't occur)."""
    counts = sum(np.bincount(raw.indices.ravel(), minlength=NOT_LABELLED + 1) for raw in raws)
    first = raws[0]
    present = np.flatnonzero(np.asarray(counts)[: len(first.values)])
    if not len(present):
        raise LabelError(
            "labels_elsewhere",
            f"No label of {name} lies on the series.",
            "Give labels of the same place, and check both coordinate systems.",
        )
    if len(present) == 1:
        raise LabelError(
            "one_class",
            f"{name} has only one class on the series: '{first.names[present[0]]}'.",
            "Label a second class, such as everything else.",
        )
    chosen = iter(palette(len(present)))
    classes = []
    for i in present.tolist():
        fallback = next(chosen)
        color = colors.get(first.names[i]) or first.colors.get(first.values[i]) or fallback
        classes.append(ClassInfo(int(first.values[i]), str(first.names[i]), color.lower()))
    index = np.full(NOT_LABELLED + 1, NOT_LABELLED, np.uint8)
    index[present] = np.arange(len(present), dtype=np.uint8)
    return ClassScheme(tuple(classes)), index
