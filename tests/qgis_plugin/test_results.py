# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's rasters arrive as layers in the classes' colours, with their names and their origin, once."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsPalettedRasterRenderer, QgsProject, QgsSingleBandPseudoColorRenderer

CLASSES = {3: ("oak & <b>ash</b>", (34, 136, 68)), 7: ("birch", (221, 204, 136))}


@pytest.fixture
def outputs(write_raster):
    """A map with a colour table, names and provenance, as ``timo predict`` writes it, and its confidence."""
    values = np.full((1, 8, 8), 3, np.uint8)
    values[0, :, 4:] = 7
    path = write_raster("map.tif", values, ("class",))
    dataset = gdal.Open(str(path), gdal.GA_Update)
    table = gdal.ColorTable()
    for value, (_, color) in CLASSES.items():
        table.SetColorEntry(value, (*color, 255))
    dataset.GetRasterBand(1).SetColorTable(table)
    dataset.GetRasterBand(1).SetCategoryNames([CLASSES.get(value, ("",))[0] for value in range(8)])
    dataset.SetMetadata({"TIMO_MODEL": "wood <1>", "TIMO_DATES": "2020-01-15, 2020-02-15", "TIMO_SPEC": "{}"})
    dataset = None
    confidence = write_raster("map-confidence.tif", np.full((1, 8, 8), 1, np.uint8), ("confidence",))
    return {"map": str(path), "confidence": str(confidence)}


@pytest.fixture
def added(package, outputs):
    from timo_qgis.layers.results import add_results, read_results

    results, problems = read_results(outputs)
    assert problems == []
    return add_results(QgsProject.instance(), results, "job-1", "map")


def test_map_has_the_colours_and_names_of_its_own_table(added):
    renderer = added[0].renderer()
    assert isinstance(renderer, QgsPalettedRasterRenderer)
    shown = {int(c.value): (c.label, c.color.getRgb()[:3]) for c in renderer.classes()}
    assert shown == CLASSES


def test_layers_of_a_job_stand_in_a_group_at_the_top_with_the_map_alone_visible(added):
    root = QgsProject.instance().layerTreeRoot()
    group = root.children()[0]
    assert group.name() == "map"
    assert [(node.name(), node.isVisible()) for node in group.findLayers()] == [
        ("map", True),
        ("map – confidence", False),
    ]


def test_confidence_has_a_ramp_from_0_to_1(added):
    renderer = added[1].renderer()
    assert isinstance(renderer, QgsSingleBandPseudoColorRenderer)
    assert (renderer.classificationMin(), renderer.classificationMax()) == (0, 1)


def test_origin_stands_in_the_metadata_as_plain_text(added):
    metadata = added[0].metadata()
    assert "wood &lt;1&gt;" in metadata.abstract()
    assert "2020-01-15" in metadata.abstract()
    assert any("job-1" in line for line in metadata.history())


def test_results_are_added_once(added, outputs):
    from timo_qgis.layers.results import add_results, read_results

    again = add_results(QgsProject.instance(), read_results(outputs)[0], "job-1", "map")
    assert again == []
    assert len(QgsProject.instance().mapLayers()) == 2


def test_output_that_is_gone_is_named(package, tmp_path):
    from timo_qgis.layers.results import read_results

    results, problems = read_results({"map": str(tmp_path / "gone.tif")})
    assert results == []
    assert "gone.tif" in problems[0]


def test_map_without_a_colour_table_takes_the_jobs_classes(package, write_raster):
    from timo_qgis.layers.results import read_results

    path = write_raster("wide.tif", np.full((1, 8, 8), 900, np.uint16), ("class",))
    results, _ = read_results({"map": str(path)}, [{"value": 900, "name": "oak", "color": "#228844"}])
    assert results[0].classes == ((900, "oak", "#228844"),)


def test_results_do_not_become_part_of_a_series(added, package):
    from timo_qgis.layers.frames import fitting

    assert fitting(QgsProject.instance()) == []
