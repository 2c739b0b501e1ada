# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels that hold codes: the classes are called as the layer's list of values calls them."""

from __future__ import annotations

import pytest
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsEditorWidgetSetup,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsRendererCategory,
    QgsVectorLayer,
)
from qgis.gui import QgsColorDialog
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QPushButton

LIST = [{"Broad-leaved forest": "311"}, {"Arable land": "211"}, {"Water": "512"}]


@pytest.fixture
def codes(page):
    """Two polygons of each of two codes, in a field of whole numbers with a list of three names."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32631&field=lc:integer", "parcels", "memory")
    features = []
    for number, code in enumerate((311, 211, 311, 211)):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([code])
        left = 500000 + 400 * number
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, 4999400, left + 300, 5000000)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.setEditorWidgetSetup(0, QgsEditorWidgetSetup("ValueMap", {"map": LIST}))
    QgsProject.instance().addMapLayer(layer)
    return layer


def ready(page, qtbot):
    qtbot.waitUntil(lambda: page.why_not() == "" and bool(page.labels.findings.inside))


def test_classes_are_shown_and_trained_by_their_names(page, codes, sent, qtbot):
    ready(page, qtbot)
    assert sorted(page.labels.classes.classes()) == ["Arable land", "Broad-leaved forest"]
    page.findChild(QPushButton, "timoTrainRun").click()
    qtbot.waitUntil(lambda: bool(sent), timeout=10_000)
    assert sorted(sent[0]["names"]) == ["211=Arable land", "311=Broad-leaved forest"]
    assert {pair.partition("=")[0] for pair in sent[0]["colors"]} == {"211", "311"}


def test_checks_speak_of_the_names(page, codes, qtbot):
    codes.dataProvider().deleteFeatures([3])
    page.labels.refresh()
    qtbot.waitUntil(lambda: "'Broad-leaved forest' has one feature" in page.labels.checks.text())


def test_without_a_list_the_legend_tells_the_names(page, codes, sent, qtbot):
    codes.setEditorWidgetSetup(0, QgsEditorWidgetSetup("Range", {}))
    symbol = QgsFillSymbol.createSimple({"color": "#228844"})
    codes.setRenderer(QgsCategorizedSymbolRenderer("lc", [
        QgsRendererCategory(311, symbol, "Forest"), QgsRendererCategory(211, symbol.clone(), "Fields"),
        QgsRendererCategory(None, symbol.clone(), "all others"),
    ]))  # fmt: skip
    ready(page, qtbot)
    qtbot.waitUntil(lambda: sorted(page.labels.classes.classes()) == ["Fields", "Forest"])
    page.findChild(QPushButton, "timoTrainRun").click()
    qtbot.waitUntil(lambda: bool(sent), timeout=10_000)
    assert sorted(sent[0]["names"]) == ["211=Fields", "311=Forest"]


def test_a_colour_is_given_to_the_code(page, codes, monkeypatch, qtbot):
    ready(page, qtbot)
    monkeypatch.setattr(QgsColorDialog, "getColor", lambda *_: QColor("#123456"))
    table = page.labels.classes
    table.setCurrentItem(table.topLevelItem(table.classes().index("Arable land")))
    qtbot.keyClick(table, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.labels.colors().get("211") == "#123456")
    qtbot.waitUntil(lambda: page.labels.counts is not None)
    assert table.currentItem().text(0) == "Arable land", "what was chosen stays chosen"


def test_names_that_are_not_each_ones_own_are_not_taken(page, codes, sent, qtbot):
    entries = [{"Forest": "311"}, {"311": "211"}]
    codes.setEditorWidgetSetup(0, QgsEditorWidgetSetup("ValueMap", {"map": entries}))
    page.labels.refresh()
    ready(page, qtbot)
    page.findChild(QPushButton, "timoTrainRun").click()
    qtbot.waitUntil(lambda: bool(sent), timeout=10_000)
    assert sorted(sent[0]["names"]) == ["211=311", "311=Forest"]
    codes.setEditorWidgetSetup(
        0, QgsEditorWidgetSetup("ValueMap", {"map": [{"Forest": "311"}, {"Forest ": "211"}]})
    )
    assert page.labels.names() == []


def test_a_cell_of_the_table_finds_the_polygons_of_a_named_class(codes, tmp_path):
    import numpy as np
    from osgeo import gdal, osr
    from timo_qgis.layers.label_faults import Evidence, finder
    from timo_qgis.layers.label_parts import LabelPart

    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32631)
    path = tmp_path / "map.tif"
    made = gdal.GetDriverByName("GTiff").Create(str(path), 160, 60, 1, gdal.GDT_UInt16)
    made.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
    made.SetProjection(reference.ExportToWkt())
    values = np.full((60, 160), 211, np.uint16)
    values[:, :30] = 311
    made.GetRasterBand(1).WriteArray(values)
    made = None
    wrong = [Evidence("map", path, 211)]
    for name in ("Broad-leaved forest", "311"):
        found, kind = finder([LabelPart(codes, "lc")], name, wrong)()
        assert kind == "map" and [ident for _, ident in found] == [3]
