# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job learns from is what the labels layer shows: its filter, edits, selection and colours."""

from __future__ import annotations

import json

import pytest
from osgeo import ogr
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsField,
    QgsFillSymbol,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRendererCategory,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
)

ROWS = [("oak", (0, 0, 2, 2)), ("oak", (2, 0, 4, 2)), ("birch", (0, 4, 2, 6)), (None, (4, 4, 6, 6))]


@pytest.fixture
def labels():
    from timo_qgis.layers import labels

    return labels


@pytest.fixture
def on_disk(make_labels, tmp_path):
    """The same polygons in a GeoPackage of one layer."""
    memory = make_labels(ROWS)
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    path = tmp_path / "fields.gpkg"
    QgsVectorFileWriter.writeAsVectorFormatV3(
        memory, str(path), QgsProject.instance().transformContext(), options
    )
    layer = QgsVectorLayer(str(path), "fields", "ogr")
    QgsProject.instance().removeMapLayer(memory.id())
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def part(package):
    """A layer whose class is in its field "class", or in another."""
    from timo_qgis.layers.label_parts import LabelPart

    return lambda layer, selected_only=False, field="class": LabelPart(layer, field, selected_only)


@pytest.fixture
def count(labels, part):
    """Counts the features of layers together."""
    return lambda *layers: labels.counter([part(layer) for layer in layers])()


def copied(labels, parts, folder, qtbot, fields=(), naming=None):
    results = []
    task = labels.provide(
        parts, naming or labels.Naming(), fields, folder, lambda *result: results.append(result)
    )
    assert task is not None
    qtbot.waitUntil(lambda: bool(results))
    return results[0]


def classes_in(path):
    source = ogr.Open(str(path))
    return sorted(str(feature.GetField("class")) for feature in source.GetLayer(0))


def test_features_are_counted_by_class_without_those_that_have_none(count, make_labels):
    assert count(make_labels(ROWS)).classes == {"birch": 1, "oak": 2}


def test_of_very_many_features_the_first_are_counted_and_the_page_says_so(
    labels, dock, make_labels, qtbot, monkeypatch
):
    monkeypatch.setattr(labels, "MOST_COUNTED", 2)
    box = dock.train.labels
    make_labels(ROWS)
    qtbot.waitUntil(lambda: box.counts == {"oak": 2})
    assert "more than 2 features" in box.hint.text()
    layer = make_labels(ROWS[:2], name="few")
    box.use(layer, "class")
    qtbot.waitUntil(lambda: "more than" not in box.hint.text())


def test_a_count_that_nobody_waits_for_any_more_stops(labels, part, make_labels):
    assert labels.counter([part(make_labels(ROWS))], lambda: False)().classes == {}


def test_selected_features_alone_are_counted_where_asked(labels, part, make_labels):
    layer = make_labels(ROWS)
    layer.selectByExpression("\"class\" = 'oak'")
    assert labels.counter([part(layer, True)])().classes == {"oak": 2}


def test_filtered_features_are_not_counted(count, on_disk):
    on_disk.setSubsetString("\"class\" = 'birch'")
    assert count(on_disk).classes == {"birch": 1}


def test_colours_are_those_of_the_layers_style(make_labels):
    from timo_qgis.layers import label_classes as labels

    layer = make_labels(ROWS)
    assert labels.colors(layer, "class") == {}
    categories = [
        QgsRendererCategory(value, QgsFillSymbol.createSimple({"color": color}), value)
        for value, color in (("oak", "#228844"), ("birch", "#ddcc88"), ("", "#000000"))
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", categories))
    assert labels.colors(layer, "class") == {"oak": "#228844", "birch": "#ddcc88"}
    assert labels.colors(layer, "note") == {}


def test_file_with_one_layer_needs_no_copy(labels, on_disk):
    assert labels.why_copy(on_disk, selected_only=False) == ""


def test_layer_that_shows_something_else_than_its_file_needs_a_copy(labels, on_disk, make_labels):
    assert labels.why_copy(on_disk, selected_only=True)
    on_disk.startEditing()
    assert labels.why_copy(on_disk, selected_only=False)
    on_disk.rollBack()
    on_disk.setSubsetString("\"class\" = 'birch'")
    assert labels.why_copy(on_disk, selected_only=False)
    assert labels.why_copy(make_labels(ROWS), selected_only=False)


@pytest.mark.parametrize("told", [None, "EPSG:32632"])
def test_coordinate_system_set_in_qgis_is_the_jobs_too(labels, part, on_disk, tmp_path, qtbot, told):
    context = QgsProject.instance().transformContext()
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.fileEncoding = "ESRI Shapefile", "UTF-8"
    path = tmp_path / "parcels.shp"
    QgsVectorFileWriter.writeAsVectorFormatV3(on_disk, str(path), context, options)
    path.with_suffix(".prj").unlink()
    if told:
        wkt = QgsCoordinateReferenceSystem(told).toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT1_ESRI)
        path.with_suffix(".prj").write_text(wkt)
    layer = QgsVectorLayer(str(path), "parcels", "ogr")
    assert layer.crs().authid() == (told or "") and not labels.why_copy(layer, selected_only=False)
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    assert "coordinate system" in labels.why_copy(layer, selected_only=False)
    copy, error = copied(labels, [part(layer)], tmp_path, qtbot)
    assert error == "" and classes_in(copy) == classes_in(path)
    made = QgsVectorLayer(str(copy), "copy", "ogr")
    assert made.crs().authid() == "EPSG:32631" and made.extent() == layer.extent()


@pytest.fixture
def mixed(tmp_path):
    """The polygons of a GeoJSON that holds a point, too: as QGIS opens it, and as its source says."""
    ring = [[3, 45], [3.01, 45], [3.01, 45.01], [3, 45]]
    shapes = {"oak": ("Point", [3, 45]), "birch": ("Polygon", [ring])}
    features = [
        {
            "type": "Feature",
            "properties": {"class": name},
            "geometry": {"type": kind, "coordinates": coordinates},
        }
        for name, (kind, coordinates) in shapes.items()
    ]
    path = tmp_path / "mixed.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    layer = QgsVectorLayer(f"{path}|geometrytype=Polygon", "mixed", "ogr")
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_of_a_file_of_points_and_polygons_those_teach_that_the_layer_shows(
    labels, part, mixed, tmp_path, qtbot
):
    assert "one kind of the file's shapes" in labels.why_copy(mixed, selected_only=False)
    copy, error = copied(labels, [part(mixed)], tmp_path, qtbot)
    assert error == "" and classes_in(copy) == ["birch"]


@pytest.fixture
def parcels(make_labels, tmp_path):
    """A Shapefile of one class in UTF-8, whose .cpg says so."""
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.fileEncoding = "ESRI Shapefile", "UTF-8"
    path, memory = tmp_path / "parcels.shp", make_labels([("Gehölz", (0, 0, 2, 2))])
    QgsVectorFileWriter.writeAsVectorFormatV3(
        memory, str(path), QgsProject.instance().transformContext(), options
    )
    return path


def test_shapefile_whose_encoding_is_told_needs_no_copy_unless_another_is_set_in_qgis(labels, parcels):
    layer = QgsVectorLayer(str(parcels), "parcels", "ogr")
    assert labels.why_copy(layer, selected_only=False) == ""
    layer.setProviderEncoding("ISO-8859-1")
    assert "encoding" in labels.why_copy(layer, selected_only=False)


def test_shapefile_without_a_cpg_keeps_the_class_names_that_qgis_shows(
    labels, part, parcels, tmp_path, qtbot
):
    parcels.with_suffix(".cpg").unlink()
    layer = QgsVectorLayer(str(parcels), "parcels", "ogr")
    layer.setProviderEncoding("UTF-8")
    assert "encoding" in labels.why_copy(layer, selected_only=False)
    copy, error = copied(labels, [part(layer)], tmp_path, qtbot)
    assert error == "" and classes_in(copy) == ["Gehölz"]


def test_page_says_at_once_that_the_coordinate_system_was_set(dock, on_disk, qtbot):
    box = dock.train.labels
    box.use(on_disk, "class")
    qtbot.waitUntil(lambda: box.counts is not None)
    assert "coordinate system" not in box.hint.text()
    on_disk.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    qtbot.waitUntil(lambda: "coordinate system was set in QGIS" in box.hint.text())


def test_field_that_qgis_computes_or_joins_is_in_the_copy(labels, part, on_disk, tmp_path, qtbot):
    table = QgsVectorLayer("None?field=kind:string&field=part:string", "kinds", "memory")
    rows = [QgsFeature(table.fields()) for _ in range(2)]
    rows[0].setAttributes(["oak", "train"])
    rows[1].setAttributes(["birch", "test"])
    table.dataProvider().addFeatures(rows)
    QgsProject.instance().addMapLayer(table)
    join = QgsVectorLayerJoinInfo()
    join.setJoinLayer(table)
    join.setJoinFieldName("kind")
    join.setTargetFieldName("class")
    join.setUsingMemoryCache(True)
    on_disk.addJoin(join)
    loud = QgsField(on_disk.fields().field("class"))
    loud.setName("loud")
    on_disk.addExpressionField('upper("class")', loud)
    assert labels.why_copy_of([part(on_disk)]) == "" and not labels.why_copy_of([part(on_disk)], ["note"])
    assert "'loud'" in labels.why_copy_of([part(on_disk, field="loud")])
    assert "'kinds_part'" in labels.why_copy_of([part(on_disk)], ["kinds_part"])
    path, error = copied(labels, [part(on_disk, field="loud")], tmp_path, qtbot, ("kinds_part",))
    assert error == ""
    made = QgsVectorLayer(str(path), "copy", "ogr")
    found = {(feature["loud"], feature["kinds_part"]) for feature in made.getFeatures()}
    assert {("OAK", "train"), ("BIRCH", "test")} < found


def test_labels_removed_from_the_project_while_they_are_copied_are_copied_whole(
    labels, part, make_labels, tmp_path, qtbot
):
    layer, results = make_labels(ROWS), []
    task = labels.provide([part(layer)], labels.Naming(), (), tmp_path, lambda *end: results.append(end))
    QgsProject.instance().removeMapLayer(layer.id())
    assert task is not None
    qtbot.waitUntil(lambda: bool(results))
    path, error = results[0]
    assert error == "" and classes_in(path) == ["None", "birch", "oak", "oak"]


def test_copy_of_a_filtered_layer_has_what_the_filter_leaves(labels, part, on_disk, tmp_path, qtbot):
    on_disk.setSubsetString("\"class\" = 'oak'")
    path, error = copied(labels, [part(on_disk)], tmp_path, qtbot)
    assert error == ""
    assert classes_in(path) == ["oak", "oak"]


def test_copy_has_unsaved_edits(labels, part, on_disk, tmp_path, qtbot):
    on_disk.startEditing()
    first = next(on_disk.getFeatures())
    on_disk.changeAttributeValue(first.id(), on_disk.fields().indexOf("class"), "beech")
    path, error = copied(labels, [part(on_disk)], tmp_path, qtbot)
    assert error == ""
    assert "beech" in classes_in(path)
    on_disk.rollBack()


def test_copy_of_a_selection_has_no_more_than_that(labels, part, make_labels, tmp_path, qtbot):
    layer = make_labels(ROWS)
    layer.selectByExpression("\"class\" = 'birch'")
    path, error = copied(labels, [part(layer, True)], tmp_path, qtbot)
    assert error == ""
    assert classes_in(path) == ["birch"]


def test_copy_keeps_the_fields_that_are_asked_for_also_one_named_fid(labels, part, tmp_path, qtbot):
    layer = QgsVectorLayer(
        "Point?crs=EPSG:32631&field=fid:string&field=part:string&field=more:string", "odd", "memory"
    )
    feature = QgsFeature(layer.fields())
    feature.setAttributes(["oak", "train", "x"])
    feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(500000, 5000000)))
    twin = QgsFeature(feature)
    layer.dataProvider().addFeatures([feature, twin])
    path, error = copied(labels, [part(layer, field="fid")], tmp_path, qtbot, ("part", "fid", "gone"))
    assert error == ""
    copy = QgsVectorLayer(str(path), "copy", "ogr")
    rows = [(one["fid"], one["part"]) for one in copy.getFeatures()]
    assert rows == [("oak", "train")] * 2
    assert copy.fields().lookupField("more") < 0


def test_copy_that_cannot_be_written_says_so_in_a_sentence(labels, part, make_labels, tmp_path, qtbot):
    _, error = copied(labels, [part(make_labels(ROWS))], tmp_path / "nowhere", qtbot)
    assert "fields" in error


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        ({}, "no features"),
        ({"oak": 3}, "All features have the class 'oak'"),
        ({str(n): 1 for n in range(300)}, "300"),
    ],
)
def test_classes_that_cannot_be_learned_are_refused_in_words(labels, counts, word):
    assert word in labels.why_not(counts)


def test_two_classes_can_be_learned(labels):
    assert labels.why_not({"oak": 1, "birch": 1}) == ""
