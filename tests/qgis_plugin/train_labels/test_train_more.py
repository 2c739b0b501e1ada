# SPDX-License-Identifier: GPL-3.0-or-later
"""Several layers of labels are learnt from together: they are ticked, counted, checked and written as one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from osgeo import ogr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsEditorWidgetSetup,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsVectorLayer,
)
from qgis.gui import QgsCheckableComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QPushButton, QTreeWidget, QWidget

POLYGONS = [
    ("oak", (0, 0, 20, 64)), ("birch", (20, 0, 40, 64)), ("oak", (110, 0, 130, 64)),
    ("birch", (130, 0, 150, 64)),
]  # fmt: skip
POINTS = [("Birch", (60, 5)), ("elm", (62, 20)), ("elm", (100, 30)), (None, (64, 30))]
# What the library reads of a spec's labels: pixels by class, and what it says of them.
READ = """
import json, sys
from timo.tasks import finetune, specs
from timo.training.device import fabric_for
class Quiet:
    def __getattr__(self, name): return lambda *_, **__: None
spec = specs.load("finetune", json.load(sys.stdin))
labels = finetune.read(spec, fabric_for("cpu"), Quiet()).labels[0]
names = [one.name for one in labels.scheme.classes]
print(json.dumps([dict(zip(names, labels.counts.tolist())), list(labels.problems)]))
"""


@pytest.fixture
def add_points():
    """Adds points at pixels, as longitude and latitude: ``add_points([(class, (column, row))])``."""

    def add(rows=POINTS, name="points", field="class:string", crs="EPSG:4326", extra=""):
        layer = QgsVectorLayer(f"Point?{f'crs={crs}&' if crs else ''}field={field}{extra}", name, "memory")
        to = QgsCoordinateTransform(
            QgsCoordinateReferenceSystem("EPSG:32631"),
            layer.crs() if crs else QgsCoordinateReferenceSystem("EPSG:32631"),
            QgsProject.instance(),
        )
        features = []
        for value, (column, row) in rows:
            feature = QgsFeature(layer.fields())
            feature.setAttribute(0, value)
            there = to.transform(QgsPointXY(500005 + 10 * column, 4999995 - 10 * row))
            feature.setGeometry(QgsGeometry.fromPointXY(there))
            features.append(feature)
        layer.dataProvider().addFeatures(features)
        QgsProject.instance().addMapLayer(layer)
        return layer

    return add


@pytest.fixture
def polygons(page, make_labels, qtbot):
    """The labels that are chosen."""
    layer = make_labels(POLYGONS)
    qtbot.waitUntil(lambda: classes(page) == {"oak": "2", "birch": "2"})
    return layer


def classes(page):
    tree = page.findChild(QTreeWidget, "timoTrainClasses")
    return {
        tree.topLevelItem(n).text(0): tree.topLevelItem(n).text(1) for n in range(tree.topLevelItemCount())
    }


def more(page):
    return page.findChild(QgsCheckableComboBox, "timoTrainMore")


def offered(page):
    return [more(page).itemText(row) for row in range(more(page).count())]


def tick(page, qtbot, name, ticked=True):
    qtbot.waitUntil(lambda: name in offered(page))
    state = Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
    more(page).setItemCheckState(more(page).findText(name), state)


def train(page, sent, qtbot):
    qtbot.waitUntil(lambda: page.why_not() == "")
    page.findChild(QPushButton, "timoTrainRun").click()
    qtbot.waitUntil(lambda: bool(sent), timeout=10_000)
    return sent[-1]


def written(spec):
    """Class and kind of shape of each feature in the labels of a spec."""
    source = ogr.Open(spec["labels"])
    assert source.GetLayerCount() == 1
    return sorted(
        (one.GetField(spec["class_field"]), one.GetGeometryRef().GetGeometryName())
        for one in source.GetLayer(0)
    )


def test_other_labels_are_offered_and_nothing_is_asked_where_there_are_none(
    page, polygons, add_points, make_labels, qtbot
):
    from timo_qgis.layers.sources import KIND_PROPERTY

    assert not more(page).isVisibleTo(page) and not page.labels.more.title.isVisibleTo(page)
    add_points()
    add_points(name="codes", field="lc:string")
    add_points(name="shops", field="owner:string")
    QgsProject.instance().addMapLayer(QgsVectorLayer("LineString?field=class:string", "roads", "memory"))
    made = make_labels([("oak", (0, 0, 2, 2))], name="map as polygons")
    made.setCustomProperty(KIND_PROPERTY, "polygons")
    page.labels.layers.setLayer(polygons)
    qtbot.waitUntil(lambda: offered(page) == ["codes (lc)", "points"])
    assert more(page).isVisibleTo(page) and page.labels.more.title.isVisibleTo(page)
    assert page.labels.parts() == page.labels.parts()[:1]  # none is ticked


def test_classes_of_ticked_layers_are_counted_together_by_the_first_ones_names(
    page, polygons, add_points, qtbot
):
    add_points()
    tick(page, qtbot, "points")
    qtbot.waitUntil(lambda: classes(page) == {"oak": "2", "birch": "3", "elm": "2"})
    assert "several layers are used together" in page.labels.hint.text()
    tick(page, qtbot, "points", False)
    qtbot.waitUntil(lambda: classes(page) == {"oak": "2", "birch": "2"})


def test_edits_of_a_ticked_layer_are_followed_until_it_is_removed(page, polygons, add_points, qtbot):
    points = add_points()
    tick(page, qtbot, "points")
    qtbot.waitUntil(lambda: len(classes(page)) == 3)
    points.startEditing()
    points.changeAttributeValue(4, 0, "yew")
    qtbot.waitUntil(lambda: classes(page).get("yew") == "1")
    points.rollBack()
    QgsProject.instance().removeMapLayer(points.id())
    qtbot.waitUntil(lambda: classes(page) == {"oak": "2", "birch": "2"})
    qtbot.waitUntil(lambda: not more(page).isVisibleTo(page))


def test_what_is_doubtful_is_looked_for_in_all_layers(page, polygons, add_points, iface, qtbot, monkeypatch):
    points = add_points([*POINTS, ("birch", (5, 5))])
    tick(page, qtbot, "points")
    checks = page.labels.checks
    qtbot.waitUntil(lambda: "1 feature has no class" in checks.text())
    assert "1 point lies in a polygon of another class ('birch' in 'oak')" in checks.text()
    assert "outside" not in checks.text()  # though their coordinates are of another system
    monkeypatch.setattr(iface.canvas, "zoomToFeatureIds", lambda *_: None)
    page.findChild(QPushButton, "timoTrainChecksShow_no_class").click()
    assert points.selectedFeatureIds() == [4] and not polygons.selectedFeatureIds()
    page.findChild(QPushButton, "timoTrainChecksShow_stab").click()
    assert points.selectedFeatureIds() == [5] and polygons.selectedFeatureIds() == [1]


def test_the_job_gets_all_features_with_a_class_and_the_library_reads_them(
    page, polygons, add_points, sent, backend_program, qtbot
):
    add_points()
    page.findChild(QWidget, "timoTrain_chip").setValue(32)
    tick(page, qtbot, "points")
    qtbot.waitUntil(lambda: len(classes(page)) == 3)
    spec = train(page, sent, qtbot)
    assert written(spec) == sorted(
        [(name, "POLYGON") for name, _ in POLYGONS] + [("birch", "POINT"), ("elm", "POINT"), ("elm", "POINT")]
    )
    assert {color.partition("=")[0] for color in spec["colors"]} == {"oak", "birch", "elm"}
    assert Path(spec["labels"]).is_relative_to(page.shared.settings.home_folder)
    done = subprocess.run(
        [str(Path(backend_program).with_name("python")), "-c", READ], input=json.dumps(spec), check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pixels, problems = json.loads(done.stdout.splitlines()[-1])
    assert pixels == {"oak": 40 * 64, "birch": 40 * 64 + 1, "elm": 2} and problems == []


def test_a_selection_is_of_the_first_layer(page, polygons, add_points, sent, qtbot):
    add_points()
    tick(page, qtbot, "points")
    polygons.selectByIds([1])
    qtbot.waitUntil(page.labels.selected.isEnabled)
    page.labels.selected.setChecked(True)
    qtbot.waitUntil(lambda: classes(page) == {"oak": "1", "Birch": "1", "elm": "2"})
    spec = train(page, sent, qtbot)
    assert [name for name, shape in written(spec) if shape == "POLYGON"] == ["oak"]


def test_numbers_are_matched_by_what_the_layers_list_calls_them(page, polygons, add_points, sent, qtbot):
    points = add_points([(1, (60, 5)), (2, (62, 5))], field="lc:integer")
    setup = QgsEditorWidgetSetup("ValueMap", {"map": [{"Oak": "1"}, {"birch": "2"}]})
    points.setEditorWidgetSetup(0, setup)
    tick(page, qtbot, "points (lc)")
    qtbot.waitUntil(lambda: classes(page) == {"oak": "3", "birch": "3"})
    assert ("oak", "POINT") in written(train(page, sent, qtbot))


def test_numbers_that_are_no_class_of_the_names_are_said_with_layer_and_field(
    page, polygons, add_points, qtbot
):
    add_points([(1, (60, 5)), (2, (62, 5))], field="lc:integer")
    tick(page, qtbot, "points (lc)")
    qtbot.waitUntil(
        lambda: (
            page.why_not() == "Class '1' in field 'lc' of layer 'points' matches none of layer 'fields' "
            "(birch, oak): give both names or both numbers, or untick the layer."
        )
    )
    tick(page, qtbot, "points (lc)", False)
    qtbot.waitUntil(lambda: page.why_not() == "")


def test_a_layer_that_lies_nowhere_is_said(page, polygons, add_points, qtbot):
    add_points(crs="").setCrs(QgsCoordinateReferenceSystem())
    tick(page, qtbot, "points")
    qtbot.waitUntil(lambda: "Layer 'points' has no coordinate system" in page.why_not())


def test_a_field_that_the_training_reads_must_be_in_all_layers(page, add_points, make_labels, sent, qtbot):
    layer = make_labels(POLYGONS)
    for number, part in enumerate(("train", "train", "validation", "validation"), 1):
        layer.dataProvider().changeAttributeValues({number: {1: part}})
    page.labels.refresh()
    add_points()
    added = add_points(name="parted", extra="&field=note:string")
    added.dataProvider().changeAttributeValues({number: {1: "train"} for number in (1, 2, 3)})
    combo = page.findChild(QWidget, "timoTrain_split_field")
    combo.setField("note")
    combo.activated.emit(combo.currentIndex())
    tick(page, qtbot, "points")
    qtbot.waitUntil(
        lambda: (
            page.why_not() == "Layer 'points' has no field 'note', which is read for each label: add it, "
            "or untick the layer."
        )
    )
    tick(page, qtbot, "points", False)
    tick(page, qtbot, "parted")
    spec = train(page, sent, qtbot)
    source = ogr.Open(spec["labels"])
    assert sorted(row.GetField("note") for row in source.GetLayer(0)) == ["train"] * 5 + ["validation"] * 2


def test_layers_of_an_earlier_training_are_found_again(page, polygons, add_points, sent, qtbot):
    from timo_qgis.layers.labels import likely_parts, parts_of

    points = add_points()
    tick(page, qtbot, "points")
    qtbot.waitUntil(lambda: len(classes(page)) == 3)
    spec = train(page, sent, qtbot)
    assert [(part.layer.id(), part.field) for part in parts_of(spec)] == [
        (polygons.id(), "class"),
        (points.id(), "class"),
    ]
    assert likely_parts(spec, None) == parts_of(spec)
    assert parts_of({**spec, "labels": "/nowhere/else.gpkg"}) == []
    QgsProject.instance().removeMapLayer(points.id())
    assert parts_of(spec) == [], "the others alone are not what was learnt from"


def test_the_same_number_is_another_class_in_another_list(page, make_labels, add_points, qtbot):
    layer = make_labels([("1", (0, 0, 2, 2)), ("2", (0, 4, 2, 6))])
    layer.setEditorWidgetSetup(
        0, QgsEditorWidgetSetup("ValueMap", {"map": [{"Forest": "1"}, {"Water": "2"}]})
    )
    points = add_points([(1, (60, 5)), (1, (62, 5))], field="lc:integer")
    points.setEditorWidgetSetup(0, QgsEditorWidgetSetup("ValueMap", {"map": [{"water": "1"}]}))
    tick(page, qtbot, "points (lc)")
    qtbot.waitUntil(lambda: classes(page) == {"Forest": "1", "Water": "3"})


def test_a_class_that_the_first_list_lacks_is_said_and_not_guessed_by_its_number(
    page, make_labels, add_points, qtbot
):
    layer = make_labels([("1", (0, 0, 2, 2)), ("2", (0, 4, 2, 6))])
    layer.setEditorWidgetSetup(
        0, QgsEditorWidgetSetup("ValueMap", {"map": [{"Forest": "1"}, {"Water": "2"}]})
    )
    points = add_points([(1, (60, 5))], field="lc:integer")
    points.setEditorWidgetSetup(0, QgsEditorWidgetSetup("ValueMap", {"map": [{"Bog": "1"}]}))
    tick(page, qtbot, "points (lc)")
    qtbot.waitUntil(lambda: "Class 'Bog' in field 'lc' of layer 'points'" in page.why_not())


def test_classes_of_other_layers_are_not_written_into_the_chosen_one(page, polygons, add_points, qtbot):
    add_points()
    tick(page, qtbot, "points")
    qtbot.waitUntil(lambda: "elm" in classes(page))
    assert [one.name for one in page.labels.scheme()] == ["birch", "oak"]


def test_layer_that_is_renamed_is_listed_by_its_new_name(page, polygons, add_points, qtbot):
    points = add_points()
    tick(page, qtbot, "points")
    points.setName("unsure places")
    qtbot.waitUntil(lambda: page.labels.more.findText("unsure places") >= 0)
    assert [part.layer.id() for part in page.labels.more.parts()] == [points.id()]
