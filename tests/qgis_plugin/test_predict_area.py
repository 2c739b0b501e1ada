# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a map is wanted: what the map shows, a layer's polygons, or a polygon drawn on the map."""

from __future__ import annotations

from pathlib import Path

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QPoint, Qt

CONTEXT = QgsCoordinateTransformContext()
SQUARE = QgsRectangle(500000, 4999920, 500080, 5000000)


@pytest.fixture
def box(dock, iface):
    canvas = iface.mapCanvas()
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    canvas.setExtent(SQUARE)
    dock.tabs.setCurrentIndex(2)
    return dock.predict.area


def polygons(box, tmp_path):
    """The file that a job would read, opened."""
    from timo_qgis.layers import area

    read, crs = box.reader()
    path = area.write(read(), crs, tmp_path, CONTEXT)
    layer = QgsVectorLayer(str(path), "area", "ogr")
    assert layer.isValid()
    return layer


def test_the_whole_series_needs_no_file(box):
    assert box.chosen == "whole" and box.why_not() == "" and box.reader() is None


def test_what_the_map_shows_is_written_with_its_coordinate_system(box, iface, tmp_path):
    box.choose("canvas")
    layer = polygons(box, tmp_path)
    assert layer.crs().authid() == "EPSG:32631"
    shown = iface.mapCanvas().mapSettings().visibleExtent()
    assert layer.extent().toString(3) == shown.toString(3)


def test_a_layer_s_polygons_are_taken_all_or_the_selected_ones(box, make_labels, tmp_path):
    layer = make_labels([("a", (0, 0, 2, 2)), ("b", (4, 4, 6, 6))])
    box.choose("layer")
    assert polygons(box, tmp_path).featureCount() == 2
    box.choose("selected")
    assert layer.name() in box.why_not()
    layer.select(next(layer.getFeatures()).id())
    assert box.why_not() == ""
    assert polygons(box, tmp_path).extent().width() == pytest.approx(20)


def test_what_is_selected_later_counts_at_once(box, make_labels, qtbot):
    first, other = make_labels([("a", (0, 0, 2, 2))], "first"), make_labels([("b", (4, 4, 6, 6))], "other")
    box.choose("selected")
    for layer in (first, other):
        box.layer.setLayer(layer)
        with qtbot.waitSignal(box.changed, timeout=1000):
            layer.selectAll()
        assert box.why_not() == ""
        with qtbot.waitSignal(box.changed, timeout=1000):
            layer.removeSelection()
        assert layer.name() in box.why_not()
    with qtbot.assertNotEmitted(box.changed):
        first.selectAll()  # which is not chosen any more


def test_the_map_is_moved_and_the_old_estimate_goes_once_it_rests(box, dock, iface, qtbot):
    canvas, answer, told = iface.mapCanvas(), dock.predict.estimate.answer, []
    box.choose("canvas")
    box.changed.connect(lambda: told.append(answer.text()))
    with qtbot.waitSignal(box.changed, timeout=2000):
        for step in range(1, 6):
            canvas.setExtent(SQUARE.buffered(10 * step))
        dock.predict.estimate._say("about 10 min")
    assert told == [""]
    with qtbot.waitSignal(box.changed, timeout=1000):
        canvas.setRotation(30)
    canvas.setExtent(SQUARE)
    with qtbot.assertNotEmitted(box.changed, wait=500):
        box.reader()  # a question of this very moment is not taken back
    box.choose("whole")
    with qtbot.assertNotEmitted(box.changed, wait=500):
        canvas.setExtent(SQUARE.buffered(30))


def test_polygons_that_are_edited_are_another_area(box, make_labels, qtbot):
    layer, other = make_labels([("a", (0, 0, 2, 2))]), make_labels([("b", (4, 4, 6, 6))], "other")
    box.choose("layer")
    box.layer.setLayer(layer)
    first = next(layer.getFeatures())
    layer.startEditing()
    with qtbot.waitSignal(box.changed, timeout=1000):
        layer.changeGeometry(first.id(), QgsGeometry.fromRect(SQUARE))
    with qtbot.waitSignal(box.changed, timeout=1000):
        layer.rollBack()
    with qtbot.waitSignal(box.changed, timeout=1000):
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    box.layer.setLayer(other)
    with qtbot.assertNotEmitted(box.changed, wait=500):
        layer.setSubsetString("\"class\" = 'b'")


def test_a_polygon_drawn_in_one_project_does_not_cut_the_map_of_the_next(box, iface, qtbot, tmp_path):
    canvas, project = iface.mapCanvas(), QgsProject.instance()
    project.write(str(tmp_path / "next.qgz"))
    box.choose("drawn")
    box.draw.click()
    canvas.mapTool().drawn.emit(QgsGeometry.fromRect(SQUARE))
    assert box.why_not() == "" and box._shown in canvas.scene().items()
    band = box._shown
    with qtbot.waitSignal(box.changed, timeout=1000):
        project.read(str(tmp_path / "next.qgz"))
    assert "Draw a polygon" in box.why_not() and band not in canvas.scene().items()
    box.draw.click()
    project.clear()
    assert not box.draw.isChecked() and canvas.mapTool() is None


def test_the_polygons_are_those_of_the_click_whatever_becomes_of_their_layer(box, make_labels, tmp_path):
    from timo_qgis.layers import area

    layer = make_labels([("a", (0, 0, 2, 2)), ("b", (4, 4, 6, 6))])
    box.choose("layer")
    read, crs = box.reader()
    QgsProject.instance().removeMapLayer(layer.id())
    path = area.write(read(), crs, tmp_path, CONTEXT)
    assert QgsVectorLayer(str(path), "area", "ogr").featureCount() == 2
    assert "Add a layer of polygons" in box.why_not()


def test_a_layer_without_polygons_is_named(box, make_labels, tmp_path):
    from timo_qgis.layers.area import AreaError

    make_labels([], name="nothing here")
    box.choose("layer")
    with pytest.raises(AreaError, match="nothing here"):
        polygons(box, tmp_path)


def test_the_same_polygons_are_the_same_file(box, tmp_path):
    from timo_qgis.layers import area

    crs = QgsCoordinateReferenceSystem("EPSG:32631")
    one, other = QgsGeometry.fromRect(SQUARE), QgsGeometry.fromRect(SQUARE.buffered(10))
    first = area.write([one], crs, tmp_path, CONTEXT)
    assert area.write([one], crs, tmp_path, CONTEXT) == first != area.write([other], crs, tmp_path, CONTEXT)
    assert not list(tmp_path.glob("*part*"))


def test_a_folder_that_cannot_be_written_to_is_named(box, tmp_path):
    from timo_qgis.layers import area

    with pytest.raises(area.AreaError, match="nowhere"):
        area.write(
            [QgsGeometry.fromRect(SQUARE)],
            QgsCoordinateReferenceSystem("EPSG:32631"),
            tmp_path / "nowhere",
            CONTEXT,
        )


def test_a_polygon_is_drawn_by_clicks(box, iface, qtbot, tmp_path):
    canvas = iface.mapCanvas()
    before = canvas.mapTool()
    box.choose("drawn")
    assert "Draw" in box.why_not()
    box.draw.click()
    assert canvas.mapTool() is not before and "right click" in box.hint.text()
    middle = canvas.viewport().rect().center()
    for x, y in ((-50, -50), (50, -50), (50, 50)):
        qtbot.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=middle + QPoint(x, y))
    qtbot.mouseClick(canvas.viewport(), Qt.MouseButton.RightButton, pos=middle)
    assert box.why_not() == "" and not box.draw.isChecked()
    assert canvas.mapTool() is before
    drawn = polygons(box, tmp_path)
    per_pixel = canvas.mapUnitsPerPixel()
    assert next(drawn.getFeatures()).geometry().area() == pytest.approx(
        100 * 100 / 2 * per_pixel**2, rel=0.05
    )


def test_escape_gives_a_drawing_up(box, iface, qtbot):
    canvas = iface.mapCanvas()
    box.choose("drawn")
    box.draw.click()
    tool = canvas.mapTool()
    qtbot.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(10, 10))
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.mapTool() is not tool and box.why_not()


def test_outputs_are_named_like_the_map(dock):
    outputs = dock.predict.outputs
    outputs.offer_dates(False)
    for box in outputs._boxes.values():
        box.setChecked(True)
    outputs.smallest.setValue(500)
    spec = outputs.spec(Path("/data/map.tif"))
    assert spec == {
        "confidence": "/data/map-confidence.tif",
        "probabilities": "/data/map-probabilities.tif",
        "polygons": "/data/map-polygons.gpkg",
        "minimum_area": 500.0,
    }
    outputs.offer_dates(True)
    assert outputs.spec(Path("/data/map.tif"))["per_date"] == "/data/map-dates"


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "less than a minute"), (600, "about 10 min"), (9000, "about 2.5 h")]
)
def test_an_estimate_is_told_in_words(package, seconds, words):
    from timo_qgis.backend.jobs import JobView
    from timo_qgis.gui.estimate_box import sentence

    summary = {
        "seconds": seconds,
        "memory_bytes": 3 * 1024**3,
        "memory_free_bytes": 8 * 1024**3,
        "disk_bytes": 50 * 1024**2,
        "disk_free_bytes": 10 * 1024**2,
    }
    text = sentence(JobView("a", state="succeeded", summary=summary, logs=(("warning", "Few dates."),)))
    for part in (words, "3.0 GB", "50 MB", "only 10 MB free", "Few dates."):
        assert part in text
    assert "Only" not in text


def test_a_misfit_is_told_before_the_click(package):
    from timo_qgis.backend.jobs import JobView
    from timo_qgis.gui.estimate_box import sentence

    error = {"message": "The series has no band 'nir'.", "action": "Tick layers that have it."}
    assert sentence(JobView("a", state="failed", error=error)) == " ".join(error.values())


def test_a_disk_that_refuses_the_area_is_named(box, tmp_path, monkeypatch):
    from timo_qgis.layers import area

    def refuse(_self, _target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(area.AreaError, match="Permission denied"):
        area.write(
            [QgsGeometry.fromRect(SQUARE)], QgsCoordinateReferenceSystem("EPSG:32631"), tmp_path, CONTEXT
        )


def test_forgotten_question_is_cancelled_as_soon_as_it_has_an_id(dock, monkeypatch):
    backend, box = dock.shared.backend, dock.predict.estimate
    cancelled = []
    monkeypatch.setattr(backend, "cancel", cancelled.append)
    monkeypatch.setattr(backend, "submit", lambda *_: "key")
    box.ask({})
    box.forget()
    box._on_submitted("key", "job")
    box._on_submitted("key", "job")
    assert cancelled == ["job"] and not box._job
