# SPDX-License-Identifier: GPL-3.0-or-later
"""An analyst without labels makes a training layer in one dialog, and draws at once."""

from __future__ import annotations

import pytest
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsEditorWidgetSetup,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsRendererCategory,
    QgsRuleBasedRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QAction, QMessageBox, QPushButton

NULL_ENTRY = "{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}"
"""What QGIS writes into a list of values for no value."""


@pytest.fixture
def make_iface(make_iface):
    class WithDigitising(make_iface):
        def __init__(self):
            super().__init__()
            self.drawing, self.active = [], None
            self.add = QAction(self.window)
            self.add.triggered.connect(lambda: self.drawing.append(self.active))

        def setActiveLayer(self, layer):
            self.active = layer

        def actionAddFeature(self):
            return self.add

    return WithDigitising


def open_dialog(dock, qtbot, button, name):
    qtbot.mouseClick(dock.findChild(QPushButton, button), Qt.MouseButton.LeftButton)

    def found():
        return [w for w in QgsApplication.topLevelWidgets() if w.objectName() == name and w.isVisible()]

    qtbot.waitUntil(lambda: bool(found()))
    return found()[0]


@pytest.fixture
def dialog(dock, add_raster, qtbot):
    add_raster("S2_20200101.tif")
    qtbot.waitUntil(lambda: len(dock.series.rows) == 1)
    dock.series.model.tick([0], True)
    return open_dialog(dock, qtbot, "timoTrainNewLabels", "timoNewLabels")


def paste(dialog, text):
    QgsApplication.clipboard().setText(text)
    dialog.classes.paste.click()


def press(qtbot, button):
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def made(dock, dialog, qtbot, name="clearings"):
    dialog.name.setText(name)
    press(qtbot, dialog.ok)
    qtbot.waitUntil(lambda: dock.train.labels.layer is not None)
    return dock.train.labels.layer


def test_layer_is_a_file_in_the_series_system_with_the_classes_to_choose_from(dock, dialog, iface, qtbot):
    paste(dialog, "forest\ncleared = #d7301f\nforest")
    layer = made(dock, dialog, qtbot)
    assert layer.source().startswith(str(dock.shared.settings.home_folder / "labels" / "clearings.gpkg"))
    assert layer.crs().authid() == "EPSG:32631"
    setup = layer.editorWidgetSetup(layer.fields().indexOf("class"))
    assert setup.config()["map"] == [{"forest": "forest"}, {"cleared": "cleared"}]
    layer.rollBack()


def test_drawing_begins_and_the_page_learns_from_the_new_layer(dock, dialog, iface, qtbot):
    paste(dialog, "forest\ncleared\nother")
    layer = made(dock, dialog, qtbot)
    assert layer.isEditable() and iface.drawing == [layer]
    assert QgsProject.instance().mapLayer(layer.id()) is layer
    assert dock.train.labels.field.currentField() == "class"
    index = layer.fields().indexOf("class")
    assert layer.editFormConfig().reuseLastValue(index)
    layer.rollBack()


def test_layer_is_drawn_in_the_colours_of_its_classes_in_any_project(dock, dialog, iface, qtbot):
    paste(dialog, "forest\t#112233\ncleared\t#445566")
    layer = made(dock, dialog, qtbot)
    again = QgsVectorLayer(layer.source(), "again", "ogr")
    for one in (layer, again):
        assert isinstance(one.renderer(), QgsCategorizedSymbolRenderer)
        assert {c.value(): c.symbol().color().name() for c in one.renderer().categories()} == {
            "forest": "#112233", "cleared": "#445566",
        }  # fmt: skip
    layer.rollBack()


def test_points_can_be_drawn_instead(dock, dialog, qtbot):
    paste(dialog, "a\nb")
    dialog.shape.setCurrentIndex(1)
    layer = made(dock, dialog, qtbot)
    assert layer.geometryType() == 0
    layer.rollBack()


def test_classes_of_a_task_are_offered(dialog):
    titles = [action.text() for action in dialog.classes.menu.actions()]
    assert titles[:4] == ["Deforestation", "Land cover", "Crops", "Flood"]
    dialog.classes.menu.actions()[3].trigger()
    assert [one.name for one in dialog.classes.classes()] == ["dry", "flooded"]
    assert len({one.color for one in dialog.classes.classes()}) == 2


@pytest.mark.parametrize("name", ["", "a/b", "../x", "with space"])
def test_name_that_is_no_file_name_is_refused_before_the_click(dialog, name):
    paste(dialog, "a\nb")
    dialog.name.setText(name)
    assert not dialog.ok.isEnabled() and "name" in dialog.reason.text()


def test_file_that_is_there_is_never_replaced(dock, dialog):
    paste(dialog, "a\nb")
    folder = dock.shared.settings.subfolder("labels")
    (folder / "mine.gpkg").write_text("precious")
    dialog.name.setText("mine")
    assert not dialog.ok.isEnabled() and "exists already" in dialog.reason.text()
    assert (folder / "mine.gpkg").read_text() == "precious"


def test_folder_that_cannot_be_written_to_is_told_in_the_dialog(dock, dialog, qtbot):
    paste(dialog, "a\nb")
    dock.shared.settings.home_folder.mkdir(parents=True)
    (dock.shared.settings.home_folder / "labels").write_text("a file in the way")
    dialog.name.setText("mine")
    press(qtbot, dialog.ok)
    qtbot.waitUntil(lambda: "could not be written" in dialog.reason.text())
    assert dialog.isVisible() and dock.train.labels.layer is None


def test_one_class_is_not_enough_and_a_name_counts_once(dialog):
    paste(dialog, "a")
    assert not dialog.ok.isEnabled() and "two classes" in dialog.reason.text()
    paste(dialog, "a\nb")
    assert dialog.ok.isEnabled()
    dialog.classes.table.item(1, 1).setText("a")
    assert not dialog.ok.isEnabled() and "twice" in dialog.reason.text()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("oak\nbirch\n\noak", ["oak", "birch"]),
        ("1\toak\n2\tbirch", ["oak", "birch"]),
        ("oak; birch;", ["oak", "birch"]),
        ("1\n2", ["1", "2"]),
        ('"winter wheat",#00ff00', ["winter wheat"]),
        ("forest #1b7837\nwater  #2b8cbe", ["forest", "water"]),
        ("", []),
    ],
)
def test_pasted_list_gives_its_classes_with_colours_that_differ(package, text, names):
    from timo_qgis.layers.label_classes import parse_list

    found = parse_list(text)
    assert [one.name for one in found] == names
    assert len({one.color for one in found}) == len(names)


def test_three_hundred_classes_all_have_colours_of_their_own(package):
    from timo_qgis.layers.label_classes import with_colors

    found = with_colors([f"class {n}" for n in range(254)], {})
    assert len(set(found.values())) == 254


ROWS = [("oak", (0, 0, 2, 2)), ("oak", (2, 0, 4, 2)), ("birch", (0, 4, 2, 6))]


@pytest.fixture
def classes(dock, make_labels, qtbot):
    make_labels(ROWS)
    qtbot.waitUntil(lambda: dock.train.labels.counts == {"oak": 2, "birch": 1})
    return open_dialog(dock, qtbot, "timoTrainEditClasses", "timoClasses")


def answer(monkeypatch, button):
    asked = []
    monkeypatch.setattr(QMessageBox, "question", lambda *args: asked.append(args[2]) or button)
    return asked


def rename(dialog, qtbot, name):
    table = dialog.classes.table
    row = next(n for n in range(table.rowCount()) if table.item(n, 1).text() == "oak")
    table.item(row, 1).setText(name)
    press(qtbot, dialog.ok)


def test_classes_of_any_layer_can_be_edited_later(dock, classes, qtbot):
    classes.classes.set_classes(
        [*classes.classes.classes(), type(classes.classes.classes()[0])("elm", "#123456")]
    )
    press(qtbot, classes.ok)
    layer = dock.train.labels.layer
    assert [c.value() for c in layer.renderer().categories()] == ["birch", "oak", "elm"]
    assert dock.train.labels.scheme()[-1].color == "#123456"
    assert not layer.isEditable()


def test_features_of_a_renamed_class_are_asked_about_and_stay_if_not_wanted(
    dock, classes, qtbot, monkeypatch
):
    asked = answer(monkeypatch, QMessageBox.StandardButton.No)
    rename(classes, qtbot, "Quercus")
    qtbot.waitUntil(lambda: bool(asked))
    assert "2 features" in asked[0]
    layer = dock.train.labels.layer
    assert sorted(f["class"] for f in layer.getFeatures()) == ["birch", "oak", "oak"]
    assert not layer.isEditable()


def test_features_of_a_renamed_class_follow_if_wanted_and_can_be_undone(dock, classes, qtbot, monkeypatch):
    answer(monkeypatch, QMessageBox.StandardButton.Yes)
    rename(classes, qtbot, "Quercus")
    layer = dock.train.labels.layer
    qtbot.waitUntil(
        lambda: sorted(f["class"] for f in layer.getFeatures()) == ["Quercus", "Quercus", "birch"]
    )
    layer.rollBack()
    assert sorted(f["class"] for f in layer.getFeatures()) == ["birch", "oak", "oak"]


@pytest.fixture
def codes(dock, qtbot):
    """A layer of whole numbers that its list names, in a style of the analyst's own."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32631&field=class:integer", "codes", "memory")
    features = []
    for number, code in enumerate((1, 1, 2, 7)):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([code])
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(30 * number, 0, 30 * number + 20, 20)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    entries = [{"<NULL>": NULL_ENTRY}, {"Forest": 1}, {"Water": 2}]
    layer.setEditorWidgetSetup(0, QgsEditorWidgetSetup("ValueMap", {"map": entries}))
    hatched = {"color": "#224466", "style": "b_diagonal", "outline_width": "0.9"}
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", [
        QgsRendererCategory(value, QgsFillSymbol.createSimple(hatched), text)
        for value, text in ((1, "Wald (alt)"), (2, "Water"), ("", "all others"))
    ]))  # fmt: skip
    QgsProject.instance().addMapLayer(layer)
    qtbot.waitUntil(lambda: dock.train.labels.counts == {"1": 2, "2": 1, "7": 1})
    return layer


def style_of(layer):
    return [
        (c.value(), c.label(), c.symbol().color().name(), c.symbol().symbolLayer(0).properties()["style"])
        for c in layer.renderer().categories()
    ]


def test_list_of_codes_is_shown_by_its_names_and_ok_alone_loses_nothing(dock, codes, qtbot):
    before = style_of(codes)
    dialog = open_dialog(dock, qtbot, "timoTrainEditClasses", "timoClasses")
    assert [one.name for one in dialog.classes.classes()] == ["Forest", "Water", "7"]
    press(qtbot, dialog.ok)
    setup = codes.editorWidgetSetup(0).config()["map"]
    assert setup == [{"<NULL>": NULL_ENTRY}, {"Forest": "1"}, {"Water": "2"}, {"7": "7"}]
    assert style_of(codes)[:3] == before and len(style_of(codes)) == 4
    assert sorted(f["class"] for f in codes.getFeatures()) == [1, 1, 2, 7]


def test_renamed_coloured_and_new_classes_of_a_list_keep_or_get_codes(dock, codes, qtbot, monkeypatch):
    asked = answer(monkeypatch, QMessageBox.StandardButton.Yes)
    dialog = open_dialog(dock, qtbot, "timoTrainEditClasses", "timoClasses")
    editor = dialog.classes
    editor.table.item(1, 1).setText("Lake")
    editor.table.cellWidget(0, 0).setColor(QColor("#00ff00"))
    editor.table.selectRow(2)
    editor.remove.click()
    paste(dialog, "Bog\n12")
    press(qtbot, dialog.ok)
    from timo_qgis.layers.label_classes import value_map

    # 7 is in a feature still: the new class gets another number
    assert value_map(codes, "class") == {"1": "Forest", "2": "Lake", "8": "Bog", "12": "12"}
    assert style_of(codes)[:3] == [
        (1, "Wald (alt)", "#00ff00", "b_diagonal"),
        (2, "Lake", "#224466", "b_diagonal"),
        ("", "all others", "#224466", "b_diagonal"),
    ]
    assert [value for value, *_ in style_of(codes)[3:]] == [8, 12]
    qtbot.wait(300)
    assert asked == [] and not codes.isEditable()


def test_code_of_a_new_class_is_one_that_no_feature_has_though_only_some_are_used(dock, codes, qtbot):
    from timo_qgis.layers.label_classes import value_map

    codes.selectByExpression("class < 3")
    dock.train.labels.selected.setChecked(True)
    qtbot.waitUntil(lambda: dock.train.labels.counts == {"1": 2, "2": 1})
    dialog = open_dialog(dock, qtbot, "timoTrainEditClasses", "timoClasses")
    paste(dialog, "Bog")
    press(qtbot, dialog.ok)
    assert value_map(codes, "class") == {"1": "Forest", "2": "Water", "8": "Bog"}  # 7 is another's


def test_class_of_the_style_that_no_feature_has_yet_stays_in_it(dock, make_labels, qtbot):
    layer = make_labels(ROWS)
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", [
        QgsRendererCategory(name, QgsFillSymbol.createSimple({"color": "#224466"}), name)
        for name in ("oak", "birch", "elm")
    ]))  # fmt: skip
    qtbot.waitUntil(lambda: dock.train.labels.counts == {"oak": 2, "birch": 1})
    dialog = open_dialog(dock, qtbot, "timoTrainEditClasses", "timoClasses")
    press(qtbot, dialog.ok)
    assert [value for value, *_ in style_of(layer)] == ["oak", "birch", "elm"]


def test_style_that_is_not_by_class_stays_and_the_colours_are_kept_beside_it(dock, make_labels, qtbot):
    layer = make_labels(ROWS)
    rules = QgsRuleBasedRenderer(QgsFillSymbol.createSimple({"color": "#224466"}))
    layer.setRenderer(rules)
    qtbot.waitUntil(lambda: dock.train.labels.counts == {"oak": 2, "birch": 1})
    dialog = open_dialog(dock, qtbot, "timoTrainEditClasses", "timoClasses")
    dialog.classes.table.cellWidget(1, 0).setColor(QColor("#00ff00"))
    press(qtbot, dialog.ok)
    assert isinstance(layer.renderer(), QgsRuleBasedRenderer)
    qtbot.waitUntil(lambda: dock.train.labels.colors().get("oak") == "#00ff00")


def fail():
    raise RuntimeError("odd")


def test_layer_that_cannot_be_made_is_said_and_the_dialog_stays(dialog, qtbot, monkeypatch):
    from timo_qgis.layers import label_layer

    monkeypatch.setattr(label_layer, "maker", lambda *_: fail)
    paste(dialog, "oak\nbirch")
    dialog.name.setText("clearings")
    press(qtbot, dialog.ok)
    qtbot.waitUntil(lambda: "odd" in dialog.reason.text() and "clearings.gpkg" in dialog.reason.text())
    assert dialog.ok.isEnabled()


def test_more_classes_than_a_map_can_have_are_refused_in_words_and_none_is_lost(dialog):
    paste(dialog, "a\nb")
    paste(dialog, "\n".join(f"class {number}" for number in range(5000)))
    assert "254 classes" in dialog.reason.text() and "5000" in dialog.reason.text()
    assert [one.name for one in dialog.classes.classes()] == ["a", "b"] and dialog.ok.isEnabled()
    paste(dialog, "c")
    assert "254" not in dialog.reason.text()


def test_field_with_a_value_for_each_feature_cannot_have_its_classes_written_down(dock, make_labels, qtbot):
    box = dock.train.labels
    make_labels([(f"parcel {number}", (0, 0, 1, 1)) for number in range(300)])
    qtbot.waitUntil(lambda: box.counts is not None and len(box.counts) == 300)
    assert not box.edit.isEnabled()
    assert "300 different values" in box.hint.text() and "254 classes" in box.hint.text()
