# SPDX-License-Identifier: GPL-3.0-or-later
from collections import Counter
from xml.etree import ElementTree as ET

import demo_data
import demo_labels
import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.features import rasterize

CLASSES = {"stable forest", "cleared 2019", "cleared 2020", "open land"}
MARGIN = 3  # pixels


def pixels(polygon) -> np.ndarray:
    return rasterize([polygon], out_shape=(100, 100), transform=demo_labels.TRANSFORM).astype(bool)


def test_committed_labels_are_those_of_the_table(labels, polygons, tmp_path):
    again = tmp_path / "labels.gpkg"
    demo_labels.write_labels(polygons, again)
    committed, built = (pyogrio.raw.read(path, layer="labels") for path in (labels, again))
    assert list(committed[0]["fields"]) == ["class", "part"]
    assert list(committed[2]) == list(built[2])
    assert [list(column) for column in committed[3]] == [list(column) for column in built[3]]


def test_same_table_gives_the_same_bytes(polygons, tmp_path):
    files = [tmp_path / name / "labels.gpkg" for name in "ab"]
    for file in files:
        file.parent.mkdir()
        demo_labels.write_labels(polygons, file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_one_part_can_be_written_alone_with_the_style_beside_it(polygons, tmp_path):
    out = tmp_path / "training.gpkg"
    count = demo_labels.write_labels(polygons, out, parts=("train",))
    part = pyogrio.raw.read(out, columns=["part"])[3][0]
    assert len(part) == count
    assert set(part) == {"train"}
    assert out.with_suffix(".qml").read_bytes() == polygons.with_name("labels.qml").read_bytes()


def test_there_are_enough_polygons_of_every_class_in_both_parts(polygons):
    rows = demo_labels.read_polygons(polygons)
    counts = Counter((name, part) for name, part, _ in rows)
    test = sum(count for (_, part), count in counts.items() if part == "test")
    assert len(rows) >= 40
    assert test >= len(rows) / 3
    assert {name for name, _ in counts} == CLASSES
    assert min(counts[name, part] for name in CLASSES for part in ("train", "test")) >= 3


def test_every_polygon_holds_pixels_that_no_other_claims(polygons):
    masks = [pixels(polygon) for _, _, polygon in demo_labels.read_polygons(polygons)]
    assert min(mask.sum() for mask in masks) >= 4
    assert np.sum(masks, axis=0).max() == 1


def test_test_polygons_lie_in_a_part_of_their_own(polygons):
    columns = {part: [] for part in ("train", "test")}
    for _, part, polygon in demo_labels.read_polygons(polygons):
        west, _, east, _ = polygon.bounds
        columns[part] += [(x - demo_labels.TRANSFORM.c) / demo_labels.TRANSFORM.a for x in (west, east)]
    assert min(columns["test"]) - max(columns["train"]) >= MARGIN


def test_style_names_and_colours_every_class(labels):
    root = ET.parse(labels.with_suffix(".qml")).getroot()
    renderer = root.find("renderer-v2")
    assert renderer.get("attr") == "class"
    assert {category.get("value") for category in renderer.iter("category")} == CLASSES


def test_clearings_were_canopy_before_their_year_and_bare_in_it(wheel, tmp_path, polygons):
    demo_data.write_series(wheel, tmp_path / "series")
    ndvi = {}
    for date in demo_data.DATES:
        with rasterio.open(tmp_path / "series" / f"S2_{date:%Y%m%d}.tif") as source:
            red, nir = source.read((3, 4)).astype(float)
            assert source.transform.almost_equals(demo_labels.TRANSFORM, precision=1e-6)
        ndvi[date.year, date.month] = (nir - red) / (nir + red)
    for name, _, polygon in demo_labels.read_polygons(polygons):
        inside = pixels(polygon)
        if name == "cleared 2019":
            assert ndvi[2018, 8][inside].mean() > 0.8
            assert ndvi[2019, 6][inside].mean() < 0.7
        elif name == "cleared 2020":
            assert ndvi[2019, 8][inside].mean() > 0.85
            assert min(ndvi[2020, 5][inside].mean(), ndvi[2020, 7][inside].mean()) < 0.7
        elif name == "stable forest":
            assert min(layer[inside].mean() for layer in ndvi.values()) > 0.8
        else:
            assert name == pytest.approx("open land")
            assert min(layer[inside].mean() for layer in ndvi.values()) < 0.75
