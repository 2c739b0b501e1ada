# SPDX-License-Identifier: GPL-3.0-or-later
"""What an analyst said of bands holds for like files, is remembered for new series, and is told there."""

from __future__ import annotations

import csv

import pytest
from osgeo import gdal
from qgis.core import QgsProject, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QApplication, QComboBox, QInputDialog, QLabel, QLineEdit, QPushButton

BGRN = ("blue", "green", "red", "nir")
FOUR = ("", "", "", "")


@pytest.fixture
def page(dock):
    return dock.series


@pytest.fixture
def add(add_raster, page, qtbot):
    """Adds a raster and ticks everything; its row."""

    def run(name, **options):
        layer = add_raster(name, **options)
        return ticked(page, qtbot, layer)

    return run


@pytest.fixture
def add_colors(write_raster, page, qtbot):
    """Adds a raster of nameless bands that GDAL knows as red, green, blue and, if four are wanted, alpha."""

    def run(name, count=3):
        path = write_raster(name, names=("",) * count)
        dataset = gdal.Open(str(path), gdal.GA_Update)
        colors = (gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand, gdal.GCI_AlphaBand)
        for number, color in enumerate(colors[:count], 1):
            dataset.GetRasterBand(number).SetColorInterpretation(color)
        dataset = None
        layer = QgsRasterLayer(str(path), path.stem, "gdal")
        QgsProject.instance().addMapLayer(layer)
        return ticked(page, qtbot, layer)

    return run


def ticked(page, qtbot, layer):
    qtbot.waitUntil(lambda: len(page.rows) == len(QgsProject.instance().mapLayers()))
    page.model.tick(range(len(page.rows)), True)
    qtbot.waitUntil(lambda: not page.file_dates.waits_for(page.rows))
    return next(row for row in page.rows if row.layer_id == layer.id())


def dialog(qtbot, name):
    def found():
        return [w for w in QApplication.topLevelWidgets() if w.objectName() == name and w.isVisible()]

    qtbot.waitUntil(lambda: bool(found()))
    return found()[0]


def say(page, qtbot, kind, roles):
    """Press the button of a finding, and choose roles by the boxes' keys."""
    button = page.findChild(QPushButton, f"timoSeriesProblemsFix_{kind}")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    asked = dialog(qtbot, "timoSeriesBands")
    for key, role in roles.items():
        box = asked.findChild(QComboBox, f"timoSeriesBand_{key}")
        box.setCurrentIndex(box.findData(role))
    asked.accept()
    qtbot.waitUntil(lambda: not asked.isVisible())


def say_four(page, qtbot, roles=BGRN):
    say(page, qtbot, "roles", {f"#{number}/4": role for number, role in enumerate(roles, 1)})


def new_series(page, qtbot):
    page.bar.actions_by_name["new"].trigger()
    asked = dialog(qtbot, "timoSeriesNew")
    assert isinstance(asked, QInputDialog)
    asked.accept()


def new_project(page, qtbot):
    QgsProject.instance().clear()
    qtbot.waitUntil(lambda: page.rows == [])


def kinds(page):
    return [finding.kind for finding in page.problems.findings if finding.kind not in ("few", "gap")]


def lines(page):
    with page.write().open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("start", [new_series, new_project])
def test_what_was_said_of_bands_holds_in_what_is_begun_next(page, add, qtbot, start):
    add("a_20200101.tif", names=FOUR)
    say_four(page, qtbot)
    start(page, qtbot)
    assert add("b_20200201.tif", names=FOUR).roles == BGRN
    assert [line["name"] for line in lines(page)][-4:] == list(BGRN)


def test_a_new_project_s_series_is_called_as_the_analyst_called_the_last(page, qtbot):
    line = page.findChild(QLineEdit, "timoSeriesName")
    line.selectAll()
    qtbot.keyClicks(line, "My fields")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    new_project(page, qtbot)
    assert page.store.names == ["My fields"]


def test_what_is_remembered_is_told_and_can_be_changed_for_good(page, add, qtbot):
    add("a_20200101.tif", names=FOUR)
    say_four(page, qtbot, ("blue", "green", "red", "-"))
    assert kinds(page) == []
    new_project(page, qtbot)
    add("b_20200201.tif", names=FOUR)
    assert kinds(page) == ["recalled"]
    told = page.findChild(QLabel, "timoSeriesProblems_recalled").text()
    assert told.startswith("What the bands of b_20200201 measure was taken from what you said before: ")
    assert told.endswith(": blue, green, red, not used.")
    assert page.why_not() == ""
    say(page, qtbot, "recalled", {"#1/4": "red", "#3/4": "blue", "#4/4": ""})
    assert kinds(page) == []
    assert page.rows[0].roles == ("red", "green", "blue", "")
    new_project(page, qtbot)
    assert add("c_20200301.tif", names=FOUR).roles == ("red", "green", "blue", "")


def test_what_is_remembered_is_told_until_it_is_confirmed(page, add, qtbot, tmp_path):
    add("a_20200101.tif", names=FOUR)
    say_four(page, qtbot)
    new_project(page, qtbot)
    add("b_20200201.tif", names=FOUR)
    assert QgsProject.instance().write(str(tmp_path / "p.qgz"))
    QgsSettings().remove("timo/bands")
    assert QgsProject.instance().read(str(tmp_path / "p.qgz"))
    qtbot.waitUntil(lambda: len(page.rows) == 1 and kinds(page) == ["recalled"])
    assert page.rows[0].roles == BGRN, "the project keeps it"
    say(page, qtbot, "recalled", {})
    assert (kinds(page), page.rows[0].roles) == ([], BGRN)


@pytest.mark.parametrize("start", [lambda *_: None, new_project])
def test_nameless_bands_of_other_products_are_not_taken_for_those(page, add, add_colors, qtbot, start):
    add("a_20200101.tif", names=FOUR)
    say_four(page, qtbot)
    start(page, qtbot)
    assert add_colors("photo_20200201.tif").roles == ("red", "green", "blue")
    assert add_colors("alpha_20200301.tif", 4).roles == ("red", "green", "blue", "-")
    assert add("ten_20200401.tif", names=("",) * 10).roles == ("",) * 10
    assert add("S2_20200501.tif", names=FOUR).roles == FOUR
    assert add("named_20200601.tif", names=("red", "", "", "")).roles == ("red", "", "", "")


def test_colours_of_a_file_can_be_corrected_in_its_series_and_stand_in_the_next(page, add_colors, qtbot):
    row = add_colors("photo_20200101.tif")
    page.fixes.map_bands([row.layer_id])
    asked = dialog(qtbot, "timoSeriesBands")
    box = asked.findChildren(QComboBox)[0]
    assert box.currentData() == "red" and "photo_20200101" in box.toolTip()
    box.setCurrentIndex(box.findData("nir"))
    asked.accept()
    assert page.rows[0].roles == ("nir", "green", "blue")
    new_project(page, qtbot)
    assert add_colors("photo_20200201.tif").roles == ("red", "green", "blue")
    assert kinds(page) == []


def test_what_was_remembered_by_the_number_alone_is_dropped_and_by_names_taken(page, add, qtbot, dock):
    dock.shared.settings.save(bands={"": {"#1": "red", "#2": "nir", "mir": "swir1"}, "planet": 3})
    new_project(page, qtbot)
    assert add("a_20200101.tif", names=("", "")).roles == ("", "")
    say(page, qtbot, "roles", {"#1/2": "green"})
    assert add("b_20200201.tif", names=("mir", "red")).roles == ("swir1", "red")
    assert QgsSettings().value("timo/bands") and dock.shared.settings.bands[""]["#1/2"] == "green"


def test_bands_of_two_products_are_told_apart_in_the_dialog(page, add, qtbot):
    add("a_20200101.tif", names=("", ""))
    row = add("b_20200201.tif", names=("", "", ""))
    page.fixes.map_bands([row.layer_id])
    asked = dialog(qtbot, "timoSeriesBands")
    titles = [w.text() for w in asked.findChildren(QLabel) if w.buddy()]
    assert titles == [f"Band {n} of 3" for n in (1, 2, 3)] + [f"Band {n} of 2" for n in (1, 2)]
    asked.reject()


def test_alpha_is_no_band_that_a_job_could_read(page, add_colors, qtbot):
    row = add_colors("photo_20200101.tif", 4)
    page.fixes.map_bands([row.layer_id])
    asked = dialog(qtbot, "timoSeriesBands")
    box = asked.findChildren(QComboBox)[0]
    box.setCurrentIndex(box.findData("nir"))
    asked.accept()
    assert [(line["band"], line["name"]) for line in lines(page)] == [
        ("1", "nir"), ("2", "green"), ("3", "blue"),
    ]  # fmt: skip


def test_a_processing_algorithm_tells_what_it_took_from_memory(page, add, qtbot, dock, package, tmp_path):
    from qgis.core import QgsProcessingFeedback
    from timo_qgis.processing.request import Request
    from timo_qgis.processing.series_layers import SeriesLayers

    add("a_20200101.tif", names=FOUR)
    say_four(page, qtbot)
    new_project(page, qtbot)
    row = add("b_20200201.tif", names=FOUR)
    feedback = QgsProcessingFeedback()
    layers = SeriesLayers([QgsProject.instance().mapLayer(row.layer_id)])
    Request({}, layers).write(dock.shared.settings, feedback)
    assert "b_20200201 measure was taken from what you said before: blue" in feedback.textLog()
