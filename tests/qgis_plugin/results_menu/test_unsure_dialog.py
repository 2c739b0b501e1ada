# SPDX-License-Identifier: GPL-3.0-or-later
"""From a result's layer: where to label next, and to learn from that and from what was labelled before."""

from __future__ import annotations

import json

import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtWidgets import QPushButton


def test_unsure_places_become_a_layer_on_top_with_a_class_to_pick(choose, layers, iface, dock, qtbot):
    from timo_qgis.gui.unsure_dialog import UnsureDialog

    iface.canvas.setDestinationCrs(layers[0].crs())
    iface.canvas.setExtent(layers[0].extent().buffered(1e4))
    dialog = choose("Unsure", UnsureDialog)
    dialog.count.setValue(6)
    dialog.distance.setValue(8)
    dialog.each.setChecked(False)
    dialog.go.click()
    root = QgsProject.instance().layerTreeRoot()
    qtbot.waitUntil(lambda: isinstance(getattr(root.children()[0], "layer", lambda: None)(), QgsVectorLayer))
    layer = root.children()[0].layer()
    rows = sorted(layer.getFeatures(), key=lambda feature: feature["rank"])
    assert len(rows) == 6
    assert rows[0]["confidence"] == pytest.approx(0.2) and rows[0]["predicted"] == "field & meadow"
    point = rows[0].geometry().asPoint()
    assert (point.x(), point.y()) == (500000 + 10 * 50.5, 5000000 - 10 * 7.5)
    setup = layer.editorWidgetSetup(layer.fields().lookupField("class"))
    assert setup.type() == "ValueMap"
    assert setup.config()["map"] == [{"wood": "wood"}, {"field & meadow": "field & meadow"}]
    assert iface.canvas.extent().contains(point) and iface.canvas.extent().width() < 1000
    assert iface.active is layer
    layer.startEditing()
    assert layer.changeAttributeValue(rows[0].id(), layer.fields().lookupField("class"), "wood")
    assert layer.commitChanges()
    iface.bar.currentItem().findChild(QPushButton).click()
    assert dock.tabs.currentWidget() is dock.train


@pytest.fixture
def told():
    """What is written to the log."""
    lines = []
    messages = QgsApplication.messageLog().messageReceived[str, str, "Qgis::MessageLevel"]
    messages.connect(keep := lambda text, *_: lines.append(text))
    yield lines
    messages.disconnect(keep)


@pytest.fixture
def find_places(choose, package, qtbot):
    """Finds unsure places; gives their layer."""
    from timo_qgis.gui.unsure_dialog import UnsureDialog

    def find(name="map-unsure"):
        choose("Unsure", UnsureDialog).go.click()
        found = QgsProject.instance().mapLayersByName
        qtbot.waitUntil(lambda: bool(found(name)))
        return found(name)[0]

    return find


def learnt(dock):
    return [part.layer.name() for part in dock.train.labels.parts()]


def test_unsure_places_are_learnt_together_with_the_labels_of_the_train_page(
    find_places, dock, iface, make_labels, told, qtbot
):
    make_labels([("wood", (0, 0, 2, 2)), ("reeds", (4, 4, 6, 6))])
    qtbot.waitUntil(lambda: bool(dock.train.labels.counts))
    find_places()
    assert learnt(dock) == ["fields", "map-unsure"]
    assert any("The Train page learns from 'fields' and these points together." in line for line in told)
    iface.bar.currentItem().findChild(QPushButton).click()
    assert dock.tabs.currentWidget() is dock.train
    qtbot.waitUntil(lambda: "3 features have no class" in dock.train.labels.checks.text())
    find_places("map-unsure-2")
    assert learnt(dock) == ["fields", "map-unsure", "map-unsure-2"]


def test_unsure_places_are_learnt_together_with_the_labels_of_the_maps_model(
    find_places, dock, make_labels, told, tmp_path, qtbot
):
    mine = make_labels([("wood", (0, 0, 2, 2)), ("field & meadow", (4, 4, 6, 6))], name="2020", field="cover")
    other = make_labels([("wood", (0, 0, 2, 2)), ("reeds", (4, 4, 6, 6))], name="another")
    mine.setCustomProperty("timo/labels", [str(tmp_path / "copy.gpkg"), "0", "1", "cover"])
    spec = {"labels": str(tmp_path / "copy.gpkg"), "class_field": "cover"}
    (tmp_path / "woods" / "model.json").write_text(json.dumps({"training": {"spec": spec}}))
    dock.train.labels.layers.setLayer(other)
    find_places()
    assert learnt(dock) == ["2020", "map-unsure"]
    assert dock.train.labels.field.currentField() == "cover"
    assert any("learns from '2020' and these points together" in line for line in told)


def test_unsure_places_are_not_mixed_with_a_layer_of_other_things(
    find_places, dock, make_labels, told, qtbot
):
    make_labels([("Riverside", (0, 0, 2, 2)), ("Hilltown", (4, 4, 6, 6))], name="towns")
    qtbot.waitUntil(lambda: bool(dock.train.labels.counts))
    find_places()
    assert learnt(dock) == ["map-unsure"]
    assert any("your other labels: tick both on the Train page" in line for line in told)


def test_map_without_confidence_says_what_to_tick(choose, tmp_path, package, qtbot):
    from timo_qgis.gui.unsure_dialog import UnsureDialog

    (tmp_path / "map-confidence.tif").unlink()
    dialog = choose("Unsure", UnsureDialog)
    dialog.go.click()
    qtbot.waitUntil(lambda: "Confidence ticked" in dialog.message.text())
    assert dialog.go.isEnabled()


def test_unsure_places_of_a_map_that_was_clipped_and_that_the_grids_differ_is_said(
    choose, layers, dock, job, told, tmp_path, package, qtbot
):
    from timo_qgis.gui.unsure_dialog import UnsureDialog
    from timo_qgis.layers.results import dress, read_results

    clip = str(tmp_path / "clip.tif")
    gdal.Translate(clip, job["map"], srcWin=[30, 0, 30, 20])
    result = read_results({"map": clip})[0][0]
    layers[0] = QgsRasterLayer(clip, "clip", "gdal")
    dress(layers[0], result, "", "clip")
    QgsProject.instance().addMapLayer(layers[0])
    choose("Unsure", UnsureDialog).go.click()
    found = QgsProject.instance().mapLayersByName
    qtbot.waitUntil(lambda: bool(found("clip-unsure")))
    first = min(found("clip-unsure")[0].getFeatures(), key=lambda feature: feature["rank"])
    assert first["confidence"] == pytest.approx(0.2) and first["predicted"] == "field & meadow"
    assert any("differ in their grids" in line for line in told)
