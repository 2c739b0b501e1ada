# SPDX-License-Identifier: GPL-3.0-or-later
"""After a training: what each class is mapped as, and a click shows the labels that it is about."""

from __future__ import annotations

import html
import json

import numpy as np
import pytest
from osgeo import gdal, ogr, osr
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QLabel, QPushButton

MATRIX = [[90, 10, 0], [0, 50, 0], [1, 1, 8]]
NAMES = ("oak", "birch", "<b>elm</b>")
ROWS = [("oak", (0, 0, 2, 2)), ("oak", (4, 0, 6, 2)), ("birch", (0, 4, 2, 6)), ("<b>elm</b>", (6, 6, 8, 8))]


def figures(matrix=MATRIX, names=NAMES):
    total, right = sum(map(sum, matrix)), sum(row[k] for k, row in enumerate(matrix))
    per_class = []
    for k, name in enumerate(names):
        labelled, mapped = sum(matrix[k]), sum(row[k] for row in matrix)
        per_class.append({
            "name": name, "pixels": labelled,
            "producers_accuracy": matrix[k][k] / labelled if labelled else None,
            "users_accuracy": matrix[k][k] / mapped if mapped else None,
            "f1": 2 * matrix[k][k] / (labelled + mapped) if labelled + mapped else None,
        })  # fmt: skip
    return {
        "pixels": total,
        "overall_accuracy": right / total,
        "confusion_matrix": matrix,
        "per_class": per_class,
    }


def classes(names=NAMES):
    return [{"value": n + 1, "name": name, "color": f"#{n + 1:02x}8844"} for n, name in enumerate(names)]


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "woods"
    folder.mkdir()
    card = {
        "task": "segmentation",
        "name": "woods",
        "classes": classes(),
        "metrics": figures(),
        "weights_sha256": "ab",
    }
    (folder / "model.json").write_text(json.dumps(card))
    (folder / "report.html").write_text("<p>report</p>")
    return folder


@pytest.fixture
def report(tmp_path):
    folder = tmp_path / "check"
    folder.mkdir()
    content = {
        "kind": "timo-evaluation", "classes": classes(), "figures": figures(), "model": {"sha256": "ab"},
        "errors": [{"place": "", "files": ["errors.tif"]}],
    }  # fmt: skip
    (folder / "report.json").write_text(json.dumps(content))
    (folder / "index.html").write_text("<p>report</p>")
    return folder


@pytest.fixture
def box(dock, qtbot):
    return dock.train.result


def show(box, folder, layer, qtbot):
    from timo_qgis.layers.label_parts import LabelPart

    with qtbot.waitSignal(box.shown):
        box.show_folder(folder, [LabelPart(layer, "class")] if layer is not None else [])
    return box


def text(box, row, column, role=Qt.ItemDataRole.DisplayRole):
    model = box.confusion.model()
    return model.data(model.index(row, column), role)


def places(box):
    return box.findChild(QLabel, "timoTrainResultPlaces").text()


def click(box, row, mapped, qtbot):
    from timo_qgis.gui.confusion import FIGURES

    box.setVisible(True)
    index = box.confusion.model().index(row, FIGURES + mapped)
    box.confusion.clicked.emit(index)
    qtbot.waitUntil(lambda: bool(places(box)) and "Looking" not in places(box))


def test_table_tells_the_share_of_each_class_and_its_figures_beside(box, bundle, qtbot):
    show(box, bundle, None, qtbot)
    assert box.title.text() == "92 of 100 pixels kept from the training are mapped right."
    assert [text(box, 0, n) for n in range(6)] == ["90 %", "99 %", "0.94", "90", "10", ""]
    assert text(box, 0, 4, Qt.ItemDataRole.AccessibleTextRole) == (
        "10 of 100 pixels labelled 'oak' are mapped as 'birch': 10 %."
    )


def test_nothing_is_rounded_to_all_where_one_pixel_is_wrong(box, bundle, qtbot):
    card = json.loads((bundle / "model.json").read_text())
    card["metrics"] = figures([[996, 4, 0], [0, 1000, 0], [0, 0, 1000]])
    (bundle / "model.json").write_text(json.dumps(card))
    show(box, bundle, None, qtbot)
    assert box.title.text().startswith("99 of 100 pixels")
    assert [text(box, 0, n) for n in (0, 1, 3, 4, 5)] == ["99 %", "100 %", "99", "< 1", ""]
    assert [text(box, 1, n) for n in (0, 1, 4)] == ["100 %", "99 %", "100"]
    assert text(box, 0, 3, Qt.ItemDataRole.AccessibleTextRole).endswith("99 %.")


def test_columns_are_headed_by_the_numbers_of_the_rows_so_that_five_classes_need_no_scrolling(
    box, bundle, qtbot
):
    names = ("built-up", "cropland", "broad-leaved forest", "grassland", "water")
    matrix = [[100 if row == column else 1 for column in range(5)] for row in range(5)]
    card = json.loads((bundle / "model.json").read_text())
    card["classes"], card["metrics"] = classes(names), figures(matrix, names)
    (bundle / "model.json").write_text(json.dumps(card))
    show(box, bundle, None, qtbot)
    table, model = box.confusion, box.confusion.model()
    table.resize(400, table.height())
    table.show()
    table.grab()
    assert table.horizontalScrollBar().maximum() == 0
    across = [model.headerData(3 + n, Qt.Orientation.Horizontal) for n in range(5)]
    down = [model.headerData(n, Qt.Orientation.Vertical) for n in range(5)]
    assert across == ["1", "2", "3", "4", "5"]
    assert down == [f"{n}  {name}" for n, name in enumerate(names, 1)]
    for n, head in enumerate(across):
        assert table.columnWidth(3 + n) > table.fontMetrics().horizontalAdvance("100")
        tip = model.headerData(3 + n, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
        assert f"Mapped as '{names[n]}'" in html.unescape(tip), head


def test_names_as_short_as_numbers_head_their_columns(box, bundle, qtbot):
    card = json.loads((bundle / "model.json").read_text())
    card["classes"], card["metrics"] = classes(("3", "11", "oak")), figures(names=("3", "11", "oak"))
    (bundle / "model.json").write_text(json.dumps(card))
    show(box, bundle, None, qtbot)
    model = box.confusion.model()
    assert [model.headerData(3 + n, Qt.Orientation.Horizontal) for n in range(3)] == ["3", "11", "oak"]


def test_class_that_was_never_mapped_has_a_dash_and_not_a_zero(box, tmp_path, bundle, qtbot):
    card = json.loads((bundle / "model.json").read_text())
    card["metrics"] = figures([[5, 5, 0], [0, 5, 0], [0, 0, 0]])
    (bundle / "model.json").write_text(json.dumps(card))
    show(box, bundle, None, qtbot)
    assert [text(box, 2, n) for n in range(2)] == ["–", "–"]


def test_name_of_a_class_is_never_read_as_html(box, bundle, qtbot):
    show(box, bundle, None, qtbot)
    model = box.confusion.model()
    tip = model.headerData(2, Qt.Orientation.Vertical, Qt.ItemDataRole.ToolTipRole)
    assert "<b>" not in tip and "&lt;b&gt;" in tip


def test_test_pixels_count_where_there_are_some(box, bundle, qtbot):
    card = json.loads((bundle / "model.json").read_text())
    card["metrics"]["test"] = figures([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    (bundle / "model.json").write_text(json.dumps(card))
    show(box, bundle, None, qtbot)
    assert "75 of 100 test pixels" in box.title.text()


@pytest.mark.parametrize("content", ["{", '{"metrics": {}}', '{"classes": [], "metrics": []}', "[]"])
def test_bundle_that_cannot_be_read_says_so(box, bundle, qtbot, content):
    (bundle / "model.json").write_text(content)
    show(box, bundle, None, qtbot)
    assert "cannot be read" in box.title.text()
    assert box.confusion.isHidden()


def test_model_that_was_deleted_says_so(box, tmp_path, qtbot):
    show(box, tmp_path / "gone", None, qtbot)
    assert "any more" in box.title.text()


def test_report_is_opened_in_the_browser(box, bundle, qtbot, monkeypatch):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()) or True)
    show(box, bundle, None, qtbot)
    box.findChild(QPushButton, "timoTrainReport").click()
    assert opened == [str(bundle / "report.html")]


@pytest.fixture
def add_result(package, write_raster):
    """Adds a raster that the model made to the project: ``add_result(kind, values)``."""
    from timo_qgis.layers.sources import JOB_PROPERTY, KIND_PROPERTY

    def add(kind, values):
        path = write_raster(f"{kind}.tif", values, ("class",))
        dataset = gdal.Open(str(path), gdal.GA_Update)
        dataset.SetMetadataItem("TIMO_MODEL_SHA256", "ab")
        dataset = None
        raster = QgsRasterLayer(str(path), kind, "gdal")
        raster.setCustomProperty(JOB_PROPERTY, "job")
        raster.setCustomProperty(KIND_PROPERTY, kind)
        QgsProject.instance().addMapLayer(raster)

    return add


@pytest.fixture
def birch_in_an_oak(add_result):
    """The model's map, which shows birch in the second oak, and beside it."""
    values = np.ones((1, 8, 8), np.uint8)
    values[0, 1, 5] = values[0, 1, 3] = 2
    add_result("map", values)


def test_click_selects_the_labels_under_which_the_models_map_shows_the_other_class(
    box, bundle, make_labels, birch_in_an_oak, iface, qtbot
):
    layer = make_labels(ROWS)
    show(box, bundle, layer, qtbot)
    click(box, 0, 1, qtbot)
    assert [f["class"] for f in layer.getSelectedFeatures()] == ["oak"]
    assert next(layer.getSelectedFeatures()).geometry().boundingBox().xMinimum() == 500040
    assert "Shown: 1 feature of 'oak' under which the map shows 'birch'." in places(box)
    assert iface.canvas.zoomed == [set(layer.selectedFeatureIds())]


def test_cell_of_which_nothing_is_found_says_so_and_leaves_no_selection_that_looks_like_it(
    box, bundle, make_labels, birch_in_an_oak, iface, qtbot
):
    layer = make_labels(ROWS)
    layer.selectAll()
    show(box, bundle, layer, qtbot)
    click(box, 2, 1, qtbot)
    assert "No feature of '<b>elm</b>' was found for it." in places(box)
    assert layer.selectedFeatureCount() == 0 and iface.canvas.zoomed == []


def test_selection_that_says_what_is_learnt_from_stays_and_the_labels_of_a_cell_flash(
    dock, box, bundle, make_labels, birch_in_an_oak, iface, qtbot
):
    layer = make_labels(ROWS)
    layer.selectByIds([1, 3])
    qtbot.waitUntil(dock.train.labels.selected.isEnabled)
    dock.train.labels.selected.setChecked(True)
    show(box, bundle, layer, qtbot)
    click(box, 0, 1, qtbot)
    assert iface.canvas.zoomed == iface.canvas.flashed == [{2}]
    assert "They flash on the map: your selection stays" in places(box)
    assert set(layer.selectedFeatureIds()) == {1, 3} and dock.train.labels.selected.isChecked()
    click(box, 2, 1, qtbot)
    assert set(layer.selectedFeatureIds()) == {1, 3} and "flash" not in places(box)


def test_labels_of_all_layers_that_were_learnt_from_are_looked_through(
    box, report, make_labels, write_raster, qtbot
):
    from timo_qgis.layers.label_parts import LabelPart

    errors = np.full((1, 8, 8), 255, np.uint8)
    errors[0, :2, :2], errors[0, :2, 4:6] = 0, 1
    write_raster("errors.tif", errors, ("error",), folder=report)
    first = make_labels([("birch", (0, 4, 2, 6))])
    other = make_labels([("Oak", (0, 0, 2, 2)), ("Oak", (4, 0, 6, 2))], "more", "cover")
    with qtbot.waitSignal(box.shown):
        box.show_folder(report, [LabelPart(first, "class"), LabelPart(other, "cover")])
    click(box, 0, 1, qtbot)
    assert first.selectedFeatureCount() == 0
    assert [f.geometry().boundingBox().xMinimum() for f in other.getSelectedFeatures()] == [500040]
    assert "Shown: 1 feature of 'oak'" in places(box)


@pytest.mark.parametrize("kind", ["confidence", "probabilities", "maps_per_date"])
def test_shares_and_the_map_of_one_date_are_no_map_of_the_classes(
    box, bundle, make_labels, birch_in_an_oak, add_result, qtbot, kind
):
    layer = make_labels(ROWS)
    add_result(kind, np.full((1, 8, 8), 2, np.uint8))
    show(box, bundle, layer, qtbot)
    click(box, 0, 1, qtbot)
    assert [f.geometry().boundingBox().xMinimum() for f in layer.getSelectedFeatures()] == [500040]


def test_map_of_another_model_is_no_evidence(box, bundle, make_labels, write_raster, qtbot):
    from timo_qgis.layers.sources import JOB_PROPERTY

    raster = QgsRasterLayer(
        str(write_raster("map.tif", np.full((1, 8, 8), 2, np.uint8), ("class",))), "map", "gdal"
    )
    raster.setCustomProperty(JOB_PROPERTY, "job")
    QgsProject.instance().addMapLayer(raster)
    layer = make_labels(ROWS)
    show(box, bundle, layer, qtbot)
    click(box, 0, 1, qtbot)
    assert layer.selectedFeatureCount() == 0
    assert "Map this place with the model" in places(box)


@pytest.mark.parametrize(("mapped", "left"), [(1, 500040), (0, 500000)])
def test_click_selects_wrong_or_right_labels_of_an_evaluation(
    box, report, make_labels, write_raster, qtbot, mapped, left
):
    errors = np.full((1, 8, 8), 255, np.uint8)
    errors[0, :2, :2], errors[0, :2, 4:6] = 0, 1
    write_raster("errors.tif", errors, ("error",), folder=report)
    layer = make_labels(ROWS)
    show(box, report, layer, qtbot)
    click(box, 0, mapped, qtbot)
    assert [f.geometry().boundingBox().xMinimum() for f in layer.getSelectedFeatures()] == [left]


def test_without_a_map_the_labels_that_judged_the_model_are_selected_and_said_to_be_that(
    box, bundle, make_labels, qtbot
):
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(bundle / "split.gpkg"))
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32631)
    parts = source.CreateLayer("split", reference, ogr.wkbPolygon)
    parts.CreateField(ogr.FieldDefn("part", ogr.OFTString))
    for part, west in (("train", 500000), ("validation", 500030)):
        feature = ogr.Feature(parts.GetLayerDefn())
        feature.SetField("part", part)
        box_text = f"{west} 5000000,{west + 25} 5000000,{west + 25} 4999900,{west} 4999900,{west} 5000000"
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON(({box_text}))"))
        parts.CreateFeature(feature)
    feature = parts = source = None
    layer = make_labels(ROWS)
    show(box, bundle, layer, qtbot)
    click(box, 0, 1, qtbot)
    assert [f.geometry().boundingBox().xMinimum() for f in layer.getSelectedFeatures()] == [500040]
    assert "that judged the model" in places(box)


def test_layer_that_was_removed_is_told(box, bundle, make_labels, qtbot):
    layer = make_labels(ROWS)
    show(box, bundle, layer, qtbot)
    QgsProject.instance().removeMapLayer(layer.id())
    click(box, 0, 1, qtbot)
    assert "Add the layer of its labels" in places(box)


def test_keyboard_reaches_a_cell(box, bundle, make_labels, qtbot):
    from timo_qgis.gui.confusion import FIGURES

    layer = make_labels(ROWS)
    show(box, bundle, layer, qtbot)
    asked = []
    box.confusion.asked.connect(lambda row, column: asked.append((row, column)))
    box.confusion.setCurrentIndex(box.confusion.model().index(1, FIGURES + 2))
    qtbot.keyClick(box.confusion, Qt.Key.Key_Return)
    assert asked == [(1, 2)]


def test_dialog_that_is_closed_while_places_are_looked_for_selects_nothing(
    dock, bundle, make_labels, birch_in_an_oak, iface, qtbot
):
    from timo_qgis.gui.confusion import FIGURES
    from timo_qgis.gui.train_result import ResultBox

    layer = make_labels(ROWS)
    box = show(ResultBox(dock.shared, "timoTrain"), bundle, layer, qtbot)
    with qtbot.waitSignal(  # what was found comes
        dock.shared.background._done, check_params_cb=lambda callbacks, *_: callbacks.owner is box
    ):
        box.confusion.clicked.emit(box.confusion.model().index(0, FIGURES + 1))
        assert "Looking" in places(box)
        sip.delete(box)
    assert layer.selectedFeatureCount() == 0 and iface.canvas.zoomed == []
