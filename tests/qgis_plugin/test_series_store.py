# SPDX-License-Identifier: GPL-3.0-or-later
"""A project keeps several series by name, and projects of the time before names still open right."""

from __future__ import annotations

import datetime as dt

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QApplication, QComboBox, QInputDialog, QLineEdit, QMessageBox

DATE, SENSOR = 1, 2


@pytest.fixture
def page(twelve_dates, dock, qtbot):
    qtbot.waitUntil(lambda: len(dock.series.rows) == 12)
    return dock.series


def menu(page, name):
    page.bar.actions_by_name[name].trigger()


def dialog(qtbot, kind, name):
    def found():
        return [w for w in QApplication.topLevelWidgets() if w.objectName() == name and w.isVisible()]

    qtbot.waitUntil(lambda: bool(found()))
    assert isinstance(found()[0], kind)
    return found()[0]


def make(page, qtbot, name):
    menu(page, "new")
    asked = dialog(qtbot, QInputDialog, "timoSeriesNew")
    asked.setTextValue(name)
    asked.accept()


def choose(page, name):
    box = page.findChild(QComboBox, "timoSeriesChooser")
    box.setCurrentIndex(box.findText(name))
    box.activated[int].emit(box.currentIndex())


def type_name(page, qtbot, name):
    line = page.findChild(QLineEdit, "timoSeriesName")
    line.selectAll()
    qtbot.keyClicks(line, name)
    qtbot.keyClick(line, Qt.Key.Key_Return)


def reopen(qtbot, page, path):
    project = QgsProject.instance()
    assert project.write(str(path))
    project.clear()
    qtbot.waitUntil(lambda: page.rows == [])
    assert page.store.names == ["series"]
    assert project.read(str(path))
    qtbot.waitUntil(lambda: len(page.rows) == 12)


def test_each_series_has_ticks_dates_and_sensors_of_its_own(page, qtbot):
    model = page.view.model()
    page.model.tick(range(5), True)
    make(page, qtbot, "late")
    assert page.date_count() == 0
    page.model.tick([11], True)
    model.setData(model.index(11, DATE), "2020-12-24")
    model.setData(model.index(11, SENSOR), "landsat-8")
    choose(page, "series")
    assert page.date_count() == 5
    assert (page.rows[11].date, page.rows[11].sensor) == (dt.date(2020, 12, 15), "sentinel-2")
    choose(page, "late")
    assert (page.rows[11].date, page.rows[11].sensor) == (dt.date(2020, 12, 24), "landsat-8")


def test_all_series_come_back_with_the_project(page, qtbot, tmp_path):
    page.model.tick(range(5), True)
    make(page, qtbot, "late")
    page.model.tick([10, 11], True)
    reopen(qtbot, page, tmp_path / "p.qgz")
    assert page.store.names == ["series", "late"]
    assert page.sentence() == "late: 2 dates, 2020-11-15 to 2020-12-15"
    choose(page, "series")
    assert page.date_count() == 5


def test_typing_renames_the_series_and_the_jobs_file(page, qtbot, dock):
    page.model.tick(range(3), True)
    type_name(page, qtbot, "My fields")
    assert page.store.names == ["My fields"]
    assert page.write().name.startswith("My-fields-")
    assert dock.train.series_text.text().startswith("My fields: 3 dates")


def test_an_empty_name_is_not_taken(page, qtbot):
    type_name(page, qtbot, " ")
    assert page.findChild(QLineEdit, "timoSeriesName").text() == "series"


def test_a_copy_is_changed_without_the_other(page, qtbot):
    page.model.tick(range(5), True)
    menu(page, "duplicate")
    assert page.store.current.name == "series 2"
    page.model.tick([0], False)
    choose(page, "series")
    assert page.date_count() == 5


def test_deleting_asks_first_and_leaves_the_layers(page, qtbot):
    make(page, qtbot, "late")
    menu(page, "delete")
    asked = dialog(qtbot, QMessageBox, "timoSeriesDelete")
    assert "late" in asked.text()
    asked.button(QMessageBox.StandardButton.Cancel).click()
    assert page.store.names == ["series", "late"]
    menu(page, "delete")
    asked = dialog(qtbot, QMessageBox, "timoSeriesDelete")
    asked.button(QMessageBox.StandardButton.Yes).click()
    assert page.store.names == ["series"]
    assert len(QgsProject.instance().mapLayers()) == 12


def test_a_project_of_former_days_keeps_its_ticks_and_dates(page, qtbot, twelve_dates, tmp_path):
    for layer in twelve_dates[:3]:
        layer.setCustomProperty("timo/ticked", "true")
    twelve_dates[0].setCustomProperty("timo/date", "2021-07-01")
    reopen(qtbot, page, tmp_path / "former.qgz")
    assert page.date_count() == 3
    assert page.rows[11].date == dt.date(2021, 7, 1)


@pytest.mark.parametrize("text", ["no json", "[]", '{"all": [1]}', '{"all": [{"name": "a", "layers": 3}]}'])
def test_what_another_program_wrote_is_no_hindrance(page, qtbot, text):
    QgsProject.instance().writeEntry("timo", "series", text)
    page.store.load()
    page.model.refresh()
    page.model.tick(range(2), True)
    assert page.date_count() == 2


def test_a_sensor_that_was_typed_is_told_to_the_job(page, qtbot):
    page.model.tick(range(2), True)
    model = page.view.model()
    assert page.rows[0].sensor == "sentinel-2"  # by the name
    assert "path,date\n" in page.write().read_text(encoding="utf-8")
    model.setData(model.index(0, SENSOR), "PlanetScope")
    assert "planetscope" in page.write().read_text(encoding="utf-8")
    model.setData(model.index(0, SENSOR), "")
    assert "planetscope" not in page.write().read_text(encoding="utf-8")


def test_buttons_have_names_for_screen_readers(page, qtbot):
    for name in ("timoSeriesMore", "timoSeriesAdd", "timoSeriesTickAll"):
        button = page.findChild(QAbstractButton, name)
        assert button.accessibleName() or button.text()
        assert button.toolTip()


def test_the_sensor_is_chosen_from_a_list_or_typed(page, qtbot):
    page.view.go_to(page.rows[0].layer_id, SENSOR, edit=True)
    editor = page.view.findChild(QComboBox, "timoSeriesSensor")
    assert editor.currentText() == "sentinel-2"
    assert editor.findText("landsat-9") >= 0
    editor.setCurrentText("landsat-9")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.rows[0].sensor == "landsat-9")
    assert page.view.model().index(0, SENSOR).data() == "L9"
