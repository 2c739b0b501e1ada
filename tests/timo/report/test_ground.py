# SPDX-License-Identifier: GPL-3.0-or-later
import math

import numpy as np
import pytest
from affine import Affine

from timo.report.ground import GroundArea
from timo.series.grid import Grid

EARTH = 51_006_562_172.4  # hectares of the WGS 84 ellipsoid: 4 pi times its authalic radius squared


def total(grid):
    rows, columns = slice(0, grid.height), slice(0, grid.width)
    return np.broadcast_to(GroundArea(grid).of(rows, columns), grid.shape).sum()


def test_a_pixel_of_10_metres_is_a_hundredth_hectare():
    area = GroundArea(Grid("EPSG:32631", Affine(10, 0, 6e5, 0, -10, 5.6e6), 200, 100))
    assert area.unit == "ha"
    assert area.of(slice(3, 9), slice(5, 8)) == pytest.approx(0.01)


def test_a_turned_grid_has_the_area_of_its_pixels():
    turned = Affine.translation(6e5, 5.6e6) @ Affine.rotation(30) @ Affine.scale(20, -10)
    grid = Grid("EPSG:32631", turned, 200, 100)
    assert GroundArea(grid).of(slice(0, 1), slice(0, 1)) == pytest.approx(0.02)


def test_degrees_sum_to_the_surface_of_the_earth():
    grid = Grid("EPSG:4326", Affine(0.25, 0, -180, 0, -0.25, 90), 1440, 720)
    assert total(grid) == pytest.approx(EARTH, rel=1e-5)


def test_pixels_of_a_degree_grid_shrink_toward_the_poles():
    area = GroundArea(Grid("EPSG:4326", Affine(0.001, 0, 10, 0, -0.001, 60.001), 10, 2))
    assert area.unit == "ha"
    # 60 degrees north: a degree of latitude is 111 412 m, one of longitude 55 800 m.
    assert area.of(slice(0, 2), slice(0, 10))[1, 0] == pytest.approx(111_412 * 55_800 / 1e10, rel=1e-3)


def test_a_turned_degree_grid_is_measured_pixel_by_pixel():
    turned = Affine.translation(10, 60) @ Affine.rotation(45) @ Affine.scale(0.01, -0.01)
    area = GroundArea(Grid("EPSG:4326", turned, 100, 100)).of(slice(0, 100), slice(0, 100))
    assert area.shape == (100, 100)
    assert area[0, 99] < area[0, 0] < area[99, 0]  # the first row runs north, the first column south


def test_web_mercator_is_not_taken_at_its_word():
    north = 6_446_275.84  # 50 degrees
    area = GroundArea(Grid("EPSG:3857", Affine(10, 0, 1e6, 0, -10, north), 512, 512))
    assert "distorts" in area.method
    shrunk = 0.01 * math.cos(math.radians(50)) ** 2
    assert area.of(slice(0, 1), slice(0, 1)) == pytest.approx(shrunk, rel=0.01)


def test_without_coordinate_system_areas_are_in_pixels():
    grid = Grid(None, Affine.identity(), 30, 20)
    assert GroundArea(grid).unit == "pixels"
    assert total(grid) == 600
