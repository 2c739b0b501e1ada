# SPDX-License-Identifier: GPL-3.0-or-later
"""A map of classes as polygons in a GeoPackage: small ones merged, outlines simplified without gaps.

The map is held in memory whole, and its outlines with it.
"""

from __future__ import annotations

import datetime as dt
import math
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import rasterio.features
import shapely
from affine import Affine
from msgspec import Struct
from numpy.typing import NDArray
from pyogrio.errors import DataSourceError

from timo.bundle import ClassCard
from timo.inference.sidecars import categorised_style
from timo.inference.targets import Targets, told
from timo.series.grid import Grid

LAYER = "classes"
# Visvalingam's measure: the root of the area that leaving out a corner may change. Steps of a pixel go.
TOLERANCE = 1.0  # pixels
DEFAULT_PIXELS = 10
"""Smaller areas are mostly noise, and make a file of many times the polygons."""


class Polygons(Struct, frozen=True, kw_only=True):
    """Polygons to make of the map.

    Attributes:
        path: The GeoPackage.
        least: Pixels; smaller areas go to the largest neighbour.
        pixel_area: Square metres; 1 without a coordinate system.
    """

    path: str
    least: int
    pixel_area: float


def polygons_of(path: Path, minimum_area: float | None, grid: Grid) -> Polygons:
    """What to make of a map.

    Args:
        path: The GeoPackage.
        minimum_area: The minimum mapping unit in square metres; a few pixels if it is left out. Of a series
            without a coordinate system, square pixels.
        grid: The map's.
    """
    pixel = (grid.ground_sample_distance or 1.0) ** 2
    least = DEFAULT_PIXELS if minimum_area is None else max(1, math.ceil(minimum_area / pixel - 1e-9))
    return Polygons(path=str(path), least=least, pixel_area=pixel)


def write_polygons(
    polygons: Polygons,
    raster: Path,
    classes: Sequence[ClassCard],
    tags: Mapping[str, str],
    targets: Targets,
) -> None:
    """Make the GeoPackage of a map.

    Args:
        polygons: What to make.
        raster: The map.
        classes: Its classes.
        tags: Provenance, for the layer's metadata.
        targets: Gets the file.

    Raises:
        OutputError: It can't be written.
    """
    path = Path(polygons.path)
    with told(path), rasterio.open(raster) as source:
        values, transform, crs = source.read(1), source.transform, source.crs
        valid = values != source.nodata
    if polygons.least > 1:
        least = min(polygons.least, values.size)  # rasterio knows no larger one
        values = rasterio.features.sieve(values, least, mask=valid, connectivity=4)
    outlines, numbers = _outlines(values, valid)
    areas = shapely.area(outlines) * polygons.pixel_area
    names = {c.value: c.name for c in classes}
    placed = shapely.transform(outlines, lambda points: _placed(points, transform))
    partial = targets.new(path)
    partial.unlink(missing_ok=True)
    with told(path):
        try:
            pyogrio.raw.write(
                partial,
                shapely.to_wkb(placed),
                [numbers, np.array([names[int(n)] for n in numbers], object), areas],
                ["value", "class", "area"],
                layer=LAYER,
                driver="GPKG",
                geometry_type="Polygon",
                crs=None if crs is None else crs.to_wkt(),
                layer_metadata=dict(tags),
            )
            _add_style(partial, categorised_style(classes))
        except (DataSourceError, sqlite3.Error, RuntimeError) as error:
            raise OSError(str(error)) from error


def _outlines(values: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Polygons in pixel coordinates, and the value of each."""
    if not valid.any():
        return np.array([], object), np.array([], np.int32)
    shapes = rasterio.features.shapes(values.astype(np.int32), valid, connectivity=4)
    found = [(shapely.geometry.shape(outline), int(value)) for outline, value in shapes]
    outlines = np.array([outline for outline, _ in found], object)
    # Neighbours must share every corner: GDAL leaves out those on a straight line, where others may meet.
    outlines = shapely.transform(shapely.segmentize(outlines, 1.0), np.round)
    return shapely.coverage_simplify(outlines, TOLERANCE), np.array([value for _, value in found], np.int32)


def _placed(points: NDArray[np.float64], transform: Affine) -> NDArray[np.float64]:
    columns, rows = points.T
    t = transform
    return np.column_stack([t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f])


def _add_style(path: Path, style: str) -> None:
    """QGIS keeps a layer's style in this table, and takes the default one by itself."""
    now = dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
            "f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), "
            "f_geometry_column TEXT(256), "
            "styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, "
            "owner TEXT(30), ui TEXT(30), update_time DATETIME DEFAULT CURRENT_TIMESTAMP)"
        )
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
            "styleName, styleQML, styleSLD, useAsDefault, description, owner) "
            "VALUES ('', '', ?, 'geom', 'classes', ?, '', 1, 'TiMo', '')",
            (LAYER, style),
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles', ?)",
            (now,),
        )
