# SPDX-License-Identifier: GPL-3.0-or-later
"""Polygons and points with a class field, burnt onto a grid."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio.features
import rasterio.warp
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError

from timo import access
from timo.errors import LabelError
from timo.series import virtual
from timo.series.grid import Grid, is_somewhere
from timo.series.labels import MOST_CLASSES, NOT_LABELLED, RawLabels
from timo.series.rasters import reason
from timo.series.words import counted

_POLYGONS = (3, 6)  # shapely's type numbers: Polygon, MultiPolygon
_POINTS = (0, 4)


@dataclass
class _Features:
    """What a vector layer holds: geometries in the grid's CRS (None where unusable) and the class field."""

    geometries: NDArray[Any]
    classes: NDArray[Any] | None
    problems: list[str]


def is_vector(path: str | os.PathLike[str]) -> bool:
    """Whether a file opens as a vector source with at least one layer of geometries."""
    file, _ = _split_layer(path)
    access.demand(file)  # before its beginning is looked at
    if not virtual.may_be_vector(Path(file)):
        return False
    virtual.demand_vector(Path(file))
    try:
        return bool(_layers(file))
    except DataSourceError:
        return False


def read_vector_labels(
    path: str | os.PathLike[str],
    grid: Grid,
    class_field: str | None,
    ignore: int | None,
    only: NDArray[np.bool_] | None = None,
) -> RawLabels:
    """Read polygons and points as class indices; see ``timo.series.labels.read_labels``.

    Classes are those of all features; ``only`` says which of them are burnt.
    """
    name = Path(_split_layer(path)[0]).name
    fields = _fields(path)
    if class_field is None or class_field not in fields:
        which = "No class field was named" if class_field is None else f"{name} has no field '{class_field}'"
        raise LabelError(
            "class_field_missing" if class_field is None else "class_field_unknown",
            f"{which}; {name} has the fields {', '.join(fields)}."
            if fields
            else f"{name} has no fields, so that its features have no class.",
            "Name the field that holds the class." if fields else "Add a field with the class.",
            detail={"fields": list(fields)},
        )
    features = _read(path, grid, class_field)
    assert features.classes is not None  # noqa: S101 - the field was asked for
    values, names, codes, unclassed = _number_classes(features.classes, name, class_field, ignore)
    if unclassed:
        features.problems.append(
            counted(
                unclassed,
                f"feature of {name} has no class in '{class_field}': not used.",
                f"features of {name} have no class in '{class_field}': not used.",
            )
        )
    usable = np.array([geometry is not None for geometry in features.geometries], bool) & (codes >= 0)
    if not usable.any():
        raise LabelError(
            "no_features",
            f"{name} has no polygons or points with a class in '{class_field}'.",
            "Draw polygons, and fill in the field.",
        )
    if only is not None:
        usable &= only
    indices, conflicts = _burn(features.geometries[usable], codes[usable], grid)
    outside = _outside(features.geometries[usable], grid)
    return RawLabels(indices, values, names, {}, conflicts, features.problems, outside)


def read_column(path: str | os.PathLike[str], field: str) -> NDArray[Any]:
    """The values of a field, in the order of the features.

    Raises:
        LabelError: The file can't be read, or has no such field.
    """
    file, layer = _split_layer(path)
    name, fields = Path(file).name, _fields(path)
    if field not in fields:
        raise LabelError(
            "field_unknown",
            f"{name} has no field '{field}'; it has the fields {', '.join(fields)}.",
            "Name one of its fields.",
            detail={"fields": list(fields)},
        )
    with _told(file):
        columns = pyogrio.raw.read(
            file, layer=layer or _layers(file)[0], columns=[field], read_geometry=False
        )
    return np.asarray(columns[3][0])


def read_polygons(path: str | os.PathLike[str], grid: Grid) -> list[Any]:
    """The polygons of a file, in the coordinates of a grid.

    Args:
        path: A vector file, with ``|layername=NAME`` where it has several layers.
        grid: At least one of them must lie on it.

    Raises:
        LabelError: The file can't be read, has no polygons, or none of them lies on the grid.
    """
    name = Path(_split_layer(path)[0]).name
    features = _read(path, grid, None)
    polygons = [one for one in features.geometries if one is not None and one.geom_type.endswith("Polygon")]
    if not polygons:
        raise LabelError("no_features", f"{name} has no polygons.", "Give a layer with polygons.")
    if _outside(np.array(polygons, object), grid) == len(polygons):
        raise LabelError(
            "area_outside", f"No polygon of {name} lies on the series.", "Give polygons of the same place."
        )
    return polygons


def _split_layer(path: str | os.PathLike[str]) -> tuple[str, str | None]:
    """File and layer of ``file|layername=layer``, as QGIS writes it."""
    file, *options = str(path).split("|")
    layers = [option.partition("=")[2] for option in options if option.lower().startswith("layername=")]
    return file, layers[0] if layers else None


@contextmanager
def _told(file: str) -> Iterator[None]:
    virtual.demand_vector(Path(file))
    name = Path(file).name
    try:
        yield
    except (DataSourceError, DataLayerError, OSError) as error:
        raise LabelError(
            "labels_unreadable",
            f"{name} can't be read: {reason(error)}.",
            "Replace the file, or save it anew.",
        ) from error


def _fields(path: str | os.PathLike[str]) -> Sequence[str]:
    file, layer = _split_layer(path)
    with _told(file):
        layer = layer or _layers(file)[0]
        return [str(field) for field in pyogrio.read_info(file, layer=layer)["fields"]]


def _layers(file: str) -> list[str]:
    """The layers that have geometries."""
    return [str(layer) for layer, kind in pyogrio.list_layers(file) if kind is not None]


def _read(path: str | os.PathLike[str], grid: Grid, class_field: str | None) -> _Features:
    file, layer = _split_layer(path)
    name = Path(file).name
    problems: list[str] = []
    with _told(file):
        layers = _layers(file)
        if layer is None and len(layers) > 1:
            layer = layers[0]
            problems.append(f"{name} has {len(layers)} layers; '{layer}' was read.")
        meta, _, wkb, columns = pyogrio.raw.read(
            file, layer=layer, columns=[class_field] if class_field else [], force_2d=True
        )
    if wkb is None or not len(wkb):
        raise LabelError("no_features", f"{name} has no features.", "Draw polygons or points first.")
    geometries = shapely.from_wkb(wkb, on_invalid="ignore")
    geometries = _usable(geometries, name, problems)
    geometries = _reproject(geometries, meta["crs"], grid, name, problems)
    small = _smaller_than_a_pixel(geometries, grid)
    if small:
        problems.append(
            counted(
                small,
                f"polygon of {name} is smaller than a pixel: it counts only where it holds its centre.",
                f"polygons of {name} are smaller than a pixel: they count only where they hold its centre.",
            )
        )
    return _Features(geometries, columns[0] if class_field else None, problems)


def _usable(geometries: NDArray[Any], name: str, problems: list[str]) -> NDArray[Any]:
    """Polygons made valid, points as they are; all else becomes None, and is counted."""
    empty = shapely.is_missing(geometries) | shapely.is_empty(geometries)
    invalid = ~empty & ~shapely.is_valid(geometries)
    if invalid.any():
        geometries = geometries.copy()
        geometries[invalid] = [_areas(one) for one in shapely.make_valid(geometries[invalid])]
        problems.append(
            counted(
                int(invalid.sum()),
                f"polygon of {name} crosses itself and was repaired.",
                f"polygons of {name} cross themselves and were repaired.",
            )
        )
    kinds = shapely.get_type_id(geometries)
    collections = kinds == 7
    if collections.any():
        geometries = geometries.copy()
        geometries[collections] = [_areas(one) for one in geometries[collections]]
        kinds = shapely.get_type_id(geometries)
    other = ~np.isin(kinds, (*_POLYGONS, *_POINTS))
    if other.any():
        problems.append(
            counted(
                int(other.sum()),
                f"feature of {name} is neither polygon nor point: not used.",
                f"features of {name} are neither polygons nor points: not used.",
            )
        )
    return _without(geometries, other | shapely.is_empty(geometries))


def _smaller_than_a_pixel(geometries: NDArray[Any], grid: Grid) -> int:
    areas = shapely.area(geometries)  # NaN of what is unusable, 0 of points
    return int(np.count_nonzero((areas > 0) & (areas < abs(grid.transform.determinant))))


def _outside(geometries: NDArray[Any], grid: Grid) -> int:
    """How many lie wholly beside the upright rectangle around the grid."""
    left, bottom, right, top = grid.bounds
    xs0, ys0, xs1, ys1 = shapely.bounds(geometries).T
    return int(np.count_nonzero((xs1 <= left) | (xs0 >= right) | (ys1 <= bottom) | (ys0 >= top)))


def _without(geometries: NDArray[Any], unusable: NDArray[np.bool_]) -> NDArray[Any]:
    kept = np.array(geometries, object)
    kept[unusable] = None
    return kept


def _areas(geometry: Any) -> Any:
    """The polygons of a geometry: repairing one may leave lines and points beside them."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.multipolygons(parts[shapely.get_type_id(parts) == 3])


def _reproject(
    geometries: NDArray[Any], crs: str | None, grid: Grid, name: str, problems: list[str]
) -> NDArray[Any]:
    if (crs is None) != (grid.crs is None):
        which, other = (name, "the series") if crs is None else ("The series", name)
        raise LabelError(
            "labels_no_crs",
            f"{which} has no coordinate system, but {other} has one.",
            "Set the missing coordinate system.",
        )
    if crs is None or grid.rasterio_crs is None:
        return geometries
    try:
        source = CRS.from_user_input(crs)
        if source == grid.rasterio_crs:
            return geometries
        if not (is_somewhere(source) and is_somewhere(grid.rasterio_crs)):
            raise CRSError("one of the two tells no place on Earth")

        def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
            # rasterio keeps x before y, whatever the order of the authority's axes
            xs, ys = rasterio.warp.transform(source, grid.rasterio_crs, points[:, 0], points[:, 1])
            return np.column_stack([xs, ys])

        present = np.array([one is not None for one in geometries], bool)
        moved = geometries.copy()
        if present.any():
            moved[present] = shapely.transform(geometries[present], move)
    except (CRSError, RasterioError) as error:
        raise LabelError(
            "labels_crs",
            f"{name} can't be brought to the coordinate system of the series: {reason(error)}.",
            "Save the labels in the coordinate system of the series.",
        ) from error
    lost = present & ~np.isfinite(shapely.bounds(moved)).all(axis=1)
    if lost.any():
        problems.append(
            counted(
                int(lost.sum()),
                f"feature of {name} has no place in the series' coordinate system: not used.",
                f"features of {name} have no place in the series' coordinate system: not used.",
            )
        )
    return _without(moved, lost)


def _number_classes(
    column: NDArray[Any], name: str, field: str, ignore: int | None
) -> tuple[list[int], list[str], NDArray[np.int32], int]:
    """Values and names of the classes, each feature's index among them (-1: none), and how many lack one."""
    missing, labels = _as_labels(column, name, field)
    present = sorted({label for label, gone in zip(labels, missing) if not gone})
    numbers = all(isinstance(label, int) for label in present)
    if ignore is not None:
        present = [label for label in present if label != ignore and str(label) != str(ignore)]
    if len(present) > MOST_CLASSES:
        raise LabelError(
            "too_many_classes",
            f"Field '{field}' of {name} has {len(present)} different values: more than {MOST_CLASSES}.",
            "Name the field that holds the class, not an identifier.",
        )
    values = [int(label) for label in present] if numbers else list(range(1, len(present) + 1))
    names = [str(label) for label in present]
    if column.dtype == bool:
        names = ["false" if value == 0 else "true" for value in values]
    index = {label: i for i, label in enumerate(present)}
    codes = [-1 if gone else index.get(label, -1) for label, gone in zip(labels, missing)]
    return values, names, np.array(codes, np.int32), sum(missing)


def _as_labels(column: NDArray[Any], name: str, field: str) -> tuple[list[bool], list[Any]]:
    """Which features have no class, and each one's class: all int, or all str."""
    if column.dtype.kind == "f":
        missing = np.isnan(column)
        if (column[~missing] != np.round(column[~missing])).any():
            raise LabelError(
                "class_field_decimal",
                f"Field '{field}' of {name} has decimal numbers, which are no classes.",
                "Name the field that holds the class.",
            )
        return missing.tolist(), np.where(missing, 0, column).astype(np.int64).tolist()
    if column.dtype.kind in "iub":
        return [False] * len(column), column.astype(np.int64).tolist()
    texts = ["" if value is None else str(value).strip() for value in column]
    missing_texts = [not text for text in texts]
    whole = [text for text in texts if text]
    # A text field with whole numbers holds class values: 10 comes after 9.
    if whole and all(text.isdecimal() and str(int(text)) == text and len(text) < 10 for text in whole):
        return missing_texts, [int(text) if text else 0 for text in texts]
    return missing_texts, texts


def _burn(geometries: NDArray[Any], codes: NDArray[np.int32], grid: Grid) -> tuple[NDArray[np.uint8], int]:
    """Class indices of the pixels, and how many pixels lie in features of two classes."""
    if not len(codes):
        return np.full(grid.shape, NOT_LABELLED, np.uint8), 0
    order = np.argsort(codes, kind="stable")
    shapes = [(geometries[i], int(codes[i])) for i in order]

    def burn(pairs: list[tuple[Any, int]]) -> NDArray[np.uint8]:
        burnt = rasterio.features.rasterize(
            pairs, out_shape=grid.shape, fill=NOT_LABELLED, transform=grid.transform, dtype=np.uint8
        )
        return np.asarray(burnt, np.uint8)

    # The last shape wins: burnt in rising and in falling order, a pixel of two classes shows two results.
    highest, lowest = burn(shapes), burn(shapes[::-1])
    conflict = highest != lowest
    highest[conflict] = NOT_LABELLED
    return highest, int(np.count_nonzero(conflict))
