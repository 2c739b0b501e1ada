# SPDX-License-Identifier: GPL-3.0-or-later
"""From a result's layer: how it was made, the same again, compare, export, and where to label next."""

from __future__ import annotations

import json

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsMapLayerType,
    QgsProject,
    QgsVectorLayer,
)
from qgis.PyQt.QtWidgets import QApplication, QMessageBox, QPushButton

CLASSES = {1: ("wood", (0, 100, 0)), 2: ("field & meadow", (200, 200, 0))}


@pytest.fixture
def job(tmp_path, make_map, make_floats):
    """Paths of a finished job's map and confidence, whose tags say how they were made."""
    series = tmp_path / "series.csv"
    series.write_text("path,date\n")
    (tmp_path / "woods").mkdir()
    spec = {
        "series": [str(series)],
        "model": str(tmp_path / "woods"),
        "out": str(tmp_path / "map.tif"),
        "confidence": str(tmp_path / "map-confidence.tif"),
        "batch": 4,
    }
    tags = {
        "TIMO_MODEL": "woods <b>2020</b>",
        "TIMO_MODEL_SHA256": "ab" * 32,
        "TIMO_DATES": "2020-01-15, 2020-02-15",
        "TIMO_SOURCES": "a.tif (12 bytes)",
        "TIMO_VERSIONS": "timo 0.1, GDAL 3.8",
        "TIMO_SPEC": json.dumps(spec),
    }
    values = np.full((40, 60), 1)
    values[:, 30:] = 2
    confidence = np.random.default_rng(0).uniform(0.5, 1, values.shape)
    confidence[7, 50] = 0.2
    return {
        "map": str(make_map("map.tif", values, CLASSES, tags)),
        "confidence": str(make_floats("map-confidence.tif", confidence)),
    }


@pytest.fixture
def layers(dock, job, iface):
    from timo_qgis.layers.results import add_results, read_results

    added = list(add_results(QgsProject.instance(), read_results(job)[0], "job-1", "map"))
    iface.active = added[0]
    return added


@pytest.fixture
def choose(dock, layers, iface, qtbot):
    """Picks an entry of the layer's menu and gives the window that opens."""

    def choose(entry, window, layer=0):
        iface.active = layers[layer]
        dock.results.actions[entry].trigger()
        found = []

        def there():
            found[:] = iface.window.findChildren(window)
            return bool(found)

        qtbot.waitUntil(there)
        return found[0]

    return choose


def test_results_have_the_entries_that_fit_them_and_other_layers_have_none(
    dock, layers, iface, add_raster, make_labels
):
    add_raster("S2_20200101.tif")
    make_labels([("wood", (0, 0, 2, 2))])
    raster = QgsMapLayerType.RasterLayer
    offered = {name: iface.layer_actions[action][raster] for name, action in dock.results.actions.items()}
    class_map, confidence = (layer.id() for layer in layers)
    assert offered == {
        "Place": [class_map, confidence],
        "Unsure": [class_map, confidence],
        "Compare": [class_map],
        "Export": [class_map, confidence],
        "Made": [class_map, confidence],
        "Again": [class_map, confidence],
    }


def test_unloaded_the_plugin_leaves_no_entry(package, iface, qtbot):
    plugin = package.classFactory(iface)
    plugin.initGui()
    plugin.open()
    assert iface.layer_actions
    plugin.unload()
    assert not iface.layer_actions


def test_how_it_was_made_is_told_and_copied_as_plain_text(choose, package):
    from timo_qgis.gui.made_dialog import MadeDialog

    dialog = choose("Made", MadeDialog)
    shown = dialog.text.toPlainText()
    dialog.findChild(QPushButton, "timoMadeCopy").click()
    for text in (shown, QApplication.clipboard().text()):
        for fact in (
            "woods <b>2020</b>",
            "ab" * 32,
            "2020-02-15",
            "a.tif",
            "GDAL 3.8",
            "job-1",
            "field & meadow",
        ):
            assert fact in text
        assert "series.csv" in text and "map.tif" in text


def test_run_again_submits_the_same_with_a_name_that_is_free(choose, dock, package, monkeypatch, qtbot):
    from timo_qgis.gui.made_dialog import MadeDialog

    sent = []
    monkeypatch.setattr(dock.shared.backend, "submit", lambda task, spec: sent.append((task, spec)) or "key")
    choose("Made", MadeDialog).repeat.click()
    qtbot.waitUntil(lambda: bool(sent))
    task, spec = sent[0]
    assert task == "predict" and spec["batch"] == 4
    assert spec["out"].endswith("map-2.tif") and spec["confidence"].endswith("map-2-confidence.tif")
    assert dock.tabs.currentWidget() is dock.predict


def test_run_again_says_what_is_gone(dock, layers, iface, tmp_path, qtbot):
    (tmp_path / "series.csv").unlink()
    dock.results.actions["Again"].trigger()
    qtbot.waitUntil(
        lambda: iface.bar.currentItem() is not None and "series.csv" in iface.bar.currentItem().text()
    )


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
    mine.setCustomProperty("timo/labels", [str(tmp_path / "copy.gpkg"), "0", "cover"])
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


def test_compare_gives_a_layer_and_a_table_of_hectares(choose, make_map, package, qtbot):
    from timo_qgis.gui.compare_dialog import CompareDialog
    from timo_qgis.layers.results import add_results, read_results

    values = np.full((40, 60), 1)
    values[:, 30:] = 2
    values[:10, :10] = 2
    path = make_map("later.tif", values, CLASSES)
    list(add_results(QgsProject.instance(), read_results({"map": str(path)})[0], "job-2", "later"))
    dialog = choose("Compare", CompareDialog)
    dialog.before.setCurrentText("map")
    dialog.after.setCurrentText("later")
    dialog.go.click()
    qtbot.waitUntil(lambda: dialog.table.rowCount() == 2)
    cells = [[dialog.table.item(row, column).text() for column in range(3)] for row in range(2)]
    assert cells == [["wood", "field & meadow", "1.00"], ["unchanged", "", "23.02"]]
    layer = QgsProject.instance().layerTreeRoot().children()[0].layer()
    assert layer.name() == "map → later"
    assert [one.label for one in layer.renderer().classes()] == ["wood → field & meadow"]
    dialog.copy.click()
    assert "wood\tfield & meadow\t1.00" in QApplication.clipboard().text()


def test_compare_wants_two_maps(choose, package):
    from timo_qgis.gui.compare_dialog import CompareDialog

    dialog = choose("Compare", CompareDialog)
    assert not dialog.go.isEnabled() and "another class map" in dialog.message.text()


def test_export_as_polygons_brings_them_in_the_maps_colours(choose, package, tmp_path, qtbot):
    from timo_qgis.gui.export_dialog import ExportDialog

    dialog = choose("Export", ExportDialog)
    dialog.form.setCurrentIndex(2)
    assert dialog.target.filePath() == str(tmp_path / "map-export.gpkg")
    dialog.go.click()
    project = QgsProject.instance()
    qtbot.waitUntil(lambda: bool(project.mapLayersByName("map-export")))
    layer = project.mapLayersByName("map-export")[0]
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert {(c.label(), c.symbol().color().getRgb()[:3]) for c in layer.renderer().categories()} == set(
        CLASSES.values()
    )
    assert layer.featureCount() == 2


def test_export_asks_before_a_file_is_replaced(choose, package, tmp_path, monkeypatch, qtbot):
    from timo_qgis.gui.export_dialog import ExportDialog

    target = tmp_path / "mine.tif"
    target.write_text("mine")
    dialog = choose("Export", ExportDialog)
    dialog.target.setFilePath(str(target))
    dialog.add.setChecked(False)
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    dialog.go.click()
    assert target.read_text() == "mine" and not dialog.busy
    dialog.go.click()
    qtbot.waitUntil(lambda: gdal.OpenEx(str(target)) is not None)


def test_export_clips_to_a_layers_polygons(choose, package, make_labels, tmp_path, qtbot):
    from timo_qgis.gui.export_dialog import ExportDialog

    make_labels([("x", (0, 0, 20, 10))], name="frame")
    dialog = choose("Export", ExportDialog, layer=1)
    dialog.area.choose("layer")
    dialog.go.click()
    qtbot.waitUntil(lambda: bool(QgsProject.instance().mapLayersByName("map-confidence-export")))
    layer = QgsProject.instance().mapLayersByName("map-confidence-export")[0]
    assert (layer.width(), layer.height()) == (20, 10)


def test_a_finished_jobs_box_offers_the_same(dock, layers, package):
    from timo_qgis.backend.jobs import JobView

    assert not dock.more.isVisibleTo(dock)
    dock.more.show_job(JobView("job-1", task="predict", state="succeeded"))
    dock.more.menu().aboutToShow.emit()
    texts = {entry.text(): entry.isEnabled() for entry in dock.more.menu().actions()}
    assert texts == {
        "Ask a place": True,
        "Where is it unsure?": True,
        "Compare…": True,
        "Export…": True,
        "Show how this was made": True,
        "Run again": True,
    }
    dock.more.show_job(JobView("job-9", task="predict", state="succeeded"))
    dock.more.menu().aboutToShow.emit()
    assert not any(entry.isEnabled() for entry in dock.more.menu().actions() if not entry.isSeparator())


def test_layer_that_processing_dresses_after_it_was_added_has_the_entries(dock, job, iface, package):
    from qgis.core import QgsRasterLayer
    from timo_qgis.layers.results import dress, read_results

    layer = QgsRasterLayer(job["map"], "map", "gdal")
    QgsProject.instance().addMapLayer(layer)
    dress(layer, read_results(job)[0][0], "job-1", "map")
    for action in dock.results.actions.values():
        assert iface.layer_actions[action][QgsMapLayerType.RasterLayer] == [layer.id()]


def test_compare_names_a_map_that_is_gone(choose, make_map, layers, package, qtbot):
    from timo_qgis.gui.compare_dialog import CompareDialog
    from timo_qgis.layers.results import add_results, read_results

    path = make_map("later.tif", np.full((40, 60), 1), CLASSES)
    (later,) = add_results(QgsProject.instance(), read_results({"map": str(path)})[0], "job-2", "later")
    dialog = choose("Compare", CompareDialog)
    QgsProject.instance().removeMapLayer(later.id())
    dialog.go.click()
    assert "removed from the project" in dialog.message.text() and not dialog.busy


def test_compared_maps_may_be_removed_meanwhile(choose, make_map, layers, package, qtbot):
    from timo_qgis.gui.compare_dialog import CompareDialog
    from timo_qgis.layers.results import add_results, read_results

    path = make_map("later.tif", np.full((40, 60), 1), CLASSES)
    (later,) = add_results(QgsProject.instance(), read_results({"map": str(path)})[0], "job-2", "later")
    dialog = choose("Compare", CompareDialog)
    dialog.before.setCurrentText("map")
    dialog.after.setCurrentText("later")
    dialog.go.click()
    QgsProject.instance().removeMapLayer(later.id())
    qtbot.waitUntil(lambda: bool(QgsProject.instance().mapLayersByName("map → later")))


def test_export_refuses_a_file_that_a_layer_shows(choose, layers, package):
    from timo_qgis.gui.export_dialog import ExportDialog

    dialog = choose("Export", ExportDialog)
    dialog.target.setFilePath(str(layers[1].source()))
    assert "shown by layer" in dialog.message.text() and not dialog.go.isEnabled()
