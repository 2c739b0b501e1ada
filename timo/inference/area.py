# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a map is wanted: polygons, an extent, a raster, or given pixels; looked at block by block."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from timo.errors import LabelError, SeriesError
from timo.inference.chips import Rectangle
from timo.series.facts import Raster, open_raster, unreadable
from timo.series.grid import Grid
from timo.series.label_rasters import values_on_grid
from timo.series.label_vectors import is_vector, read_polygons
from timo.series.rasters import is_nodata
from timo.tasks.extents import read_extent


class Area(Protocol):
    """Where a result is wanted."""

    def mask(self, block: Rectangle) -> NDArray[np.bool_]:
        """(height, width): which of the block's pixels are wanted."""


class Pixels:
    """Pixels given one by one.

    Args:
        wanted: (H, W) of the whole grid.
    """

    def __init__(self, wanted: NDArray[np.bool_]) -> None:
        self.wanted = wanted

    def mask(self, block: Rectangle) -> NDArray[np.bool_]:
        """See ``Area``."""
        return self.wanted[block.rows, block.columns]


class Polygons:
    """Pixels whose centre lies in a polygon.

    Args:
        polygons: In the grid's coordinates.
        grid: The series'.
    """

    def __init__(self, polygons: Sequence[Any], grid: Grid) -> None:
        self.grid = grid
        self.tree = shapely.STRtree(polygons)

    def mask(self, block: Rectangle) -> NDArray[np.bool_]:
        """See ``Area``."""
        within = _within(self.grid, block)
        outline = _outline(within)
        near = self.tree.geometries[self.tree.query(outline, predicate="intersects")]
        # A country's border has a million corners, a block holds few of them.
        left, bottom, right, top = shapely.buffer(outline, max(within.pixel_size)).bounds
        near = shapely.clip_by_rect(near, left, bottom, right, top)
        near = near[~shapely.is_empty(near)]
        if not len(near):
            return np.zeros(within.shape, np.bool_)
        burnt = rasterio.features.rasterize(
            near, out_shape=within.shape, transform=within.transform, dtype=np.uint8
        )
        return np.asarray(burnt.astype(np.bool_))


class OfRaster:
    """Pixels where a raster has a value other than 0 and nodata, by nearest neighbour.

    Args:
        path: The raster.
        grid: The series'.

    Raises:
        SeriesError: It can't be read.
        LabelError: It can't be brought to the grid.
    """

    def __init__(self, path: Path, grid: Grid) -> None:
        self.path, self.grid = path, grid
        raster = Raster.open(path)
        self.nodata = raster.bands[0].nodata
        self.times = 1  # pixels of the raster, along each side, for one of the grid
        if grid.crs is None:
            self.times = max(1, round(grid.pixel_size[0] / raster.grid.pixel_size[0]))
            self._check_pixels(raster)

    def _check_pixels(self, raster: Raster) -> None:
        if raster.grid.crs is not None:
            raise LabelError(
                "area_crs",
                f"The series has no coordinate system, but {self.path.name} has one.",
                "Set the missing coordinate system.",
            )
        if raster.grid.coarser(self.times).shape != self.grid.shape:
            raise LabelError(
                "area_size",
                f"{self.path.name} has another size than the series, and neither has a coordinate system.",
                "Give an area of the series' size.",
            )

    def mask(self, block: Rectangle) -> NDArray[np.bool_]:
        """See ``Area``."""
        with unreadable(self.path), open_raster(self.path) as dataset:
            if self.grid.crs is None:
                values, inside = self._pixels(dataset, block)
            else:
                values, inside = values_on_grid(self.path, dataset, _within(self.grid, block))
        return np.asarray(inside & (values != 0) & ~is_nodata(values, self.nodata))

    def _pixels(self, dataset: DatasetReader, block: Rectangle) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Of a raster without coordinate system, which lies on the series pixel by pixel."""
        k, size = self.times, (block.height, block.width)
        window = Window(block.column * k, block.row * k, block.width * k, block.height * k)
        values = dataset.read(1, window=window, boundless=True, fill_value=0, out_shape=size)
        return values, np.ones(size, np.bool_)


def open_area(area: str, grid: Grid) -> Area:
    """The area of interest of a task.

    Args:
        area: A file of polygons, in any coordinate system; a raster, which is wanted where it is neither 0
            nor nodata; or an extent in the series' coordinates, as ``left,bottom,right,top``.
        grid: The series'.

    Raises:
        LabelError, SeriesError: Naming the area and what is wrong with it.
    """
    if (extent := read_extent(area)) is not None:
        return _of_extent(extent, area, grid)
    file = Path(area.partition("|")[0])
    if not file.exists():
        raise LabelError("area_not_found", f"The area {file} does not exist.", "Correct the path.")
    if is_vector(area):
        return Polygons(read_polygons(area, grid), grid)
    try:
        return OfRaster(file, grid)
    except SeriesError as error:
        raise LabelError(
            "area_unreadable",
            f"{file.name} can't be read as polygons or as a raster.",
            "Give a vector file of polygons, a raster, or left,bottom,right,top.",
        ) from error


def _of_extent(extent: tuple[float, float, float, float], text: str, grid: Grid) -> Area:
    left, bottom, right, top = extent
    if not (left < right and bottom < top):
        raise LabelError(
            "area_empty", f"The extent {text} is empty.", "Give it as left,bottom,right,top, in this order."
        )
    box = shapely.box(left, bottom, right, top)
    if not box.intersects(_outline(grid)):
        raise LabelError(
            "area_outside",
            f"The extent {text} lies beside the series, which spans "
            f"{','.join(f'{bound:.10g}' for bound in grid.bounds)}.",
            "Give an extent in the coordinate system of the series.",
        )
    return Polygons([box], grid)


def _outline(grid: Grid) -> shapely.Polygon:
    corners = (0, 0), (grid.width, 0), (grid.width, grid.height), (0, grid.height)
    return shapely.Polygon([grid.point(*corner) for corner in corners])


def _within(grid: Grid, block: Rectangle) -> Grid:
    return grid.window_grid(grid.window(block.row, block.column, block.height, block.width))
