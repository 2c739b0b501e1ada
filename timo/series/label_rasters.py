# SPDX-License-Identifier: GPL-3.0-or-later
"""A raster of class values, brought onto a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from timo.errors import LabelError, SeriesError
from timo.series.facts import open_raster
from timo.series.grid import Grid, is_somewhere
from timo.series.labels import MOST_CLASSES, NOT_LABELLED, RawLabels
from timo.series.rasters import Raster, is_nodata, read_mask, reason, warp

_STRIP = 1024  # rows read at once


def read_raster_labels(path: Path, grid: Grid, ignore: int | None) -> RawLabels:
    """Read the first band of a raster as class indices; see ``timo.series.labels.read_labels``."""
    try:
        with open_raster(path) as dataset:
            band, inside = values_on_grid(path, dataset, grid)
            usable = inside & ~is_nodata(band, dataset.nodata)
            if ignore is not None:
                usable &= band != ignore
            if inside.any() and not usable.any():
                raise LabelError(
                    "no_labels",
                    f"{path.name} holds no class on the series, only its nodata value.",
                    "Give a raster whose labels lie on the series.",
                )
            found = _class_values(band[usable], path.name)
            names = _names(path, dataset)
            colors = _colors(dataset)
            bands = sum(kind != ColorInterp.alpha for kind in dataset.colorinterp)
    except SeriesError as error:
        raise LabelError("labels_unreadable", error.message, "Replace the file.") from error
    except (RasterioError, OSError) as error:
        raise LabelError(
            "labels_unreadable",
            f"{path.name} can't be read as labels: {reason(error)}.",
            "Give polygons, points, or a raster of class values.",
        ) from error
    indices = np.full(grid.shape, NOT_LABELLED, np.uint8)
    indices[usable] = np.searchsorted(found, band[usable]).astype(np.uint8)
    values = [int(value) for value in found]
    problems = []
    if bands > 1:
        problems.append(f"{path.name} has {bands} bands: the first one's values were taken as the classes.")
    return RawLabels(indices, values, [names.get(v) or str(v) for v in values], colors, 0, problems)


def values_on_grid(path: Path, dataset: DatasetReader, grid: Grid) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(H, W) values of a raster's first band by nearest neighbour, and where the raster lies.

    Raises:
        LabelError: It can't be brought to the grid.
    """
    raster = Raster.open(path)
    if (raster.grid.crs is None) != (grid.crs is None):
        which, other = (path.name, "the series") if raster.grid.crs is None else ("The series", path.name)
        raise LabelError(
            "labels_no_crs",
            f"{which} has no coordinate system, but {other} has one.",
            "Set the missing coordinate system.",
        )
    own, wanted = raster.grid.rasterio_crs, grid.rasterio_crs
    if own and wanted and own != wanted and not (is_somewhere(own) and is_somewhere(wanted)):
        raise LabelError(
            "labels_crs",
            f"{path.name} can't be brought to the coordinate system of the series: one of the two tells no "
            "place on Earth.",
            "Save the labels in the coordinate system of the series.",
        )
    values = np.zeros(grid.shape, dataset.dtypes[0])
    inside = np.zeros(grid.shape, np.bool_)
    offset = raster.grid.offset_in(grid)
    pixels = grid.crs is None and grid.transform.is_identity
    if (offset is None and grid.crs is None) or (pixels and raster.grid.shape != grid.shape):
        raise LabelError(
            "labels_size",
            f"{path.name} has another size than the series, and neither has a coordinate system.",
            "Give labels of the series' size.",
        )
    if offset is not None:
        top, left = max(offset[0], 0), max(offset[1], 0)
        bottom = min(offset[0] + dataset.height, grid.height)
        right = min(offset[1] + dataset.width, grid.width)
        if top < bottom and left < right:
            window = Window(left - offset[1], top - offset[0], right - left, bottom - top)
            values[top:bottom, left:right] = dataset.read(1, window=window)
            mask = read_mask(dataset, raster, window, (bottom - top, right - left))
            inside[top:bottom, left:right] = True if mask is None else mask
        return values, inside
    with warp(dataset, raster, grid, Resampling.nearest) as view:
        for top in range(0, grid.height, _STRIP):
            window = Window(0, top, grid.width, min(_STRIP, grid.height - top))
            values[top : top + _STRIP] = view.read(1, window=window)
            mask = read_mask(view, raster, window, (int(window.height), grid.width))
            inside[top : top + _STRIP] = True if mask is None else mask
    return values, inside


def _class_values(values: NDArray[Any], name: str) -> NDArray[Any]:
    """The different values, rising."""
    if values.dtype.kind == "f" and (values != np.round(values)).any():
        raise LabelError(
            "labels_decimal",
            f"{name} has decimal numbers, which are no classes.",
            "Give a raster of whole numbers, one for each class.",
        )
    found = np.unique(values)
    if len(found) > MOST_CLASSES:
        raise LabelError(
            "too_many_classes",
            f"{name} has {len(found)} different values; at most {MOST_CLASSES} classes work.",
            "Give a raster of class values.",
        )
    return found


def _names(path: Path, dataset: DatasetReader) -> dict[int, str]:
    """Class names by value: from tags such as 1=forest, or GDAL's category names beside the file."""
    names: dict[int, str] = {}
    for number, name in enumerate(_category_names(path)):
        if name.strip():
            names[number] = name.strip()
    for tags in (dataset.tags(), dataset.tags(1)):
        names |= {
            int(key): str(name).strip() for key, name in tags.items() if key.isdecimal() and name.strip()
        }
    return names


def _category_names(path: Path) -> list[str]:
    # rasterio doesn't read them; GDAL keeps those of a GeoTIFF in this file.
    sidecar = path.with_name(path.name + ".aux.xml")
    try:
        text = sidecar.read_text(encoding="utf-8", errors="replace")
        if "<!" in text.replace("<!--", ""):
            return []  # a document type, whose entities could grow without bound
        band = ET.fromstring(text).find("PAMRasterBand[@band='1']/CategoryNames")  # noqa: S314 - see above
    except (OSError, ET.ParseError):
        return []
    return [] if band is None else [one.text or "" for one in band.findall("Category")]


def _colors(dataset: DatasetReader) -> dict[int, str]:
    """Colours by value, from the colour table; none where it gives many values one colour."""
    if dataset.colorinterp[0] != ColorInterp.palette:
        return {}
    try:
        table = dataset.colormap(1)
    except ValueError:
        return {}
    # GDAL fills a table up with black.
    return {
        value: f"#{r:02x}{g:02x}{b:02x}"
        for value, (r, g, b, alpha) in table.items()
        if (r or g or b) and alpha
    }
