# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from timo.series.grid import Grid

UTM = "EPSG:32631"
TRANSFORMS = st.sampled_from(
    [
        Affine(10, 0, 500_000, 0, -10, 5_600_000),
        Affine(9.5, 0, 500_003, 0, -20, 5_600_000),
        Affine(0, 10, 500_000, 10, 0, 5_600_000),
        Affine(7, 7, 500_000, 7, -7, 5_600_000),  # turned by 45 degrees
        Affine(8.98e-5, 0, 1.422, 0, -8.98e-5, 7.72),
    ]
)


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40))
def test_windows_tile_the_grid_once(width, height, size):
    seen = np.zeros((height, width), int)
    for window in Grid(UTM, Affine.identity(), width, height).windows(size):
        assert max(window.width, window.height) <= size
        seen[window.toslices()] += 1
    assert (seen == 1).all()


@given(TRANSFORMS, st.integers(-50, 50), st.integers(-50, 50))
def test_grids_cut_from_one_lattice_know_their_offset(transform, row, col):
    grid = Grid(UTM, transform, 60, 40)
    part = grid.window_grid(grid.window(row, col, 12, 9))
    assert part.offset_in(grid) == (row, col)
    assert grid.offset_in(part) == (-row, -col)
    assert part.point(0, 0) == pytest.approx(grid.point(col, row))


@given(TRANSFORMS, st.floats(0.01, 0.99))
def test_grids_between_pixels_have_none(transform, shift):
    grid = Grid(UTM, transform, 60, 40)
    x, y = grid.point(shift, 0)
    moved = Grid(UTM, Affine(transform.a, transform.b, x, transform.d, transform.e, y), 60, 40)
    assert moved.offset_in(grid) is None


def test_grids_of_other_pixels_or_systems_have_no_offset():
    grid = Grid(UTM, Affine(10, 0, 500_000, 0, -10, 5_600_000), 60, 40)
    assert Grid(UTM, Affine(10.001, 0, 500_000, 0, -10, 5_600_000), 60, 40).offset_in(grid) is None
    assert Grid("EPSG:32632", grid.transform, 60, 40).offset_in(grid) is None
    assert Grid(None, grid.transform, 60, 40).offset_in(grid) is None
    assert Grid(grid.rasterio_crs.to_wkt(), grid.transform, 60, 40).offset_in(grid) == (0, 0)


def test_degrees_tell_where_a_grid_lies():
    grid = Grid(UTM, Affine(10, 0, 500_000, 0, -10, 5_600_000), 100, 50)
    west, south, east, north = grid.degrees
    assert west == pytest.approx(3, abs=1e-4) and east - west == pytest.approx(0.01422, abs=1e-4)
    assert 50.54 < south < north < 50.56
    beyond = Grid(UTM, Affine(1e7, 0, 1e9, 0, -1e7, 1e9), 60, 60)  # of no place on Earth
    assert beyond.degrees is None
    fiji = Grid("EPSG:32760", Affine(10, 0, 800_000, 0, -10, 8_000_000), 20_000, 100)
    west, _, east, _ = fiji.degrees
    assert west > 179 and east < -178
    own = 'LOCAL_CS["site",UNIT["metre",1]]'
    for crs in (None, own):
        assert Grid(crs, Affine(10, 0, 0, 0, -10, 0), 9, 9).degrees is None


def test_ground_sample_distance_is_in_metres():
    assert Grid(UTM, Affine(10, 0, 0, 0, -10, 0), 9, 9).ground_sample_distance == pytest.approx(10)
    feet = Grid("EPSG:2263", Affine(10, 0, 0, 0, -10, 0), 9, 9)
    assert feet.ground_sample_distance == pytest.approx(3.048, rel=1e-4)
    degrees = Grid("EPSG:4326", Affine(0.001, 0, 20, 0, -0.001, 60), 2, 2)
    assert degrees.ground_sample_distance == pytest.approx(111.2 * 0.5**0.5, rel=1e-3)
    assert Grid(None, Affine.identity(), 9, 9).ground_sample_distance is None


def test_scale_of_a_coarser_grid_in_another_system():
    fine = Grid(UTM, Affine(10, 0, 500_000, 0, -10, 5_600_000), 100, 100)
    coarse = Grid(UTM, Affine(20, 0, 500_000, 0, -60, 5_600_000), 50, 17)
    assert fine.scale_of(coarse) == pytest.approx((2, 6))
    x, y = fine.point(50, 50)
    assert (x, y) == (500_500, 5_599_500)
    degrees = Grid("EPSG:4326", Affine(0.001, 0, 3.0, 0, -0.001, 50.55), 14, 10)
    across, down = fine.scale_of(degrees)
    assert across == pytest.approx(7.08, rel=0.01)
    assert down == pytest.approx(11.12, rel=0.01)


def test_bounds_hold_a_turned_grid():
    turned = Grid(UTM, Affine(7, 7, 500_000, 7, -7, 5_600_000), 10, 20)
    assert turned.bounds == (500_000, 5_599_860, 500_210, 5_600_070)
