# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's rasters arrive as layers in the classes' colours, with their names and their origin, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import ogr, osr
from qgis.core import (
    QgsDateTimeRange,
    QgsLayerTreeGroup,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime

CLASSES = {3: ("oak & <b>ash</b>", (34, 136, 68)), 7: ("birch", (221, 204, 136))}


TAGS = {"TIMO_MODEL": "wood <1>", "TIMO_DATES": "2020-01-15, 2020-02-15", "TIMO_SPEC": "{}"}


def two_classes():
    values = np.full((8, 8), 3, np.uint8)
    values[:, 4:] = 7
    return values


@pytest.fixture
def outputs(make_map, write_raster):
    """A map with a colour table, names and provenance, as ``timo predict`` writes it, and its confidence."""
    path = make_map("map.tif", two_classes(), CLASSES, TAGS)
    confidence = write_raster("map-confidence.tif", np.full((1, 8, 8), 1, np.uint8), ("confidence",))
    return {"map": str(path), "confidence": str(confidence)}


@pytest.fixture
def added(package, outputs):
    from timo_qgis.layers.results import add_results, read_results

    results, problems = read_results(outputs)
    assert problems == []
    return list(add_results(QgsProject.instance(), results, "job-1", "map"))


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

    again = list(add_results(QgsProject.instance(), read_results(outputs)[0], "job-1", "map"))
    assert again == []
    assert len(QgsProject.instance().mapLayers()) == 2


def test_results_are_added_once_also_behind_a_link_and_after_the_project_was_reopened(
    package, outputs, tmp_path
):
    from timo_qgis.layers.results import add_results, read_results

    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    linked = {kind: path.replace(str(tmp_path), str(tmp_path / "link")) for kind, path in outputs.items()}
    project = QgsProject.instance()
    assert len(list(add_results(project, read_results(linked)[0], "job-1", "map"))) == 2
    assert project.write(str(tmp_path / "mine.qgz")) and project.read(str(tmp_path / "mine.qgz"))
    assert list(add_results(project, read_results(linked)[0], "job-1", "map")) == []
    assert len(project.mapLayers()) == 2


def test_map_made_anew_at_a_layers_path_is_shown_by_that_layer(added, outputs, make_map):
    from timo_qgis.layers.results import add_results, read_results

    mine = QgsRasterLayer(outputs["map"], "mine", "gdal")
    QgsProject.instance().addMapLayer(mine)
    other = {1: ("sand", (230, 220, 160))}
    make_map("new.tif", np.ones((4, 4)), other, TAGS).replace(outputs["map"])
    Path(outputs["map"]).with_name("new.tif.aux.xml").replace(f"{outputs['map']}.aux.xml")
    results = read_results(outputs)[0]
    assert list(add_results(QgsProject.instance(), results, "job-2", "map")) == added
    layer, group = added[0], QgsProject.instance().layerTreeRoot().findGroup("map")
    assert (layer.width(), layer.extent().width(), layer.customProperty("timo/job")) == (4, 40, "job-2")
    assert [c.label for c in layer.renderer().classes()] == ["sand"]
    assert [node.layer() for node in group.findLayers()] == added
    assert mine.width() == 4 and mine.customProperty("timo/job") is None, "the analyst's own keeps its style"


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
    from timo_qgis.layers.frames import fits

    assert not any(map(fits, QgsProject.instance().mapLayers().values()))


@pytest.fixture
def dated(outputs, make_map, tmp_path):
    """The same job's maps of three dates in a folder, among them a file that is another's."""
    folder = tmp_path / "map-dates"
    folder.mkdir()
    for date in ("2020-03-01", "2020-01-15", "2020-01-25"):
        tags = {**TAGS, "TIMO_DATE": date}
        make_map(f"map-dates/map_{date}.tif", two_classes(), CLASSES, tags)
    make_map("map-dates/other_2020-05-01.tif", two_classes(), CLASSES, {"TIMO_DATE": "2020-05-01"})
    return {**outputs, "maps_per_date": str(folder / "map_2020-03-01.tif")}


def add(outputs):
    from timo_qgis.layers.results import add_results, read_results

    return list(add_results(QgsProject.instance(), read_results(outputs)[0], "job-1", "map"))


def shown_at(layers, year, month, day):
    moment = QDateTime(QDate(year, month, day), QTime(12, 0), Qt.TimeSpec.UTC)
    span = QgsDateTimeRange(moment, moment)
    return [layer.name() for layer in layers if layer.temporalProperties().isVisibleInTemporalRange(span)]


def test_maps_of_each_date_play_in_time_each_until_the_next(package, dated):
    layers = [layer for layer in add(dated) if layer.customProperty("timo/kind") == "maps_per_date"]
    assert [layer.name() for layer in layers] == ["2020-01-15", "2020-01-25", "2020-03-01"]
    assert shown_at(layers, 2020, 1, 14) == []
    assert shown_at(layers, 2020, 1, 15) == ["2020-01-15"]
    assert shown_at(layers, 2020, 1, 24) == ["2020-01-15"]
    assert shown_at(layers, 2020, 2, 29) == ["2020-01-25"]
    assert shown_at(layers, 2020, 3, 10) == ["2020-03-01"]
    assert shown_at(layers, 2021, 1, 1) == []
    span = QgsProject.instance().timeSettings().temporalRange()
    assert span.begin().date() == QDate(2020, 1, 15)


def test_maps_of_each_date_stand_in_a_group_in_the_jobs_group_that_is_shown_when_ticked(package, dated):
    layers = add(dated)
    group = QgsProject.instance().layerTreeRoot().children()[0]
    inner = [child for child in group.children() if isinstance(child, QgsLayerTreeGroup)]
    assert [len(child.findLayers()) for child in inner] == [3]
    assert not inner[0].isVisible()
    inner[0].setItemVisibilityChecked(True)
    assert all(node.isVisible() for node in inner[0].findLayers())
    assert all(isinstance(layer.renderer(), QgsPalettedRasterRenderer) for layer in layers[1:4])


def test_polygons_have_the_maps_colours_and_names(package, outputs, tmp_path):
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32631)
    path = tmp_path / "map-polygons.gpkg"
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = source.CreateLayer("polygons", reference, ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("value", ogr.OFTInteger))
    feature = ogr.Feature(layer.GetLayerDefn())
    feature.SetField("value", 3)
    feature.SetGeometry(
        ogr.CreateGeometryFromWkt("POLYGON((500000 5000000,500040 5000000,500040 4999960,500000 5000000))")
    )
    layer.CreateFeature(feature)
    del feature, layer, source
    polygons = add({**outputs, "polygons": str(path)})[1]
    shown = {
        c.value(): (c.label(), c.symbol().color().getRgb()[:3]) for c in polygons.renderer().categories()
    }
    assert shown == CLASSES
    assert polygons.featureCount() == 1


def test_probabilities_are_shown_in_percent(package, outputs, write_raster):
    path = write_raster("map-p.tif", np.full((2, 8, 8), 100, np.uint8), ("oak", "birch"))
    layer = add({**outputs, "probabilities": str(path)})[-1]
    items = layer.renderer().shader().rasterShaderFunction().colorRampItemList()
    assert [(item.value, item.label) for item in items][::4] == [(0, "0 %"), (250, "100 %")]


def test_a_result_added_later_joins_its_jobs_group(package, outputs):
    add({"map": outputs["map"]})
    add(outputs)
    groups = QgsProject.instance().layerTreeRoot().children()
    assert [(group.name(), len(group.findLayers())) for group in groups] == [("map", 2)]


def test_run_again_asks_for_the_same_with_names_that_are_free(package, tmp_path):
    from timo_qgis.layers.provenance import again

    for name in ("series.csv", "map.tif", "map-confidence.tif", "map-2.tif"):
        (tmp_path / name).write_text("")
    spec = {
        "series": [str(tmp_path / "series.csv")],
        "model": str(tmp_path),
        "out": str(tmp_path / "map.tif"),
        "confidence": str(tmp_path / "map-confidence.tif"),
        "overwrite": True,
        "batch": 4,
    }
    made, why = again(spec)
    assert why == ""
    assert made["out"] == str(tmp_path / "map-3.tif")
    assert made["confidence"] == str(tmp_path / "map-3-confidence.tif")
    assert made["batch"] == 4 and "overwrite" not in made


def test_run_again_names_what_is_gone(package, tmp_path):
    from timo_qgis.layers.provenance import again

    spec = {"series": [str(tmp_path / "gone.csv")], "model": str(tmp_path), "out": str(tmp_path / "m.tif")}
    assert "gone.csv" in again(spec)[1]
    assert again({})[1]
    spec["series"] = [str(tmp_path)]
    for area in (str(tmp_path / "district.gpkg"), f"{tmp_path / 'district.gpkg'}|layername=all"):
        assert "district.gpkg is not there" in again({**spec, "aoi": area})[1]
        assert again({**spec, "aoi": area})[0] == {}
    for area in (str(tmp_path), "500000,4999900,500100,5e6", None):
        assert again({**spec, "aoi": area})[0]["aoi"] == area
    assert "moved is gone" in again({**spec, "out": str(tmp_path / "moved" / "m.tif")})[1]


def test_maps_of_each_date_of_a_map_with_a_longer_name_are_not_taken(package, dated, make_map):
    from timo_qgis.layers.results import read_results

    make_map("map-dates/map_2_2020-06-01.tif", two_classes(), CLASSES, {"TIMO_DATE": "2020-06-01"})
    days = [result.date for result in read_results(dated)[0] if result.date is not None]
    assert len(days) == 3


def test_no_group_is_made_where_no_layer_can_be(package, tmp_path):
    from timo_qgis.layers.results import Result, add_results

    assert (
        list(add_results(QgsProject.instance(), [Result("map", tmp_path / "gone.tif")], "job-1", "map")) == []
    )
    assert QgsProject.instance().layerTreeRoot().children() == []
