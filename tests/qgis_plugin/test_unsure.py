# SPDX-License-Identifier: GPL-3.0-or-later
"""The places where the map is least sure are found, spread over it, and come with a class to fill in."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal


def pixel(place):
    """Row and column of a place on the grid of the fixtures."""
    return round((5000000 - place.y) / 10 - 0.5), round((place.x - 500000) / 10 - 0.5)


@pytest.fixture
def find(package, make_floats):
    from timo_qgis.layers.unsure import most_unsure

    def find(values, count, distance, **options):
        return most_unsure(make_floats("confidence.tif", values), count, distance, **options)

    return find


def apart(places):
    return min(
        (math.dist(pixel(a), pixel(b)) for a, b in itertools.combinations(places, 2)), default=math.inf
    )


def test_least_sure_come_first_and_none_lies_near_another(find):
    values = np.random.default_rng(0).uniform(0.4, 1, (70, 90))
    values[10, 10], values[10, 12], values[40, 60] = 0.1, 0.2, 0.15
    places = find(values, 8, 7)
    assert [pixel(place) for place in places[:2]] == [(10, 10), (40, 60)]
    assert len(places) == 8 and [place.rank for place in places] == list(range(1, 9))
    assert apart(places) >= 7
    assert [place.confidence for place in places] == sorted(place.confidence for place in places)


@pytest.mark.parametrize("distance", [1, 3, 10, 1500])
def test_as_many_are_found_as_are_asked_for_if_there_is_room(find, distance):
    values = np.random.default_rng(1).uniform(0, 1, (1100, 1300)).astype(np.float32)
    places = find(values, 20, distance)
    assert len(places) == (20 if distance < 100 else len(places))
    assert places and apart(places) >= distance
    assert places[0].confidence == pytest.approx(float(values.min()))


def test_equal_ones_are_taken_from_the_whole_map_and_the_same_each_time(find):
    values = np.full((200, 200), 0.5)
    places = find(values, 40, 5)
    assert len(places) == 40 and apart(places) >= 5
    rows, columns = zip(*map(pixel, places))
    for half in (rows, columns):
        assert 8 <= sum(value < 100 for value in half) <= 32
    assert places == find(values, 40, 5)


def test_where_there_is_no_data_there_is_no_place(find):
    values = np.full((30, 30), np.nan)
    assert find(values, 5, 3) == []
    values[7, 9] = 0.9
    assert [pixel(place) for place in find(values, 5, 3)] == [(7, 9)]


def test_map_of_one_pixel(find):
    assert [pixel(place) for place in find(np.array([[0.3]]), 5, 10)] == [(0, 0)]


def test_classes_in_turn_give_rare_ones_their_share(find, make_map):
    confidence = np.full((60, 60), 0.6)
    confidence[:, 50:] = 0.9
    classes = np.full((60, 60), 1)
    classes[:, 50:] = 2
    classes[:5] = 255
    path = make_map("map.tif", classes, {1: ("wood", (0, 90, 0)), 2: ("water", (0, 0, 200))})
    plain = find(confidence, 10, 5, class_map=path)
    assert {place.value for place in plain} == {1}
    shared = find(confidence, 10, 5, class_map=path, each_class=True)
    assert sorted(place.value for place in shared) == [1] * 5 + [2] * 5
    assert apart(shared) >= 5
    assert all(pixel(place)[0] >= 5 for place in shared)


def test_probabilities_serve_where_there_is_no_confidence(package, write_raster):
    from timo_qgis.layers.unsure import most_unsure

    values = np.full((2, 20, 20), 125, np.uint8)
    values[0, 3, 4], values[1, 3, 4] = 130, 120
    values[:, 10:] = 255
    values[0, :10, 10:], values[1, :10, 10:] = 240, 10
    values[:, 5, 5] = (110, 100)
    place = most_unsure(write_raster("p.tif", values, ("a", "b")), 1, 4)[0]
    assert (pixel(place), place.confidence) == ((5, 5), pytest.approx(110 / 250))


def test_map_that_was_clipped_or_put_into_another_crs_has_places_where_it_lies(find, make_map, tmp_path):
    confidence = np.random.default_rng(2).uniform(0.5, 1, (40, 60))
    confidence[30, 50], confidence[5, 6] = 0.1, 0.2
    classes = np.full((40, 60), 1)
    classes[:, 30:] = 2
    path = make_map("map.tif", classes, {1: ("wood", (0, 90, 0)), 2: ("water", (0, 0, 200))})
    clip, other = str(tmp_path / "clip.tif"), str(tmp_path / "degrees.tif")
    gdal.Translate(clip, str(path), srcWin=[2, 2, 20, 10])
    gdal.Warp(other, str(path), dstSRS="EPSG:4326")
    places = find(confidence, 5, 3, class_map=Path(clip), each_class=True)
    assert (pixel(places[0]), places[0].value) == ((5, 6), 1) and len(places) == 5
    assert all(2 <= row < 12 and 2 <= column < 22 for row, column in map(pixel, places))
    assert [(pixel(one), one.value) for one in find(confidence, 2, 3, class_map=Path(other))] == [
        ((30, 50), 2),
        ((5, 6), 1),
    ]


def test_map_that_cannot_be_brought_onto_the_grid_is_said(find, make_map):
    from timo_qgis.layers.raster_blocks import RasterError

    path = make_map("map.tif", np.ones((5, 5)), {1: ("wood", (0, 90, 0))})
    dataset = gdal.Open(str(path), gdal.GA_Update)
    dataset.SetGeoTransform((500000, 100, 0, 5000000, 0, -100))
    dataset = None
    with pytest.raises(RasterError, match=r"map\.tif"):
        find(np.ones((6, 6)), 1, 1, class_map=path)


def test_it_can_be_stopped(find):
    from timo_qgis.layers.raster_blocks import StoppedError

    with pytest.raises(StoppedError):
        find(np.ones((6, 6)), 1, 1, tick=lambda _share: False)
