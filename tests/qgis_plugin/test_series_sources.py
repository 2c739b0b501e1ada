# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers come to a series from groups, files and folders; dates are shown on the map, clear shares told."""

from __future__ import annotations

import datetime as dt
import html

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProject, QgsRasterLayer, QgsRasterRange
from qgis.gui import QgsLayerTreeMapCanvasBridge
from qgis.PyQt.QtCore import QPoint, Qt

CLEAR = 4


@pytest.fixture
def page(dock, qtbot):
    return dock.series


def wait_rows(qtbot, page, count):
    qtbot.waitUntil(lambda: len(page.rows) == count and page.add.isEnabled(), timeout=20_000)


def set_nodata(path, value):
    dataset = gdal.Open(str(path), gdal.GA_Update)
    for number in range(1, dataset.RasterCount + 1):
        dataset.GetRasterBand(number).SetNoDataValue(value)
    dataset = None


def test_dated_rasters_of_a_folder_and_those_below_are_added_in_a_group_and_ticked(
    page, qtbot, write_raster, tmp_path
):
    folder = tmp_path / "scenes"
    write_raster("S2_20200101.tif", folder=folder)
    write_raster("S2_20200201.tif", folder=folder / "below" / "more")
    write_raster("scene.tif", folder=folder / "2020-03-01")
    write_raster("elevation.tif", folder=folder)
    (folder / "notes_20200101.txt").write_text("x")
    page.add.add_folder(folder)
    wait_rows(qtbot, page, 3)
    assert page.date_count() == 3
    group = QgsProject.instance().layerTreeRoot().children()[0]
    assert (group.name(), len(group.findLayers())) == ("series", 3)


def test_a_folder_that_is_added_again_adds_nothing_twice(page, qtbot, write_raster, tmp_path):
    write_raster("S2_20200101.tif", folder=tmp_path / "scenes")
    page.add.add_folder(tmp_path / "scenes")
    wait_rows(qtbot, page, 1)
    page.model.tick([0], False)
    page.add.add_folder(tmp_path / "scenes")
    qtbot.waitUntil(lambda: page.rows[0].ticked)
    qtbot.wait(100)
    assert len(QgsProject.instance().mapLayers()) == 1


def search(page):
    """A series of a catalogue's scenes is the current one."""
    page.store.new("s2")
    page.store.current.search = {"collections": ["s2"]}
    page.store.current.days = [{"date": "2020-01-01", "scenes": ["scene"], "clouds": 0}]
    page.bar.refresh()
    page.model.show()
    assert [row.name for row in page.rows] == ["scene"]


@pytest.mark.parametrize("way", ["files", "folder", "group"])
def test_layers_added_while_a_catalogues_scenes_are_shown_are_in_a_new_series(
    page, qtbot, write_raster, add_raster, tmp_path, iface, way
):
    search(page)
    if way == "group":
        layer = add_raster("S2_20200101.tif")
        QgsProject.instance().layerTreeRoot().addGroup("scenes").addLayer(layer)
        qtbot.waitUntil(lambda: len(page.model.layer_rows()) == 1)
        page.add.list_groups()
        (action,) = page.add.groups.actions()
        action.trigger()
    elif way == "folder":
        write_raster("S2_20200101.tif", folder=tmp_path / "scenes")
        page.add.add_folder(tmp_path / "scenes")
    else:
        page.add.add([write_raster("S2_20200101.tif")])
    qtbot.waitUntil(lambda: [(row.name, row.ticked) for row in page.rows] == [("S2_20200101", True)])
    name = "series 2" if way == "files" else "scenes"
    assert page.store.names == ["series", "s2", name] and page.bar.box.currentText() == name
    assert f"new series, '{name}'" in html.unescape(iface.bar.currentItem().text())
    page.store.choose("s2")
    page.model.show()
    assert [row.name for row in page.rows] == ["scene"]


def test_files_go_to_the_series_that_was_shown_when_they_were_added(page, qtbot, write_raster):
    page.add.add([write_raster("S2_20200101.tif"), write_raster("S2_20200201.tif")])
    page.store.new("other")
    page.model.show()
    wait_rows(qtbot, page, 2)
    assert page.date_count() == 0
    page.store.choose("series")
    page.model.show()
    assert page.date_count() == 2


def many(write_raster, tmp_path):
    folder = tmp_path / "scenes"
    return [write_raster(f"S2_2020{month:02}{day:02}.tif", folder=folder) for month in range(1, 13)
            for day in range(1, 28)]  # fmt: skip


def test_project_closed_while_files_are_added_gets_none_of_them_nor_does_the_next(
    page, qtbot, write_raster, tmp_path
):
    project = QgsProject.instance()
    page.add.add(many(write_raster, tmp_path))
    qtbot.waitUntil(lambda: 0 < len(project.mapLayers()) < 324)
    project.clear()
    assert page.add.isEnabled()
    page.add.add([write_raster("S2_20210101.tif")])
    wait_rows(qtbot, page, 1)
    assert len(project.mapLayers()) == 1


def test_folder_that_is_looked_through_while_the_project_is_closed_is_not_added(
    page, qtbot, write_raster, tmp_path
):
    write_raster("S2_20200101.tif", folder=tmp_path / "scenes")
    told = []
    found = page.add._on_found
    page.add._on_found = lambda result: (found(result), told.append(result))
    page.add.add_folder(tmp_path / "scenes")
    QgsProject.instance().clear()
    qtbot.waitUntil(lambda: bool(told))
    assert page.add.isEnabled() and not QgsProject.instance().layerTreeRoot().findGroups()


def test_group_taken_away_while_files_are_added_ends_it(page, qtbot, write_raster, tmp_path):
    project = QgsProject.instance()
    page.add.add(many(write_raster, tmp_path))
    qtbot.waitUntil(lambda: 0 < len(project.mapLayers()) < 324)
    (group,) = project.layerTreeRoot().findGroups()
    project.removeMapLayers(group.findLayerIds())
    project.layerTreeRoot().removeChildNode(group)
    qtbot.waitUntil(page.add.isEnabled)
    assert not project.mapLayers() and not project.layerTreeRoot().findGroups()


def test_a_folder_without_dates_says_so(page, qtbot, write_raster, tmp_path, iface):
    write_raster("elevation.tif", folder=tmp_path / "scenes")
    page.add.add_folder(tmp_path / "scenes")
    qtbot.waitUntil(lambda: iface.bar.currentItem() is not None)
    assert "no raster that tells its date" in iface.bar.currentItem().text()
    assert page.add.isEnabled()


def test_a_file_that_is_no_raster_is_named_and_the_others_added(page, qtbot, write_raster, tmp_path, iface):
    good = write_raster("S2_20200101.tif")
    bad = tmp_path / "S2_20200201.tif"
    bad.write_text("no raster")
    page.add.add([good, bad])
    wait_rows(qtbot, page, 1)
    assert "S2_20200201.tif" in iface.bar.currentItem().text()


def test_a_group_is_ticked_as_a_whole(page, qtbot, twelve_dates):
    qtbot.waitUntil(lambda: len(page.rows) == 12)
    root = QgsProject.instance().layerTreeRoot()
    group = root.addGroup("spring & summer")
    for layer in twelve_dates[:4]:
        group.addLayer(layer)
    root.addGroup("empty")
    page.add.list_groups()
    (action,) = page.add.groups.actions()
    assert action.text() == "spring && summer (4 layers)"
    action.trigger()
    assert page.date_count() == 4


def test_a_click_on_a_date_shows_its_layer_alone_and_selects_its_row(page, qtbot, twelve_dates):
    qtbot.waitUntil(lambda: len(page.timeline.marks) == 12)
    march = dt.date(2020, 3, 15)
    line = page.timeline
    qtbot.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(round(line.x(march)), 14))
    root = QgsProject.instance().layerTreeRoot()
    assert [layer.name() for layer in root.checkedLayers()] == ["S2_20200315"]
    assert page.view.selected() == root.checkedLayers()[0].id().split("|")
    qtbot.keyClick(line, Qt.Key.Key_Right)
    assert [layer.name() for layer in root.checkedLayers()] == ["S2_20200415"]


def test_a_click_on_a_date_of_many_is_one_change_for_qgis(page, iface, qtbot, twelve_dates):
    root, told, line = QgsProject.instance().layerTreeRoot(), [], page.timeline
    bridge = QgsLayerTreeMapCanvasBridge(root, iface.canvas)
    qtbot.waitUntil(lambda: len(line.marks) == 12 and len(iface.canvas.layers()) == 12)
    root.visibilityChanged.connect(told.append)
    qtbot.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(round(line.x(dt.date(2020, 3, 15))), 14))
    assert len(told) == 1, "at each one QGIS looks through all layers"
    qtbot.waitUntil(lambda: [layer.name() for layer in iface.canvas.layers()] == ["S2_20200315"])
    root.visibilityChanged.disconnect(told.append)
    bridge.deleteLater()


def test_a_click_on_a_date_leaves_alone_what_is_not_of_the_series(page, qtbot, add_raster, twelve_dates):
    add_raster("heights.tif")
    add_raster("SCL_20200315.tif", names=("SCL",), values=np.full((1, 8, 8), 4, np.uint8))
    qtbot.waitUntil(lambda: len(page.rows) == 14)
    page.model.tick([n for n, row in enumerate(page.rows) if row.date], True)
    line = page.timeline
    for date, name in ((dt.date(2020, 3, 15), "S2_20200315"), (dt.date(2020, 4, 15), "S2_20200415")):
        qtbot.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(round(line.x(date)), 14))
        checked = {layer.name() for layer in QgsProject.instance().layerTreeRoot().checkedLayers()}
        assert checked == {name, "heights"}, "the mask is of the series, and no image"


def test_a_row_that_is_selected_is_marked_on_the_time_line(page, qtbot, twelve_dates):
    qtbot.waitUntil(lambda: len(page.rows) == 12)
    page.view.selectRow(6)
    assert page.timeline.current == dt.date(2020, 7, 15)


def test_clear_share_leaves_out_nodata(page, qtbot, write_raster):
    values = np.full((4, 40, 40), 500, np.uint16)
    values[:, :10] = 65535
    path = write_raster("a_20200101.tif", values=values)
    set_nodata(path, 65535)
    page.add.add([path])
    qtbot.waitUntil(lambda: bool(page.rows) and page.rows[0].clear is not None, timeout=10_000)
    assert page.view.model().index(0, CLEAR).data() == "75 %"


def test_clear_share_leaves_out_the_files_nodata_and_what_was_added_in_qgis(page, qtbot, write_raster):
    values = np.full((4, 40, 40), 500, np.uint16)
    values[:, :10], values[:, 10:20] = 65535, 0
    path = write_raster("a_20200101.tif", values=values)
    set_nodata(path, 65535)
    layer = QgsRasterLayer(str(path), path.stem, "gdal")
    for band in range(1, 5):
        layer.dataProvider().setUserNoDataValue(band, [QgsRasterRange(0, 0)])
    QgsProject.instance().addMapLayer(layer)
    wait_rows(qtbot, page, 1)
    page.model.tick([0], True)
    qtbot.waitUntil(lambda: page.rows[0].clear is not None, timeout=10_000)
    assert page.rows[0].clear == 0.5


def test_clear_share_leaves_out_what_a_mask_beside_calls_cloud(page, qtbot, write_raster):
    image = write_raster("T31UFS_20200101_B04.tif", values=np.full((1, 40, 40), 500, np.uint16), names=("",))
    codes = np.full((1, 20, 20), 4, np.uint8)
    codes[:, :, :10] = 9
    mask = write_raster("T31UFS_20200101_SCL.tif", values=codes, names=("",))
    dataset = gdal.Open(str(mask), gdal.GA_Update)
    dataset.SetGeoTransform((500000, 20, 0, 5000000, 0, -20))
    dataset = None
    page.add.add([image, mask])
    qtbot.waitUntil(lambda: [row.clear for row in page.rows] == [0.5, 0.5], timeout=10_000)
    assert page.why_not(1) == ""


def test_clear_share_of_a_band_in_the_same_file(page, qtbot, write_raster):
    values = np.full((2, 40, 40), 500, np.uint16)
    values[1] = 4
    values[1, :4] = 3
    page.add.add([write_raster("S2_20200101.tif", values=values, names=("red", "SCL"))])
    qtbot.waitUntil(lambda: bool(page.rows) and page.rows[0].clear == pytest.approx(0.9), timeout=10_000)


def test_a_file_that_cannot_be_read_has_no_share(package, tmp_path):
    from timo_qgis.layers.clear import Clear, Question, measure

    (tmp_path / "a.tif").write_text("no raster")
    assert measure(Question(str(tmp_path / "a.tif"), None, None, False, ())) == Clear(None, None)


def test_two_hundred_layers_are_looked_into_once(page, qtbot, write_raster, tmp_path):
    """However often they are ticked, edited and filtered."""
    start = dt.date(2016, 1, 1)
    for number in range(200):
        write_raster(f"S2_{start + dt.timedelta(days=7 * number):%Y%m%d}.tif", folder=tmp_path / "many")
    page.add.add_folder(tmp_path / "many")
    qtbot.waitUntil(lambda: page.date_count() == 200 and page.add.isEnabled(), timeout=30_000)
    reads = page.model.reader.reads
    assert reads == 200
    page.model.tick(range(100), False)
    page.filter.setText("2016-0")
    page.view.model().setData(page.view.model().index(0, 1), "2016-01-02")
    page.bar.actions_by_name["duplicate"].trigger()
    assert page.model.reader.reads == reads
    qtbot.waitUntil(lambda: all(row.clear is not None for row in page.rows), timeout=30_000)
    assert page.model.reader.reads == reads


def fail(*_):
    raise RuntimeError("odd")


def test_a_folder_that_cannot_be_looked_into_leaves_the_button_to_press(page, qtbot, tmp_path, monkeypatch):
    from timo_qgis.gui import series_sources

    monkeypatch.setattr(series_sources, "dated_rasters", fail)
    page.add.add_folder(tmp_path)
    assert not page.add.isEnabled()
    qtbot.waitUntil(page.add.isEnabled)


def test_a_raster_that_cannot_be_counted_does_not_hold_up_the_others(page, qtbot, add_raster, monkeypatch):
    from timo_qgis.gui import series_clear

    asked = []

    def measure(question):
        asked.append(question)
        fail()

    monkeypatch.setattr(series_clear, "measure", measure)
    for day in ("01", "02"):
        add_raster(f"S2_202001{day}.tif")
    qtbot.waitUntil(lambda: len(page.rows) == 2)
    page.model.tick([0, 1], True)
    qtbot.waitUntil(lambda: len(asked) == 2 and not page.clear._busy)
