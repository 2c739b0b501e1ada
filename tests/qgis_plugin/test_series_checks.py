# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a series stands below its table, with a button that mends it."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterRange
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QApplication, QComboBox, QDialog, QInputDialog, QPushButton

FULL = np.full((4, 40, 40), 500, np.uint16)


@pytest.fixture
def page(dock, qtbot):
    return dock.series


@pytest.fixture
def add(add_raster, page, qtbot):
    """Adds rasters and ticks everything: ``add("a_20200101.tif", ...)``; options hold for all."""

    def run(*names, **options):
        layers = [add_raster(name, **options) for name in names]
        qtbot.waitUntil(lambda: len(page.rows) == len(QgsProject.instance().mapLayers()))
        page.model.tick(range(len(page.rows)), True)
        qtbot.waitUntil(lambda: not page.file_dates.waits_for(page.rows))
        return layers

    return run


def kinds(page):
    return [finding.kind for finding in page.problems.findings]


def fix(qtbot, page, kind):
    button = page.findChild(QPushButton, f"timoSeriesProblemsFix_{kind}")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def dialog(qtbot, name):
    def found():
        return [w for w in QApplication.topLevelWidgets() if w.objectName() == name and w.isVisible()]

    qtbot.waitUntil(lambda: bool(found()))
    return found()[0]


def lines(page):
    with page.write().open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def move(path, x):
    dataset = gdal.Open(str(path), gdal.GA_Update)
    dataset.SetGeoTransform((x, 10, 0, 5000000, 0, -10))
    dataset = None


def strip(path):
    """Take its coordinate system away."""
    dataset = gdal.Open(str(path), gdal.GA_Update)
    dataset.SetProjection("")
    dataset = None


def add_changed(qtbot, page, write_raster, change, name, **options):
    from qgis.core import QgsRasterLayer

    path = write_raster(name, **options)
    change(path)
    layer = QgsRasterLayer(str(path), path.stem, "gdal")
    QgsProject.instance().addMapLayer(layer)
    qtbot.waitUntil(lambda: any(row.layer_id == layer.id() for row in page.rows))
    page.model.tick_layers([layer.id()], True)
    return layer


def test_a_sound_series_has_nothing_to_say(add, page, qtbot):
    add("S2_20200101.tif", "S2_20200201.tif", "S2_20200301.tif")
    assert kinds(page) == []
    assert page.problems.isHidden()


def test_duplicates_are_mended_by_keeping_the_first(add, page, qtbot):
    add("a_20200101.tif", "b_20200101.tif", "c_20200201.tif")
    assert kinds(page) == ["duplicate"]
    assert page.why_not()
    fix(qtbot, page, "duplicate")
    assert kinds(page) == []
    assert page.date_count() == 2
    qtbot.waitUntil(lambda: page.why_not() == "")


def test_a_missing_date_is_typed_where_the_button_leads(add, page, qtbot):
    add("S2_20200101.tif", "summer.tif")
    assert kinds(page) == ["no_date"]
    fix(qtbot, page, "no_date")
    editor = page.view.indexWidget(page.view.currentIndex())
    qtbot.keyClicks(editor, "2020-06-30")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: kinds(page) == [])


def test_a_missing_coordinate_system_is_set_and_told_to_the_job(add, page, qtbot, write_raster):
    add("S2_20200101.tif", "S2_20200201.tif")
    layer = add_changed(qtbot, page, write_raster, strip, "S2_20200301.tif")
    layer.setCrs(QgsCoordinateReferenceSystem())
    page.model.refresh()
    assert kinds(page) == ["no_crs"]
    assert "S2_20200301" in page.why_not()
    fix(qtbot, page, "no_crs")
    chooser = dialog(qtbot, "timoSeriesCrs")
    assert chooser.crs().authid() == "EPSG:32631"  # that of the others is offered
    chooser.accept()
    qtbot.waitUntil(lambda: kinds(page) == [])
    told = {line["path"].rsplit("/", 1)[-1]: line["crs"] for line in lines(page)}
    assert told == {"S2_20200101.tif": "", "S2_20200201.tif": "", "S2_20200301.tif": "EPSG:32631"}


def test_a_layer_elsewhere_is_named_and_unticked(add, page, qtbot, write_raster):
    add("S2_20200101.tif", "S2_20200201.tif")
    add_changed(qtbot, page, write_raster, lambda path: move(path, 700000), "S2_20200301.tif")
    assert kinds(page) == ["apart"]
    fix(qtbot, page, "apart")
    assert kinds(page) == []
    assert page.date_count() == 2


def test_grids_that_differ_are_told_and_need_no_fix(add, page, qtbot, write_raster):
    add("S2_20200101.tif", "S2_20200201.tif")
    add_changed(qtbot, page, write_raster, lambda path: move(path, 500020), "S2_20200301.tif")
    assert kinds(page) == ["grids"]
    qtbot.waitUntil(lambda: page.why_not() == "")


def test_zeros_without_a_nodata_value_are_noticed_and_told_to_the_job(add, page, qtbot):
    values = FULL.copy()
    values[:, :, :10] = 0
    add("a_20200101.tif", "a_20200201.tif", values=values)
    qtbot.waitUntil(lambda: "2 layers" in page.problems.text())  # they are counted one after the other
    assert kinds(page) == ["nodata"] and "25 %" in page.problems.text()
    fix(qtbot, page, "nodata")
    asked = dialog(qtbot, "timoSeriesNodata")
    assert isinstance(asked, QInputDialog)
    asked.accept()
    qtbot.waitUntil(lambda: kinds(page) == [])
    assert {line["nodata"] for line in lines(page)} == {"0"}
    qtbot.waitUntil(lambda: [row.clear for row in page.rows] == [0.75, 0.75])


def test_nodata_added_in_qgis_to_a_file_that_has_one_is_not_told_to_the_job_but_to_the_analyst(
    page, qtbot, write_raster
):
    def own(path):
        dataset = gdal.Open(str(path), gdal.GA_Update)
        for band in range(1, 5):
            dataset.GetRasterBand(band).SetNoDataValue(65535)
        dataset = None

    layer = add_changed(qtbot, page, write_raster, own, "a_20200101.tif", values=FULL)
    add_changed(qtbot, page, write_raster, own, "a_20200201.tif", values=FULL)
    assert kinds(page) == []
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(0, 0)])
    page.model.refresh()
    assert kinds(page) == ["two_nodata"] and "Jobs take 0" in page.problems.text()
    qtbot.waitUntil(lambda: page.why_not() == "")
    assert {line.get("nodata", "") for line in lines(page)} == {""}
    layer.dataProvider().setUseSourceNoDataValue(1, False)  # the one in QGIS is in place of the file's
    page.model.refresh()
    assert kinds(page) == []
    assert [line["nodata"] for line in lines(page)] == ["0", ""]


def test_nameless_bands_are_mapped_once_and_the_job_gets_their_roles(add, page, qtbot, dock):
    add("a_20200101.tif", "a_20200201.tif", names=("", "", "", ""))
    assert kinds(page) == ["roles"]
    fix(qtbot, page, "roles")
    asked = dialog(qtbot, "timoSeriesBands")
    for key, role in (("#1/4", "blue"), ("#2/4", "green"), ("#3/4", "red"), ("#4/4", "-")):
        box = asked.findChild(QComboBox, f"timoSeriesBand_{key}")
        box.setCurrentIndex(box.findData(role))
    asked.accept()
    assert kinds(page) == []
    first = [line for line in lines(page) if line["date"] == "2020-01-01"]
    assert [(line["band"], line["name"]) for line in first] == [("1", "blue"), ("2", "green"), ("3", "red")]
    assert dock.shared.settings.bands[""] == {"#1/4": "blue", "#2/4": "green", "#3/4": "red", "#4/4": "-"}


def test_a_cancelled_mapping_changes_nothing(add, page, qtbot):
    add("a_20200101.tif", "a_20200201.tif", names=("", ""))
    fix(qtbot, page, "roles")
    asked = dialog(qtbot, "timoSeriesBands")
    box = asked.findChild(QComboBox, "timoSeriesBand_#1/2")
    box.setCurrentIndex(box.findData("red"))
    asked.done(QDialog.DialogCode.Rejected)
    assert kinds(page) == ["roles"]
    assert set(lines(page)[0]) == {"path", "date"}


def test_a_file_with_other_bands_than_the_rest_is_named(add, page, qtbot):
    add("S2_20200101.tif", "S2_20200201.tif")
    add("S2_20200301.tif", names=("blue", "green"))
    assert kinds(page) == ["bands"]
    assert "S2_20200301" in page.problems.text()
    qtbot.waitUntil(lambda: page.why_not() == "")


def test_one_date_is_too_few(add, page, qtbot):
    add("S2_20200101.tif")
    assert kinds(page) == ["few"]
    qtbot.mouseClick(page.findChild(QPushButton, "timoSeriesProblemsFix_few"), Qt.MouseButton.LeftButton)
    assert page.add.menu().isVisible()
    page.add.menu().close()


def test_the_longest_gap_is_told(add, page, qtbot):
    add("S2_20200101.tif", "S2_20200111.tif", "S2_20200121.tif", "S2_20200601.tif")
    assert kinds(page) == ["gap"]
    assert "132 days, from 2020-01-21 to 2020-06-01" in page.problems.text()


def test_a_file_that_is_gone_is_unticked(add, page, qtbot, tmp_path):
    from qgis.core import QgsRasterLayer

    add("S2_20200101.tif", "S2_20200201.tif")
    layer = QgsRasterLayer(str(tmp_path / "gone_20210101.tif"), "gone_20210101", "gdal")
    QgsProject.instance().addMapLayer(layer)
    qtbot.waitUntil(lambda: len(page.rows) == 3)
    page.model.tick_layers([layer.id()], True)
    assert kinds(page) == ["no_file"]
    fix(qtbot, page, "no_file")
    assert kinds(page) == []
