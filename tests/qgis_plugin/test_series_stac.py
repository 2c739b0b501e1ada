# SPDX-License-Identifier: GPL-3.0-or-later
"""What a STAC catalogue finds becomes a series: searched with the backend's own program, over real HTTP."""

from __future__ import annotations

import json

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRectangle
from qgis.PyQt.QtCore import QDate, Qt
from qgis.PyQt.QtWidgets import QApplication

ANSWER = 60_000
RED = {
    "href": "https://example.org/B04.tif", "type": "image/tiff; application=geotiff",
    "eo:bands": [{"name": "B04", "common_name": "red"}],
}  # fmt: skip


@pytest.fixture
def server(stac_server):
    for day, cloud in ((1, 10), (11, 0), (21, 90), (31, 20)):
        stac_server.items.append(item(f"scene-{day:02}", f"2020-01-{day:02}T10:00:00Z", cloud))
    return stac_server


def item(name, when, cloud):
    ring = [[3, 50], [4, 50], [4, 51], [3, 51], [3, 50]]
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "s2", "links": [],
        "stac_extensions": ["https://stac-extensions.github.io/eo/v1.1.0/schema.json"],
        "bbox": [3, 50, 4, 51], "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": when, "eo:cloud_cover": cloud}, "assets": {"B04": RED},
    }  # fmt: skip


@pytest.fixture
def dialog(dock, server, backend_program, monkeypatch, qtbot):
    """The dialog, filled in for the server."""
    dock.shared.settings.backend_program = str(backend_program)
    dock.series.add.search_asked.emit()
    asked = next(w for w in QApplication.topLevelWidgets() if w.objectName() == "timoStac" and w.isVisible())
    asked.address.setCurrentText(server.url)
    asked.collection.setCurrentText("s2")
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    asked.area.setOutputExtentFromUser(QgsRectangle(3.2, 50.2, 3.4, 50.4), degrees)
    asked.first.setDate(QDate(2020, 1, 1))
    asked.last.setDate(QDate(2020, 12, 31))
    yield asked


def press(qtbot, button):
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_found_days_become_a_series_that_a_job_takes(dialog, dock, qtbot):
    press(qtbot, dialog.search)
    qtbot.waitUntil(dialog.take.isEnabled, timeout=ANSWER)
    assert dialog.told.text().splitlines() == [
        "3 scenes, 3 dates from 2020-01-01 to 2020-01-31. 1 more has too many clouds.", "Bands: red.",
    ]  # fmt: skip
    press(qtbot, dialog.take)
    page = dock.series
    assert page.store.names == ["series", "s2"]
    assert page.why_not() == ""
    assert page.summary.text() == "3 scenes, 3 dates from 2020-01-01 to 2020-01-31."
    assert [row.clear for row in page.rows] == [0.9, 1.0, 0.8]
    page.model.tick([1], False)
    path = page.write()
    written = json.loads(path.read_text(encoding="utf-8"))
    assert path.suffix == ".json"
    assert written["skip"] == ["scene-11"]
    assert (written["collections"], written["cloud"], written["bbox"]) == (["s2"], 30, [3.2, 50.2, 3.4, 50.4])


def test_a_search_comes_back_with_the_project(dialog, dock, qtbot, tmp_path):
    press(qtbot, dialog.search)
    qtbot.waitUntil(dialog.take.isEnabled, timeout=ANSWER)
    press(qtbot, dialog.take)
    project = QgsProject.instance()
    assert project.write(str(tmp_path / "p.qgz"))
    project.clear()
    qtbot.waitUntil(lambda: dock.series.rows == [])
    assert project.read(str(tmp_path / "p.qgz"))
    qtbot.waitUntil(lambda: dock.series.date_count() == 3)


def test_what_the_catalogue_refuses_is_said_in_its_words(dialog, qtbot):
    dialog.collection.setCurrentText("landsat")
    press(qtbot, dialog.search)
    qtbot.waitUntil(lambda: "no collection 'landsat'" in dialog.told.text(), timeout=ANSWER)
    assert not dialog.take.isEnabled()
    assert dialog.search.isEnabled()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.address.setCurrentText("earth search"), "it begins with https://"),
        (lambda d: d.collection.setCurrentText(" "), "Name a collection"),
        (lambda d: d.first.setDate(QDate(2021, 1, 1)), "The first day lies behind the last"),
    ],
)
def test_what_is_missing_is_said_before_the_search(dialog, change, sentence):
    change(dialog)
    assert sentence in dialog.told.text()
    assert not dialog.search.isEnabled()


def test_a_changed_field_gives_up_the_search(dialog, server, qtbot):
    server.slow = 2
    press(qtbot, dialog.search)
    assert dialog.searcher.running
    dialog.cloud.setValue(95)
    assert not dialog.searcher.running
    assert dialog.search.isEnabled()


def test_without_a_backend_the_dialog_says_so(dialog, qtbot):
    dialog.searcher.program = "/nowhere/timo-backend"
    press(qtbot, dialog.search)
    assert dialog.told.text() == "This needs the TiMo backend: see the top of the panel."
