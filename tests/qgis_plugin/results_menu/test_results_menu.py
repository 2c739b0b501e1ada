# SPDX-License-Identifier: GPL-3.0-or-later
"""From a result's layer: how it was made, the same again, compare, export."""

from __future__ import annotations

import numpy as np
from osgeo import gdal
from qgis.core import QgsCategorizedSymbolRenderer, QgsMapLayerType, QgsProject
from qgis.PyQt.QtWidgets import QApplication, QMessageBox, QPushButton


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


def test_compare_gives_a_layer_and_a_table_of_hectares(choose, make_map, package, qtbot, classes):
    from timo_qgis.gui.compare_dialog import CompareDialog
    from timo_qgis.layers.results import add_results, read_results

    values = np.full((40, 60), 1)
    values[:, 30:] = 2
    values[:10, :10] = 2
    path = make_map("later.tif", values, classes)
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


def test_maps_of_two_dates_of_one_job_are_compared_the_earlier_with_the_later(
    dock, make_map, iface, package, qtbot, classes, tmp_path
):
    from timo_qgis.gui.compare_dialog import CompareDialog
    from timo_qgis.layers.results import add_results, read_results

    values = np.full((40, 60), 1)
    outputs = {"map": str(make_map("map.tif", values, classes)), "maps_per_date": str(tmp_path / "map-dates")}
    (tmp_path / "map-dates").mkdir()
    for number, date in enumerate(("2020-01-15", "2020-02-15", "2020-03-01")):
        values[:, : 10 * number] = 2
        make_map(f"map-dates/map_{date.replace('-', '')}.tif", values, classes, {"TIMO_DATE": date})
    layers = list(add_results(QgsProject.instance(), read_results(outputs)[0], "job-1", "wood 2020"))
    dated = {layer.name(): layer for layer in layers if layer.name() != "map"}

    def asked(name):
        iface.active = dated[name]
        dock.results.actions["Compare"].trigger()
        qtbot.waitUntil(lambda: bool(iface.window.findChildren(CompareDialog)))
        (dialog,) = iface.window.findChildren(CompareDialog)
        return dialog

    names = sorted(dated)
    dialog = asked(names[0])  # the first date has none before it
    assert (dialog.before.currentText(), dialog.after.currentText()) == (
        f"wood 2020, {names[0]}",
        f"wood 2020, {names[1]}",
    )
    dialog.reject()
    qtbot.waitUntil(lambda: not iface.window.findChildren(CompareDialog))
    dialog = asked(names[2])
    assert dialog.before.currentText() == f"wood 2020, {names[1]}"
    dialog.go.click()
    qtbot.waitUntil(lambda: dialog.table.rowCount() == 2)
    assert [dialog.table.item(0, column).text() for column in range(3)] == ["wood", "field & meadow", "4.00"]


def test_compare_says_how_much_of_maps_with_other_extents_it_compared(
    choose, make_map, package, qtbot, classes
):
    from timo_qgis.gui.compare_dialog import CompareDialog
    from timo_qgis.layers.results import add_results, read_results

    path = make_map("later.tif", np.full((50, 30), 1), classes)  # half as wide, and longer
    list(add_results(QgsProject.instance(), read_results({"map": str(path)})[0], "job-2", "later"))
    dialog = choose("Compare", CompareDialog)
    dialog.before.setCurrentText("map")
    dialog.after.setCurrentText("later")
    dialog.go.click()
    qtbot.waitUntil(lambda: dialog.table.rowCount() == 1)
    assert dialog.message.text() == (
        "The two maps are the same wherever both have data. The grids differ: 12.01 ha were compared, which "
        "is 50 % of the earlier map, on its pixels (nearest neighbour)."
    )


def test_compare_wants_two_maps(choose, package):
    from timo_qgis.gui.compare_dialog import CompareDialog

    dialog = choose("Compare", CompareDialog)
    assert not dialog.go.isEnabled() and "another class map" in dialog.message.text()


def test_export_as_polygons_brings_them_in_the_maps_colours(choose, package, tmp_path, qtbot, classes):
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
        classes.values()
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


def test_compare_names_a_map_that_is_gone(choose, make_map, layers, package, qtbot, classes):
    from timo_qgis.gui.compare_dialog import CompareDialog
    from timo_qgis.layers.results import add_results, read_results

    path = make_map("later.tif", np.full((40, 60), 1), classes)
    (later,) = add_results(QgsProject.instance(), read_results({"map": str(path)})[0], "job-2", "later")
    dialog = choose("Compare", CompareDialog)
    QgsProject.instance().removeMapLayer(later.id())
    dialog.go.click()
    assert "removed from the project" in dialog.message.text() and not dialog.busy


def test_compared_maps_may_be_removed_meanwhile(choose, make_map, layers, package, qtbot, classes):
    from timo_qgis.gui.compare_dialog import CompareDialog
    from timo_qgis.layers.results import add_results, read_results

    path = make_map("later.tif", np.full((40, 60), 1), classes)
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
