# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from timo.errors import LabelError
from timo.inference.area import Polygons, open_area
from timo.inference.chips import Rectangle, blocks
from timo.series.grid import Grid

GRID = Grid("EPSG:32631", Affine(10, 0, 5e5, 0, -10, 5e6), 90, 70)
TURN = Affine.translation(5e5, 5e6) @ Affine.rotation(30) @ Affine.scale(10, -10)
TURNED = Grid("EPSG:32631", TURN, 90, 70)


def polygon(grid, row, column, height, width):
    corners = (row, column), (row, column + width), (row + height, column + width), (row + height, column)
    return shapely.Polygon([grid.point(c, r) for r, c in corners])


@given(
    st.integers(0, 60), st.integers(0, 80), st.integers(1, 40), st.integers(1, 40), st.integers(7, 90),
    st.sampled_from([GRID, TURNED]),
)  # fmt: skip
def test_an_area_is_the_same_in_any_blocks(row, column, height, width, side, grid):
    area = Polygons([polygon(grid, row, column, height, width)], grid)
    found = np.zeros(grid.shape, bool)
    for block in blocks(*grid.shape, side):
        found[block.rows, block.columns] = area.mask(block)
    expected = np.zeros(grid.shape, bool)
    expected[row : row + height, column : column + width] = True
    np.testing.assert_array_equal(found, expected)


def test_a_raster_is_an_area_where_it_is_neither_0_nor_nodata(tmp_path):
    values = np.zeros((70, 90), np.uint8)
    values[10:20, 30:50], values[12:14, 30:50] = 1, 9
    path = tmp_path / "area.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=90, height=70, count=1, dtype="uint8", nodata=9, crs=GRID.crs,
        transform=GRID.transform,
    ) as target:  # fmt: skip
        target.write(values, 1)
    area = open_area(str(path), GRID)
    block = Rectangle(5, 25, 40, 30)
    np.testing.assert_array_equal(area.mask(block), values[block.rows, block.columns] == 1)


def test_a_file_that_is_no_area_is_named(tmp_path):
    (tmp_path / "text.gpkg").write_text("no layer")
    with pytest.raises(LabelError, match=r"text\.gpkg can't be read as polygons or as a raster"):
        open_area(str(tmp_path / "text.gpkg"), GRID)


def test_a_raster_on_the_ground_is_no_area_of_pixels_without_a_place(tmp_path):
    path = tmp_path / "area.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=90, height=70, count=1, dtype="uint8", crs=GRID.crs,
        transform=GRID.transform,
    ) as target:  # fmt: skip
        target.write(np.ones((70, 90), np.uint8), 1)
    with pytest.raises(LabelError, match=r"The series has no coordinate system, but area\.tif has one"):
        open_area(str(path), Grid(None, Affine.identity(), 90, 70))
