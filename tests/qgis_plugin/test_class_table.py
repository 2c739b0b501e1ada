# SPDX-License-Identifier: GPL-3.0-or-later
"""The class table shows how much of each class there is, and a click gives it another colour."""

from __future__ import annotations

import pytest
from qgis.core import QgsCategorizedSymbolRenderer, QgsFillSymbol, QgsRendererCategory
from qgis.gui import QgsColorDialog
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtGui import QColor

ROWS = [("oak", (0, 0, 2, 2)), ("oak", (2, 0, 4, 2)), ("birch", (0, 4, 4, 7)), ("birch", (4, 4, 8, 7))]


@pytest.fixture
def table(dock):
    return dock.train.labels.classes


def row(table, name):
    return table.topLevelItem(table.classes().index(name))


def pick(monkeypatch, color):
    monkeypatch.setattr(QgsColorDialog, "getColor", lambda *_: QColor(color))


def click(table, name, x, qtbot):
    rect = table.visualItemRect(row(table, name))
    place = QPoint(rect.left() + x, rect.center().y())
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)


def shown(dock, table, qtbot):
    """The page in front, with all that is looked for in the background."""
    dock.tabs.setCurrentWidget(dock.train)
    qtbot.waitUntil(lambda: table.isVisible() and not table.isColumnHidden(2))


def categorise(layer):
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", [
        QgsRendererCategory("oak", QgsFillSymbol.createSimple({"color": "#228844"}), "oak"),
        QgsRendererCategory("birch", QgsFillSymbol.createSimple({"color": "#ddcc88"}), "birch"),
    ]))  # fmt: skip


def test_share_is_of_the_area_as_a_model_learns_from_pixels(dock, table, add_raster, make_labels, qtbot):
    make_labels(ROWS)
    qtbot.waitUntil(lambda: table.classes() == ["birch", "oak"])
    qtbot.waitUntil(lambda: not table.isColumnHidden(2))
    assert [row(table, "birch").text(n) for n in range(4)] == ["birch", "2", "0.24 ha", "75 %"]
    assert (
        row(table, "oak").text(2) == "801 m²"
    )  # on the ellipsoid: UTM draws the middle of a zone 0.04 % smaller


def test_click_on_a_colour_changes_the_layers_style_and_the_jobs_colours(
    dock, table, make_labels, qtbot, monkeypatch
):
    layer = make_labels(ROWS)
    categorise(layer)
    qtbot.waitUntil(lambda: dock.train.labels.colors() == {"oak": "#228844", "birch": "#ddcc88"})
    pick(monkeypatch, "#112233")
    shown(dock, table, qtbot)
    click(table, "oak", 8, qtbot)
    assert {c.value(): c.symbol().color().name() for c in layer.renderer().categories()} == {
        "oak": "#112233", "birch": "#ddcc88",
    }  # fmt: skip
    qtbot.waitUntil(lambda: dock.train.labels.colors().get("oak") == "#112233")
    assert not layer.isEditable()


def test_click_on_a_name_changes_nothing(dock, table, make_labels, qtbot, monkeypatch):
    make_labels(ROWS)
    qtbot.waitUntil(lambda: len(table.classes()) == 2)
    asked = []
    monkeypatch.setattr(QgsColorDialog, "getColor", lambda *_: asked.append(1) or QColor())
    shown(dock, table, qtbot)
    click(table, "oak", 60, qtbot)
    assert asked == []


def test_enter_asks_for_a_colour_that_is_kept_with_a_layer_of_another_style(
    dock, table, make_labels, qtbot, monkeypatch
):
    layer = make_labels(ROWS)
    style = layer.renderer().type()
    qtbot.waitUntil(lambda: len(table.classes()) == 2)
    pick(monkeypatch, "#abcdef")
    table.setCurrentItem(row(table, "birch"))
    qtbot.keyClick(table, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: dock.train.labels.colors().get("birch") == "#abcdef")
    assert layer.renderer().type() == style


def test_colour_that_is_not_chosen_after_all_changes_nothing(dock, table, make_labels, qtbot, monkeypatch):
    make_labels(ROWS)
    qtbot.waitUntil(lambda: len(table.classes()) == 2)
    before = dock.train.labels.colors()
    monkeypatch.setattr(QgsColorDialog, "getColor", lambda *_: QColor())
    table.setCurrentItem(row(table, "birch"))
    qtbot.keyClick(table, Qt.Key.Key_Return)
    qtbot.wait(300)
    assert dock.train.labels.colors() == before


def test_class_of_the_style_that_no_feature_has_is_not_told_to_the_job(dock, make_labels, qtbot):
    layer = make_labels([one for one in ROWS if one[0] == "oak"])
    categorise(layer)
    qtbot.waitUntil(lambda: dock.train.labels.colors() == {"oak": "#228844"})


def test_class_beside_the_series_is_not_told_to_the_job(dock, add_raster, make_labels, qtbot):
    add_raster("S2_20200101.tif")
    qtbot.waitUntil(lambda: len(dock.series.rows) == 1)
    dock.series.model.tick([0], True)
    make_labels([*ROWS, ("elm", (30, 30, 32, 32))])
    qtbot.waitUntil(lambda: set(dock.train.labels.counts or ()) == {"oak", "birch", "elm"})
    qtbot.waitUntil(lambda: set(dock.train.labels.colors()) == {"oak", "birch"})


def test_of_many_features_no_share_or_area_is_shown_that_was_not_measured_and_all_colours_are_told(
    dock, table, add_raster, make_labels, qtbot, monkeypatch
):
    from timo_qgis.layers import label_checks

    monkeypatch.setattr(label_checks, "MOST_CHECKED", 2)
    box = dock.train.labels
    add_raster("S2_20200101.tif")
    qtbot.waitUntil(lambda: len(dock.series.rows) == 1)
    dock.series.model.tick([0], True)
    categorise(make_labels([("oak", (30, 30, 32, 32)), ("oak", (32, 30, 34, 32)), ("birch", (0, 4, 4, 7))]))
    qtbot.waitUntil(lambda: "only the first 2 features" in box.checks.text().lower())
    assert table.isColumnHidden(2)
    assert {name: row(table, name).text(3) for name in table.classes()} == {"oak": "67 %", "birch": "33 %"}
    assert box.colors() == {"oak": "#228844", "birch": "#ddcc88"}
    assert "No feature lies on the series" not in box.checks.text()
    assert "one feature" not in box.checks.text()


def test_colour_of_a_class_that_is_met_after_the_count_has_ended_is_told_to_the_job(
    dock, make_labels, qtbot, monkeypatch
):
    from timo_qgis.layers import label_checks, labels

    monkeypatch.setattr(labels, "MOST_COUNTED", 2)
    monkeypatch.setattr(label_checks, "MOST_CHECKED", 1)
    categorise(make_labels(ROWS))
    box = dock.train.labels
    qtbot.waitUntil(lambda: box.counts == {"oak": 2} and bool(box.checks.text()))
    assert box.colors() == {"oak": "#228844", "birch": "#ddcc88"}


@pytest.mark.parametrize(
    ("area", "text"),
    [(0, ""), (12.4, "12 m²"), (1234, "0.12 ha"), (123456, "12.3 ha"), (5e8, "50\u202f000 ha")],
)
def test_areas_are_in_hectares_unless_they_are_small(package, area, text):
    from timo_qgis.gui.class_table import area_text

    assert area_text(area) == text
