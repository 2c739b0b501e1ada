# SPDX-License-Identifier: GPL-3.0-or-later
"""The Series page makes a series of the ticked layers, and says what is wrong with it."""

from __future__ import annotations

import csv

import pytest
from qgis.core import Qgis, QgsDateTimeRange, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel, QLineEdit, QTableView

LAYER, DATE, SENSOR, BANDS, CLEAR, SIZE, NOTE = range(7)


@pytest.fixture
def page(dock, qtbot):
    """The page once it has seen the project's layers."""
    qtbot.waitUntil(lambda: len(dock.series.rows) == len(QgsProject.instance().mapLayers()))
    return dock.series


def cell(page, row, column):
    return page.view.model().index(row, column)


def text(page, row, column):
    return cell(page, row, column).data()


def click(qtbot, dock, name):
    qtbot.mouseClick(dock.findChild(QAbstractButton, name), Qt.MouseButton.LeftButton)


def test_layers_are_listed_by_the_dates_in_their_names(twelve_dates, page):
    dates = [text(page, row, DATE) for row in range(12)]
    assert dates == [f"2020-{month:02}-15" for month in range(1, 13)]


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("S2_20200804.tif", "2020-08-04"),
        ("scene 2019-06-16.tif", "2019-06-16"),
        ("MOD_2020032.tif", "2020-02-01"),
    ],
)
def test_date_is_read_from_the_name(add_raster, dock, qtbot, name, date):
    add_raster(name)
    qtbot.waitUntil(lambda: len(dock.series.rows) == 1)
    assert text(dock.series, 0, DATE) == date


@pytest.mark.parametrize("name", ["clear.tif", "delivery_20240501/jan.tif"])
def test_layer_that_plays_in_time_is_of_that_date(write_raster, dock, qtbot, name):
    layer = QgsRasterLayer(str(write_raster(name)), "clear", "gdal")
    told = layer.temporalProperties()
    told.setMode(Qgis.RasterTemporalMode.FixedTemporalRange)
    day = QDateTime(QDate(2020, 7, 5), QTime(10, 30), Qt.TimeSpec.UTC)
    told.setFixedTemporalRange(QgsDateTimeRange(day, day.addDays(1)))
    told.setIsActive(True)
    QgsProject.instance().addMapLayer(layer)
    qtbot.waitUntil(lambda: len(dock.series.rows) == 1)
    assert str(dock.series.rows[0].date) == "2020-07-05"


def test_tick_all_makes_the_series_and_the_summary_counts_it(twelve_dates, dock, page, qtbot):
    assert page.why_not().startswith("Tick the dated layers")
    click(qtbot, dock, "timoSeriesTickAll")
    qtbot.waitUntil(lambda: page.why_not() == "")
    assert page.summary.text() == "12 layers ticked, 12 dates from 2020-01-15 to 2020-12-15."
    click(qtbot, dock, "timoSeriesTickAll")
    assert page.date_count() == 0


def test_tick_all_ticks_what_the_filter_leaves(twelve_dates, dock, page, qtbot):
    qtbot.keyClicks(dock.findChild(QLineEdit, "timoSeriesFilter"), "2020-1")
    assert page.view.model().rowCount() == 3
    click(qtbot, dock, "timoSeriesTickAll")
    assert page.date_count() == 3


def test_layer_without_a_date_is_named_and_can_be_given_one(add_raster, dock, page, qtbot):
    add_raster("summer.tif")
    qtbot.waitUntil(lambda: len(page.rows) == 1)
    assert text(page, 0, NOTE) == "No date"
    assert dock.findChild(QLabel, "timoSeriesProblems_no_date") is None
    click(qtbot, dock, "timoSeriesTickAll")
    qtbot.waitUntil(lambda: dock.findChild(QLabel, "timoSeriesProblems_no_date") is not None)
    assert "summer" in dock.findChild(QLabel, "timoSeriesProblems_no_date").text()
    table = dock.findChild(QTableView, "timoSeriesTable")
    table.edit(cell(page, 0, DATE))
    editor = table.findChild(QLineEdit)
    qtbot.keyClicks(editor, "20200630")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: text(page, 0, DATE) == "2020-06-30")
    assert text(page, 0, NOTE) == ""


def test_a_raster_without_a_date_that_is_not_ticked_is_no_fault_of_the_series(add_raster, dock, page, qtbot):
    for name in ("S2_20200101.tif", "S2_20200201.tif", "elevation.tif"):
        add_raster(name)
    qtbot.waitUntil(lambda: len(page.rows) == 3)
    click(qtbot, dock, "timoSeriesTickAll")
    qtbot.waitUntil(lambda: page.why_not() == "")
    assert page.problems.text() == ""


def test_what_is_no_date_is_refused_in_words(add_raster, dock, page, qtbot, iface):
    add_raster("S2_20200101.tif")
    qtbot.waitUntil(lambda: len(page.rows) == 1)
    assert not page.view.model().setData(cell(page, 0, DATE), "2020-13-45", Qt.ItemDataRole.EditRole)
    assert text(page, 0, DATE) == "2020-01-01"
    assert iface.bar.currentItem() is not None


def test_emptied_date_goes_back_to_that_of_the_name(add_raster, page, qtbot):
    add_raster("S2_20200101.tif")
    qtbot.waitUntil(lambda: len(page.rows) == 1)
    model = page.view.model()
    assert model.setData(cell(page, 0, DATE), "2021-01-01", Qt.ItemDataRole.EditRole)
    assert model.setData(cell(page, 0, DATE), "", Qt.ItemDataRole.EditRole)
    assert text(page, 0, DATE) == "2020-01-01"


def test_two_layers_of_one_date_and_band_are_a_problem_in_words(add_raster, dock, page, qtbot):
    add_raster("a_20200101.tif")
    add_raster("b_20200101.tif")
    add_raster("c_20200201.tif")
    qtbot.waitUntil(lambda: len(page.rows) == 3)
    click(qtbot, dock, "timoSeriesTickAll")
    assert [text(page, row, NOTE) for row in range(3)] == ["Duplicate", "Duplicate", ""]
    assert "b_20200101" in page.why_not()
    page.view.model().setData(cell(page, 0, LAYER), Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    qtbot.waitUntil(lambda: page.why_not() == "")


def test_radar_beside_optical_of_one_date_is_one_date(add_raster, dock, page, qtbot):
    add_raster("S2_20200101.tif")
    add_raster("S1_20200101.tif", names=("vv", "vh"))
    add_raster("S2_20200201.tif")
    qtbot.waitUntil(lambda: len(page.rows) == 3)
    click(qtbot, dock, "timoSeriesTickAll")
    qtbot.waitUntil(lambda: page.why_not() == "")
    assert page.date_count() == 2


def test_files_of_one_band_each_make_one_date_by_their_names(add_raster, dock, page, qtbot):
    for day in ("20200101", "20200201"):
        for band in ("B02", "B8A", "nir"):
            add_raster(f"T31UFS_{day}_{band}.tif", names=("",))
    qtbot.waitUntil(lambda: len(page.rows) == 6)
    click(qtbot, dock, "timoSeriesTickAll")
    qtbot.waitUntil(lambda: page.why_not() == "")
    assert {text(page, row, NOTE) for row in range(6)} == {"Joined"}
    assert page.date_count() == 2


def test_nameless_bands_of_one_date_are_duplicates_where_the_names_do_not_tell(add_raster, dock, page, qtbot):
    add_raster("a_20200101.tif", names=("",))
    add_raster("b_20200101.tif", names=("",))
    qtbot.waitUntil(lambda: len(page.rows) == 2)
    click(qtbot, dock, "timoSeriesTickAll")
    assert [text(page, row, NOTE) for row in range(2)] == ["Duplicate", "Duplicate"]


def test_layer_that_is_renamed_is_listed_by_its_new_name(add_raster, page, qtbot):
    layer = add_raster("S2_20200101.tif")
    qtbot.waitUntil(lambda: len(page.rows) == 1)
    layer.setName("new year")
    qtbot.waitUntil(lambda: text(page, 0, LAYER) == "new year")


def test_layer_that_was_given_another_file_is_written_with_that(
    twelve_dates, dock, page, qtbot, write_raster
):
    click(qtbot, dock, "timoSeriesTickAll")
    other = write_raster("moved/S2_20200115.tif")
    layer = next(layer for layer in twelve_dates if layer.name() == "S2_20200115")
    layer.setDataSource(str(other), layer.name(), "gdal")
    with page.write().open(encoding="utf-8") as file:
        assert str(other) in {row["path"] for row in csv.DictReader(file)}


def test_names_get_the_room_of_the_size_where_the_table_is_narrow(twelve_dates, page, qtbot):
    view = page.view
    view.setParent(None)
    qtbot.addWidget(view)
    view.resize(900, 300)
    view.show()
    assert not view.isColumnHidden(SIZE)
    view.resize(350, 300)
    qtbot.waitUntil(lambda: view.isColumnHidden(SIZE))
    assert view.columnWidth(LAYER) > view.fontMetrics().horizontalAdvance("S2_20200115") + 20


def test_series_file_has_the_ticked_layers_and_the_edited_dates(twelve_dates, dock, page, qtbot):
    click(qtbot, dock, "timoSeriesTickAll")
    page.view.model().setData(cell(page, 0, DATE), "2020-01-20", Qt.ItemDataRole.EditRole)
    with page.write().open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    paths = {layer.source() for layer in twelve_dates}
    assert {row["path"] for row in rows} == paths
    assert [row["date"] for row in rows if row["path"].endswith("S2_20200115.tif")] == ["2020-01-20"]


def test_another_series_gets_another_file(twelve_dates, dock, page, qtbot):
    click(qtbot, dock, "timoSeriesTickAll")
    first = page.write()
    assert page.write() == first
    page.view.model().setData(cell(page, 0, LAYER), Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    assert page.write() != first
    assert first.exists()


def test_ticks_and_dates_are_kept_with_the_project(twelve_dates, dock, page, qtbot, tmp_path):
    click(qtbot, dock, "timoSeriesTickAll")
    page.view.model().setData(cell(page, 0, DATE), "2020-01-20", Qt.ItemDataRole.EditRole)
    project = QgsProject.instance()
    assert project.write(str(tmp_path / "p.qgz"))
    project.clear()
    qtbot.waitUntil(lambda: page.rows == [])
    assert project.read(str(tmp_path / "p.qgz"))
    qtbot.waitUntil(lambda: len(page.rows) == 12)
    assert page.date_count() == 12
    assert text(page, 0, DATE) == "2020-01-20"


def test_layer_that_is_removed_leaves_the_series(twelve_dates, dock, page, qtbot):
    click(qtbot, dock, "timoSeriesTickAll")
    QgsProject.instance().removeMapLayer(twelve_dates[0].id())
    qtbot.waitUntil(lambda: page.date_count() == 11)


def test_layer_whose_file_is_gone_is_named(twelve_dates, dock, page, qtbot, tmp_path):
    layer = QgsRasterLayer(str(tmp_path / "gone_20210101.tif"), "gone_20210101", "gdal")
    QgsProject.instance().addMapLayer(layer)
    qtbot.waitUntil(lambda: len(page.rows) == 13)
    assert text(page, 12, NOTE) == "No file"


def test_looking_at_the_layers_again_tells_the_other_pages_nothing_unless_something_changed(
    dock, add_raster, shown
):
    series = dock.series
    add_raster("S2_20200115.tif")
    shown(1)
    told = []
    series.changed.connect(lambda: told.append(None))
    series.model.refresh()
    assert not told
    series.model.tick([0], True)
    assert told
