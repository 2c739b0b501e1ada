# SPDX-License-Identifier: GPL-3.0-or-later
"""A click on the map tells the series' curve at that place, and what the model thought."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import QgsCoordinateReferenceSystem, QgsPointXY, QgsProject, QgsRectangle
from qgis.PyQt.QtCore import QPoint, Qt

CLASSES = {1: ("wood", (0, 100, 0)), 2: ("field", (200, 200, 0))}
UTM = QgsCoordinateReferenceSystem("EPSG:32631")
PLACE = (500025.0, 4999965.0)  # column 2, row 3


@pytest.fixture
def made(package, tmp_path, write_raster, make_map, make_floats):
    """A map of class 1, its confidence, and a series of three dates: red 100, 200, 300, nir four times it."""
    rows = ["path,date"]
    for number, date in enumerate(("2020-01-10", "2020-02-10", "2020-03-10"), 1):
        values = np.full((4, 8, 8), 100 * number, np.uint16)
        values[3] *= 4
        values[:, 5, 5] = 0
        path = write_raster(f"frame_{date}.tif", values)
        dataset = gdal.Open(str(path), gdal.GA_Update)
        for band in range(1, 5):
            dataset.GetRasterBand(band).SetNoDataValue(0)
        dataset = None
        rows.append(f"{path},{date}")
    series = tmp_path / "series.csv"
    series.write_text("\n".join(rows))
    spec = {
        "series": [str(series)],
        "model": str(tmp_path / "no-model"),
        "out": str(tmp_path / "map.tif"),
        "confidence": str(tmp_path / "map-confidence.tif"),
        "probabilities": str(tmp_path / "map-probabilities.tif"),
    }
    classes = np.full((8, 8), 1)
    classes[5, 5] = 255
    confidence = np.full((8, 8), 0.7)
    make_floats("map-confidence.tif", confidence)
    return make_map("map.tif", classes, CLASSES, {"TIMO_SPEC": json.dumps(spec)})


@pytest.fixture
def probabilities(made, write_raster):
    """Of both classes, in the other order: 30 % and 70 %."""
    return write_raster(
        "map-probabilities.tif", np.stack([np.full((8, 8), 75, np.uint8), np.full((8, 8), 175, np.uint8)]),
        ("field", "wood"),
    )  # fmt: skip


@pytest.fixture
def ask(made):
    from timo_qgis.layers.place import Point, ask
    from timo_qgis.layers.provenance import relatives, spec_of
    from timo_qgis.layers.result_files import read_result

    def run(x, y, crs=UTM):
        result = read_result("map", made)
        return ask(spec_of(result.tags), relatives(result), Point(x, y, crs.toWkt()))

    return run


def test_bands_and_indices_are_told_over_the_dates(ask):
    curves = {curve.name: curve.points for curve in ask(*PLACE).curves}
    days = [dt.date(2020, month, 10) for month in (1, 2, 3)]
    assert curves["red"] == tuple(zip(days, (100.0, 200.0, 300.0)))
    assert curves["nir"][0] == (days[0], 400.0)
    assert [value for _, value in curves["NDVI"]] == pytest.approx([0.6] * 3)
    assert "NDWI" in curves and "NBR" not in curves


def test_model_card_gives_bands_their_scale(ask, tmp_path):
    folder = tmp_path / "no-model"
    folder.mkdir()
    bands = [{"key": "red", "name": "Red", "role": "red", "scale": 0.0001, "offset": -0.005}]
    (folder / "model.json").write_text(json.dumps({"bands": bands}))
    curves = {curve.name: curve.points for curve in ask(*PLACE).curves}
    assert curves["red"][1][1] == pytest.approx(0.015)


def test_place_is_found_from_a_map_in_another_crs(ask):
    reference, degrees = osr.SpatialReference(), osr.SpatialReference()
    reference.ImportFromEPSG(32631)
    degrees.ImportFromEPSG(4326)
    for one in (reference, degrees):
        one.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    x, y, _ = osr.CoordinateTransformation(reference, degrees).TransformPoint(*PLACE)
    assert ask(x, y, QgsCoordinateReferenceSystem("EPSG:4326")) == ask(*PLACE)


def test_probabilities_of_all_classes_are_told_the_largest_first(ask, probabilities):
    assert [(c.name, c.color, c.share) for c in ask(*PLACE).chances] == [
        ("wood", "#006400", 0.7),
        ("field", "#c8c800", 0.3),
    ]
    assert ask(*PLACE).note == ""


def test_without_probabilities_class_and_confidence_are_told_and_that_they_were_not_written(ask):
    told = ask(*PLACE)
    assert [(c.name, round(c.share, 3)) for c in told.chances] == [("wood", 0.7)]
    assert "not written" in told.note


def test_map_of_a_date_tells_its_own_class_and_not_how_sure_the_last_date_is(made, probabilities, make_map):
    from timo_qgis.layers.place import Point, ask
    from timo_qgis.layers.provenance import relatives, spec_of
    from timo_qgis.layers.result_files import read_result

    (made.parent / "dates").mkdir()
    tags = {**read_result("map", made).tags, "TIMO_DATE": "2020-01-10"}
    result = read_result(
        "maps_per_date", make_map("dates/map_20200110.tif", np.full((8, 8), 2), CLASSES, tags)
    )
    told = ask(spec_of(result.tags), relatives(result), Point(*PLACE, UTM.toWkt()))
    assert told.curves and told.chances == ()
    assert told.note.startswith("On 2020-01-10 the map shows field here.") and "last date alone" in told.note


def test_without_confidence_the_class_alone_is_told(ask, tmp_path):
    (tmp_path / "map-confidence.tif").unlink()
    told = ask(*PLACE)
    assert told.chances == () and "wood" in told.note


def test_where_there_is_no_data_that_is_said(ask):
    for x, y in ((500055.0, 4999945.0), (400000.0, 4999945.0)):
        told = ask(x, y)
        assert told.curves == () and told.chances == ()
        assert "no data" in told.note


def test_series_that_is_gone_is_named_and_the_model_is_still_told(ask, tmp_path):
    (tmp_path / "series.csv").unlink()
    told = ask(*PLACE)
    assert "series.csv" in told.note and told.chances


def open_place(dock, made, iface, qtbot):
    """The window that asks places of a map."""
    from timo_qgis.gui.place_dialog import PlaceDialog
    from timo_qgis.layers.results import add_results, read_results

    (layer,) = add_results(QgsProject.instance(), read_results({"map": str(made)})[0], "job-1", "map")
    iface.active = layer
    iface.canvas.setDestinationCrs(UTM)
    iface.canvas.setExtent(QgsRectangle(500000, 4999920, 500080, 5000000))
    dock.results.actions["Place"].trigger()
    qtbot.waitUntil(lambda: iface.window.findChild(PlaceDialog) is not None)
    return iface.window.findChild(PlaceDialog)


@pytest.fixture
def dialog(dock, made, iface, qtbot):
    return open_place(dock, made, iface, qtbot)


def click(canvas, qtbot):
    pixel = canvas.getCoordinateTransform().transform(QgsPointXY(*PLACE))
    at = QPoint(round(pixel.x()), round(pixel.y()))
    qtbot.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=at)


def test_a_click_on_the_map_shows_curve_and_probabilities(dialog, probabilities, iface, qtbot):
    click(iface.canvas, qtbot)
    qtbot.waitUntil(lambda: dialog.shown.count() > 1)
    assert "red: 2020-01-10 100, 2020-02-10 200" in dialog.chart.accessibleDescription()
    assert "NDVI" not in dialog.chart.accessibleDescription()
    assert dialog.bars.accessibleDescription() == "wood 70 %, field 30 %"
    dialog.shown.setCurrentIndex(dialog.shown.findData("NDVI"))
    assert dialog.chart.accessibleDescription().startswith("NDVI: 2020-01-10 0.6")
    assert dialog.chart.read_out(0) == "2020-01-10\nNDVI  0.6"
    assert dialog.chart.read_out(10000).startswith("2020-03-10")


def test_closed_the_map_has_its_tool_back_and_no_mark_stays(dialog, iface, qtbot):
    from timo_qgis.gui.place_dialog import PlaceTool

    canvas = iface.canvas
    assert isinstance(canvas.mapTool(), PlaceTool)
    before = len(canvas.scene().items())
    click(canvas, qtbot)
    assert len(canvas.scene().items()) == before + 1
    qtbot.keyClick(canvas.viewport(), Qt.Key.Key_Escape)
    assert canvas.mapTool() is None
    assert len(canvas.scene().items()) == before


def test_after_another_tool_of_the_map_the_button_asks_places_again(dialog, iface, qtbot):
    from qgis.gui import QgsMapToolPan

    pan = QgsMapToolPan(iface.canvas)
    assert dialog.asks.isChecked()
    iface.canvas.setMapTool(pan)
    assert not dialog.asks.isChecked() and dialog.isVisible()
    click(iface.canvas, qtbot)
    assert dialog.shown.count() == 1
    dialog.asks.click()
    click(iface.canvas, qtbot)
    qtbot.waitUntil(lambda: dialog.shown.count() > 1)
    dialog.asks.click()
    assert iface.canvas.mapTool() is pan
    dialog.asks.click()
    dialog.reject()
    assert iface.canvas.mapTool() is pan


def test_two_windows_closed_in_any_order_give_the_map_back_to_a_tool_that_lives(dialog, dock, iface, qtbot):
    from qgis.gui import QgsMapToolPan
    from qgis.PyQt import sip
    from timo_qgis.gui.place_dialog import PlaceDialog

    dialog.reject()
    pan = QgsMapToolPan(iface.canvas)
    iface.canvas.setMapTool(pan)
    first = PlaceDialog(dock.shared, dialog._result, "a", iface.window)
    tool = iface.canvas.mapTool()
    second = PlaceDialog(dock.shared, dialog._result, "b", iface.window)
    first.show()
    second.show()
    first.reject()
    qtbot.waitUntil(lambda: sip.isdeleted(tool))
    second.reject()
    assert iface.canvas.mapTool() is pan


def test_window_closes_when_the_former_tool_is_gone(dialog, dock, iface, qtbot):
    from qgis.gui import QgsMapToolPan
    from qgis.PyQt import sip
    from timo_qgis.gui.place_dialog import PlaceDialog

    dialog.reject()
    pan = QgsMapToolPan(iface.canvas)
    iface.canvas.setMapTool(pan)
    window = PlaceDialog(dock.shared, dialog._result, "a", iface.window)
    window.show()
    sip.delete(pan)
    window.reject()
    assert iface.canvas.mapTool() is None and not window.isVisible()


def test_unloaded_no_window_tool_or_mark_stays(dialog, dock, plugin, iface, qtbot):
    from qgis.PyQt import sip

    canvas = iface.canvas
    before = len(canvas.scene().items())
    click(canvas, qtbot)
    dock.predict.area.choose("drawn")
    dock.predict.area.draw.setChecked(True)
    plugin.unload()
    assert canvas.mapTool() is None and len(canvas.scene().items()) == before
    qtbot.waitUntil(lambda: sip.isdeleted(dialog))


def test_unloaded_no_task_of_ours_goes_on(dialog, plugin, iface, qtbot):
    import time

    from qgis.core import QgsApplication
    from timo_qgis.gui.task_dialog import TaskDialog

    def work(tick):
        while tick(0.5):
            time.sleep(0.01)

    TaskDialog("timoExport", "a", "b", "c", "results", iface.window).work("Wait", work, lambda _: None)
    plugin.unload()
    qtbot.waitUntil(lambda: QgsApplication.taskManager().countActiveTasks() == 0)


def test_what_the_analyst_told_of_the_series_counts_more_than_the_files(ask, tmp_path):
    series = tmp_path / "series.csv"
    lines = series.read_text().split("\n")[1:]
    told = [f"{line},{band},{name},200,EPSG:32631" for line in lines for band, name in ((1, "Red"), (4, "x"))]
    series.write_text("\n".join(["path,date,band,name,nodata,crs", *told]))
    curves = {curve.name: curve.points for curve in ask(*PLACE).curves}
    days = [dt.date(2020, month, 10) for month in (1, 2, 3)]
    assert curves == {
        "red": ((days[0], 100.0), (days[2], 300.0)),
        "x": tuple(zip(days, (400.0, 800.0, 1200.0))),
    }
    series.write_text(series.read_text().replace("EPSG:32631", "EPSG:32633"))
    assert ask(*PLACE).curves == ()


def test_on_a_map_without_a_coordinate_system_the_model_is_told_still(dialog, iface, qtbot):
    iface.canvas.setDestinationCrs(QgsCoordinateReferenceSystem())
    click(iface.canvas, qtbot)
    qtbot.waitUntil(lambda: dialog.shown.count() > 1)
    assert "red: 2020-01-10 100" in dialog.chart.accessibleDescription()


@pytest.fixture
def searched(dock, made, write_raster, backend_program, stac_server, iface, qtbot):
    """The window of a map whose series is a search: two scenes of red and infrared on a server."""
    box = [2.99, 45.14, 3.01, 45.16]
    ring = [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]], [box[0], box[1]]]
    for month in (1, 2):
        bands = {}
        for name, role, value in (("B04", "red", 100), ("B08", "nir", 300)):
            file = f"{name}_{month}.tif"
            write_raster(file, np.full((1, 8, 8), value * month, np.uint16), (name,), stac_server.folder)
            bands[name] = {
                "href": f"{stac_server.url}/files/{file}", "type": "image/tiff; application=geotiff",
                "eo:bands": [{"name": name, "common_name": role}],
            }  # fmt: skip
        stac_server.items.append(
            {
                "type": "Feature", "stac_version": "1.0.0", "id": f"scene-{month}", "collection": "s2",
                "stac_extensions": ["https://stac-extensions.github.io/eo/v1.1.0/schema.json"],
                "bbox": box, "geometry": {"type": "Polygon", "coordinates": [ring]}, "links": [],
                "properties": {"datetime": f"2020-0{month}-10T10:00:00Z"}, "assets": bands,
            }
        )  # fmt: skip
    search = made.parent / "search.json"
    asked = {"stac": stac_server.url, "collections": ["s2"], "bbox": box, "dates": "2020-01-01/2020-12-31"}
    search.write_text(json.dumps(asked))
    dataset = gdal.Open(str(made), gdal.GA_Update)
    spec = json.loads(dataset.GetMetadataItem("TIMO_SPEC"))
    dataset.SetMetadataItem("TIMO_SPEC", json.dumps({**spec, "series": [str(search)]}))
    dataset = None
    dock.shared.settings.backend_program = str(backend_program)
    return open_place(dock, made, iface, qtbot)


def test_curve_of_a_catalogue_s_scenes_comes_after_the_probabilities(searched, probabilities, iface, qtbot):
    click(iface.canvas, qtbot)
    qtbot.waitUntil(lambda: bool(searched.bars.accessibleDescription()))
    assert searched.bars.accessibleDescription() == "wood 70 %, field 30 %"
    qtbot.waitUntil(lambda: searched.shown.count() > 1, timeout=60_000)
    told = searched.chart.accessibleDescription()
    assert told == "red: 2020-01-10 0.01, 2020-02-10 0.02; nir: 2020-01-10 0.03, 2020-02-10 0.06"
    searched.shown.setCurrentIndex(searched.shown.findData("NDVI"))
    assert searched.chart.accessibleDescription() == "NDVI: 2020-01-10 0.5, 2020-02-10 0.5"
    assert searched.note.isHidden()


def test_catalogue_that_is_away_is_said_beside_what_the_model_thought(
    searched, probabilities, stac_server, iface, qtbot
):
    stac_server.answers["/search"] = (500, b"away")
    click(iface.canvas, qtbot)
    qtbot.waitUntil(lambda: not searched.note.isHidden(), timeout=60_000)
    assert "500" in searched.note.text()
    assert searched.bars.accessibleDescription() == "wood 70 %, field 30 %"


def test_closed_while_a_catalogue_is_asked_nothing_goes_on(searched, stac_server, iface, qtbot):
    stac_server.slow = 3
    click(iface.canvas, qtbot)
    asking = searched._asking
    qtbot.waitUntil(lambda: asking.running)
    searched.reject()
    assert not asking.running


def test_catalogue_cannot_be_asked_where_the_map_lies_nowhere(searched, probabilities, iface, qtbot):
    iface.canvas.setDestinationCrs(QgsCoordinateReferenceSystem())
    click(iface.canvas, qtbot)
    qtbot.waitUntil(lambda: not searched.note.isHidden())
    assert "does not tell where on earth" in searched.note.text() and not searched._asking.running
    assert searched.bars.accessibleDescription() == "wood 70 %, field 30 %"
