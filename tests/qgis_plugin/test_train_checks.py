# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a training, what is doubtful in the labels is said, shown on the map, and mended where asked."""

from __future__ import annotations

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QPushButton

GOOD = [("oak", (0, 0, 2, 2)), ("oak", (2, 0, 4, 2)), ("birch", (0, 4, 2, 6)), ("birch", (4, 4, 6, 6))]


@pytest.fixture
def check(package, add_raster):
    """Checks a layer beside a series of one place: the kinds of findings, and all that was found."""
    from timo_qgis.layers.label_checks import checker, series_places
    from timo_qgis.layers.label_parts import LabelPart, Naming

    places = series_places([add_raster("S2_20200101.tif"), add_raster("S2_20200201.tif")])
    assert len(places) == 1

    def run(layer, *others, selected_only=False, at=places):
        parts = [LabelPart(layer, "class", selected_only), *(LabelPart(one, "class") for one in others)]
        found = checker(parts, Naming(), at, {})()
        return {line.kind: line for line in found.lines}, found

    return run


def ids(layer, *rows):
    return {feature.id() for row, feature in enumerate(layer.getFeatures()) if row in rows}


def keys(layer, *rows):
    return {(layer.id(), fid) for fid in ids(layer, *rows)}


def add(layer, name, wkt):
    feature = QgsFeature(layer.fields())
    feature.setAttributes([name, "x"])
    feature.setGeometry(QgsGeometry.fromWkt(wkt))
    assert layer.dataProvider().addFeatures([feature])[0]


def test_good_labels_have_nothing_to_tell(check, make_labels):
    lines, found = check(make_labels(GOOD))
    assert lines == {}
    assert found.inside == {"oak": 2, "birch": 2}
    assert found.areas["oak"] == pytest.approx(800, rel=0.01)


@pytest.mark.parametrize("code", ["EPSG:4326", "EPSG:2263"])
def test_areas_are_in_square_metres_though_the_project_measures_in_the_plane(check, make_labels, code):
    QgsProject.instance().setEllipsoid("NONE")
    layer, crs = make_labels([("oak", (0, 0, 20, 20))]), QgsCoordinateReferenceSystem(code)
    feature = next(layer.getFeatures())
    shape = feature.geometry()
    shape.transform(QgsCoordinateTransform(layer.crs(), crs, QgsProject.instance()))
    layer.dataProvider().changeGeometryValues({feature.id(): shape})
    layer.setCrs(crs)
    _, found = check(layer)
    assert found.areas["oak"] == pytest.approx(40_000, rel=0.01)


def test_without_a_coordinate_system_no_areas_are_told(check, make_labels):
    layer = make_labels(GOOD)
    layer.setCrs(QgsCoordinateReferenceSystem())
    _, found = check(layer)
    assert found.areas == {} and found.inside == {"oak": 2, "birch": 2}


def test_overlap_of_two_classes_is_told_and_that_of_one_class_is_not(check, make_labels):
    layer = make_labels([*GOOD, ("birch", (1, 1, 3, 3)), ("oak", (0, 0, 1, 2))])
    lines, _ = check(layer)
    assert set(lines["overlap"].about) == keys(layer, 0, 1, 4)
    assert "'birch' and 'oak'" in lines["overlap"].text


def test_polygons_that_only_touch_do_not_overlap(check, make_labels):
    lines, _ = check(make_labels([*GOOD, ("birch", (2, 2, 4, 4)), ("birch", (4, 0, 6, 2))]))
    assert "overlap" not in lines


def test_features_outside_of_the_series_are_told(check, make_labels):
    layer = make_labels([*GOOD, ("oak", (20, 0, 22, 2))])
    lines, found = check(layer)
    assert set(lines["outside"].about) == keys(layer, 4)
    assert found.inside["oak"] == 2


def test_labels_of_another_place_altogether_are_told_so(check, make_labels):
    lines, _ = check(make_labels([("oak", (20, 0, 22, 2)), ("birch", (30, 0, 32, 2))]))
    assert "No feature lies on the series" in lines["outside"].text


def test_nothing_is_outside_while_there_is_no_series(check, make_labels):
    lines, _ = check(make_labels([*GOOD, ("oak", (20, 0, 22, 2))]), at=())
    assert "outside" not in lines


def test_labels_in_another_coordinate_system_are_seen_where_they_are(check):
    layer = QgsVectorLayer("Polygon?crs=EPSG:4326&field=class:string&field=note:string", "wgs", "memory")
    for name, west in (("oak", 3.0001), ("birch", 3.0005), ("oak", 4.0)):
        add(layer, name, f"POLYGON(({west} 45.1531,{west + 1e-4} 45.1531,{west} 45.1530,{west} 45.1531))")
    lines, found = check(layer)
    assert set(lines["outside"].about) == keys(layer, 2)
    assert found.inside == {"oak": 1, "birch": 1}


def test_class_of_one_feature_is_told(check, make_labels):
    lines, _ = check(make_labels([*GOOD, ("yew", (6, 0, 7, 1))]))
    assert "'yew'" in lines["few"].text and "Draw more" in lines["few"].text


def test_features_without_a_class_are_told(check, make_labels):
    layer = make_labels([*GOOD, (None, (6, 0, 7, 1)), ("  ", (6, 2, 7, 3))])
    lines, found = check(layer)
    assert set(lines["no_class"].about) == keys(layer, 4, 5)
    assert set(found.inside) == {"oak", "birch"}


def test_classes_spelt_alike_are_told(check, make_labels):
    lines, _ = check(make_labels([*GOOD, ("Oak", (6, 0, 7, 1)), ("Oak", (6, 2, 7, 3))]))
    assert "'Oak', 'oak'" in lines["alike"].text


def test_selected_features_alone_are_looked_at_where_asked(check, make_labels):
    layer = make_labels([*GOOD, ("oak", (20, 0, 22, 2))])
    layer.selectByIds(list(ids(layer, 0, 1, 2, 3)))
    assert check(layer, selected_only=True)[0] == {}


def button(dock, name, qtbot):
    qtbot.waitUntil(lambda: dock.findChild(QPushButton, name) is not None)
    return dock.findChild(QPushButton, name)


def test_show_selects_the_features_and_brings_them_into_view(dock, iface, make_labels, qtbot):
    layer = make_labels([*GOOD, (None, (6, 0, 7, 1))])
    qtbot.mouseClick(button(dock, "timoTrainChecksShow_no_class", qtbot), Qt.MouseButton.LeftButton)
    assert set(layer.selectedFeatureIds()) == ids(layer, 4)
    assert iface.canvas.zoomed == [ids(layer, 4)] and iface.active is layer


def test_show_leaves_the_selection_that_is_learnt_from_and_lets_the_features_flash(
    dock, iface, make_labels, qtbot
):
    box = dock.train.labels
    layer = make_labels([*GOOD, (None, (6, 0, 7, 1))])
    chosen = ids(layer, 0, 2, 4)
    layer.selectByIds(list(chosen))
    qtbot.waitUntil(box.selected.isEnabled)
    box.selected.setChecked(True)
    qtbot.waitUntil(lambda: box.counts == {"oak": 1, "birch": 1})
    qtbot.mouseClick(button(dock, "timoTrainChecksShow_few", qtbot), Qt.MouseButton.LeftButton)
    assert box.selected.isChecked() and set(layer.selectedFeatureIds()) == chosen
    assert iface.canvas.zoomed == iface.canvas.flashed == [ids(layer, 0, 2)]


def test_broken_polygon_is_repaired_in_an_editing_session_that_can_be_undone(dock, make_labels, qtbot):
    layer = make_labels(GOOD)
    add(layer, "oak", "POLYGON((500060 5000000,500080 4999980,500080 5000000,500060 4999980,500060 5000000))")
    before = layer.getFeature(max(ids(layer, 4))).geometry().asWkt()
    dock.train.labels.refresh()
    # Two triangles: a layer of single polygons cannot hold them as one feature.
    press = button(dock, "timoTrainChecksFix_invalid", qtbot)
    qtbot.mouseClick(press, Qt.MouseButton.LeftButton)
    assert layer.isEditable() and layer.getFeature(max(ids(layer, 4))).geometry().asWkt() == before
    layer.rollBack()


def test_broken_polygon_of_several_parts_is_repaired(package):
    from timo_qgis.layers.label_layer import mend

    layer = QgsVectorLayer("MultiPolygon?crs=EPSG:32631&field=class:string&field=note:string", "m", "memory")
    add(layer, "oak", "MULTIPOLYGON(((0 0,20 20,20 0,0 20,0 0)))")
    fid = next(layer.getFeatures()).id()
    assert mend(layer, [fid]) == 1
    assert layer.getFeature(fid).geometry().isGeosValid()
    layer.rollBack()
    assert not layer.getFeature(fid).geometry().isGeosValid()


def test_lines_go_when_the_fault_is_gone(dock, make_labels, qtbot):
    layer = make_labels([*GOOD, (None, (6, 0, 7, 1))])
    button(dock, "timoTrainChecksShow_no_class", qtbot)
    layer.startEditing()
    layer.changeAttributeValue(max(ids(layer, 4)), 0, "oak")
    qtbot.waitUntil(lambda: dock.findChild(QPushButton, "timoTrainChecksShow_no_class") is None)
    layer.rollBack()


def test_labels_that_cannot_be_counted_are_named(dock, make_labels, qtbot, monkeypatch):
    from timo_qgis.layers import labels

    def fail():
        raise RuntimeError("odd")

    monkeypatch.setattr(labels, "counter", lambda *_: fail)
    make_labels(GOOD, name="woods")
    box = dock.train.labels
    qtbot.waitUntil(lambda: "'woods'" in box.why_not() and "odd" in box.why_not())
