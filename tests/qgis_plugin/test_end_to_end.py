# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job with the real backend: from ticked layers to a styled map, by the widgets."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from osgeo import ogr
from qgis.core import QgsApplication, QgsPalettedRasterRenderer, QgsPointXY, QgsProject
from qgis.PyQt.QtCore import QEvent, QObject, Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel, QLineEdit, QMessageBox, QWidget

SIZE = 96
READY, JOB = 60_000, 240_000


@pytest.fixture
def scene(add_raster):
    """Five dates of a scene whose left part grows green and whose right part does not."""
    generator = np.random.default_rng(0)
    for number in range(5):
        values = generator.integers(200, 400, (4, SIZE, SIZE)).astype(np.uint16)
        values[3, :, : SIZE // 2] += np.uint16(600 * number)
        add_raster(f"S2_{dt.date(2020, 3 + number, 1):%Y%m%d}.tif", values=values)


@pytest.fixture
def fields(make_labels):
    boxes = [(x, y, x + 10, y + 10) for x in range(2, SIZE - 10, 14) for y in range(2, SIZE - 10, 14)]
    return make_labels(
        [("crop" if box[2] <= SIZE // 2 else "bare", box) for box in boxes if not box[0] < 48 < box[2]]
    )


@pytest.fixture
def running(plugin, scene, fields, backend_program, monkeypatch, tmp_path, qtbot):
    """The dock with a backend that it started itself, and the series ticked."""
    monkeypatch.setenv("TIMO_BACKEND", str(backend_program))
    dock = plugin.open()
    qtbot.waitUntil(lambda: dock.shared.backend.state.ready, timeout=READY)
    qtbot.waitUntil(lambda: len(dock.series.rows) == 5)
    press(qtbot, dock, "timoSeriesTickAll")
    yield dock
    dock.shared.backend.close()  # else it would start the backend again
    subprocess.run(
        [str(backend_program), "stop", "--home", str(tmp_path / "home")],
        check=False,
        capture_output=True,
        timeout=30,
    )


def press(qtbot, dock, name):
    button = dock.findChild(QAbstractButton, name)
    qtbot.waitUntil(button.isEnabled, timeout=10_000)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def train(qtbot, dock, epochs, name):
    dock.tabs.setCurrentWidget(dock.train)
    line = dock.findChild(QLineEdit, "timoTrainName")
    line.selectAll()
    qtbot.keyClicks(line, name)
    dock.findChild(QWidget, "timoTrain_epochs").setValue(epochs)
    before = dock.train.box.job
    press(qtbot, dock, "timoTrainRun")
    qtbot.waitUntil(
        lambda: dock.train.box.job is not before and dock.train.box.job is not None, timeout=20_000
    )


def test_from_ticked_layers_to_a_styled_map(running, qtbot):
    dock = running
    train(qtbot, dock, 2, "fields-2020")
    qtbot.waitUntil(lambda: dock.train.box.job.final, timeout=JOB)
    job = dock.train.box.job
    assert job.state == "succeeded", job.error
    assert [step for step, _ in job.metrics["train_loss"]] == [1, 2]

    press(qtbot, dock, "timoTrainOpen")
    assert dock.tabs.currentWidget() is dock.predict
    qtbot.waitUntil(lambda: dock.predict.model() is not None and dock.predict.model().name == "fields-2020")
    dock.predict.area.choose("layer")
    press(qtbot, dock, "timoPredictEstimate")
    answer = dock.findChild(QLabel, "timoPredictEstimateAnswer")
    qtbot.waitUntil(lambda: "will take" in answer.text(), timeout=JOB)
    assert "fit" in answer.text() and "MB" in answer.text()
    press(qtbot, dock, "timoPredictRun")
    qtbot.waitUntil(lambda: dock.predict.box.job is not None and dock.predict.box.job.final, timeout=JOB)
    assert dock.predict.box.job.state == "succeeded", dock.predict.box.job.error

    out = dock.predict.box.job.outputs()["map"]
    qtbot.waitUntil(
        lambda: any(layer.source() == out for layer in QgsProject.instance().mapLayers().values())
    )
    layer = next(layer for layer in QgsProject.instance().mapLayers().values() if layer.source() == out)
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    assert {c.label for c in layer.renderer().classes()} == {"crop", "bare"}
    assert "fields-2020" in layer.metadata().abstract()
    assert layer.dataProvider().sample(QgsPointXY(500005, 4999995), 1)[1] is False  # outside of the area
    assert layer.dataProvider().sample(QgsPointXY(500055, 4999945), 1)[1] is True
    assert len(dock.series.rows) == 5
    assert sum(not job.dry_run for job in dock.shared.backend.jobs.values()) == 2


@pytest.mark.slow
def test_unsure_places_of_a_map_teach_the_next_model_beside_the_first_labels(running, iface, fields, qtbot):
    dock = running
    train(qtbot, dock, 2, "first")
    qtbot.waitUntil(lambda: dock.train.box.job.final, timeout=JOB)
    press(qtbot, dock, "timoTrainOpen")
    qtbot.waitUntil(lambda: dock.predict.model() is not None and dock.predict.model().name == "first")
    press(qtbot, dock, "timoPredictRun")
    qtbot.waitUntil(lambda: dock.predict.box.job is not None and dock.predict.box.job.final, timeout=JOB)
    outputs, layers = dock.predict.box.job.outputs(), QgsProject.instance().mapLayers
    assert {"map", "confidence"} <= set(outputs)
    qtbot.waitUntil(lambda: any(layer.source() == outputs["map"] for layer in layers().values()))

    iface.active = next(layer for layer in layers().values() if layer.source() == outputs["map"])
    dock.results.actions["Unsure"].trigger()
    qtbot.waitUntil(lambda: iface.window.findChild(QWidget, "timoUnsure") is not None)
    dialog = iface.window.findChild(QWidget, "timoUnsure")
    dialog.count.setValue(6)
    dialog.go.click()
    qtbot.waitUntil(lambda: any(layer.name().endswith("-unsure") for layer in layers().values()))
    points = next(layer for layer in layers().values() if layer.name().endswith("-unsure"))
    points.startEditing()
    for feature in points.getFeatures():
        kind = "crop" if feature.geometry().asPoint().x() < 500000 + 5 * SIZE else "bare"
        if feature["rank"] > 1:  # of the first the analyst is not sure either
            points.changeAttributeValue(feature.id(), points.fields().lookupField("class"), kind)

    assert [part.layer for part in dock.train.labels.parts()] == [fields, points]
    train(qtbot, dock, 1, "second")
    qtbot.waitUntil(lambda: dock.train.box.job.final, timeout=JOB)
    job = dock.train.box.job
    assert job.state == "succeeded", job.error
    source = ogr.Open(job.spec["labels"])
    shapes = [feature.GetGeometryRef().GetGeometryName() for feature in source.GetLayer(0)]
    assert (shapes.count("POLYGON"), shapes.count("POINT")) == (fields.featureCount(), 5)
    card = json.loads((Path(job.outputs()["bundle"]) / "model.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in card["classes"]] == ["bare", "crop"]
    points.rollBack()


class Clicks(QObject):
    """Counts what a person presses, anywhere in QGIS."""

    count = 0

    def eventFilter(self, watched, event):
        # A press reaches the window first and then the widget: it is counted at the widget.
        if event.type() == QEvent.Type.MouseButtonPress and isinstance(watched, QWidget):
            self.count += 1
        return False


def test_a_map_takes_few_clicks(
    plugin, scene, fields, backend_program, monkeypatch, tmp_path, qtbot, qgis_app
):
    """From layers and labels in the project to a styled map: twelve clicks at most."""
    from timo_qgis.settings import Settings

    monkeypatch.setenv("TIMO_BACKEND", str(backend_program))
    Settings.load().save(finetune={"epochs": 2})  # as it was left the last time
    clicks = Clicks()
    qgis_app.installEventFilter(clicks)
    try:
        plugin.action.trigger()  # the button in the toolbar
        qtbot.waitUntil(lambda: plugin.dock is not None and plugin.dock.isVisible(), timeout=20_000)
        dock = plugin.dock
        qtbot.waitUntil(lambda: dock.shared.backend.state.ready, timeout=READY)
        qtbot.waitUntil(lambda: len(dock.series.rows) == 5)
        press(qtbot, dock, "timoSeriesTickAll")
        bar = dock.tabs.tabBar()
        qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(1).center())
        press(qtbot, dock, "timoTrainRun")
        qtbot.waitUntil(lambda: dock.train.box.job is not None and dock.train.box.job.final, timeout=JOB)
        press(qtbot, dock, "timoTrainOpen")
        qtbot.waitUntil(lambda: dock.predict.model() is not None)
        press(qtbot, dock, "timoPredictRun")
        qtbot.waitUntil(lambda: dock.predict.box.job is not None and dock.predict.box.job.final, timeout=JOB)
        out = dock.predict.box.job.outputs()["map"]
        layers = QgsProject.instance().mapLayers
        qtbot.waitUntil(lambda: any(layer.source() == out for layer in layers().values()))
        layer = next(layer for layer in layers().values() if layer.source() == out)
        assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
        assert 5 <= clicks.count + 1 <= 12, clicks.count
    finally:
        qgis_app.removeEventFilter(clicks)
        if plugin.dock is not None:
            plugin.dock.shared.backend.close()
        subprocess.run(
            [str(backend_program), "stop", "--home", str(tmp_path / "home")],
            check=False, capture_output=True, timeout=30,
        )  # fmt: skip


def test_running_job_is_cancelled(running, qtbot):
    dock = running
    train(qtbot, dock, 1000, "long")
    qtbot.waitUntil(lambda: "train_loss" in dock.train.box.job.metrics, timeout=JOB)
    press(qtbot, dock, "timoTrainCancel")
    asked = dock.train.findChild(QMessageBox, "timoQuestion")
    if asked is not None:  # something was learnt already
        asked.buttons()[
            [button.text().replace("&", "") for button in asked.buttons()].index("Cancel it")
        ].click()
    qtbot.waitUntil(lambda: dock.train.box.job.final, timeout=30_000)
    assert dock.train.box.job.state == "cancelled"
    assert not (dock.shared.settings.home_folder / "models" / "long").exists()


def test_job_that_fails_says_so_in_a_sentence(running, fields, qtbot):
    dock = running
    fields.startEditing()
    for feature in fields.getFeatures():
        geometry = feature.geometry()
        geometry.translate(100_000, 0)
        fields.changeGeometry(feature.id(), geometry)
    train(qtbot, dock, 1, "elsewhere")
    qtbot.waitUntil(lambda: dock.train.box.job.final, timeout=JOB)
    assert dock.train.box.job.state == "failed"
    assert dock.findChild(QLabel, "timoTrainMessage").text().count(".") >= 1
    assert "Traceback" not in dock.findChild(QLabel, "timoTrainMessage").text()
    fields.rollBack()


@pytest.mark.skipif(os.name == "nt", reason="kills a process as POSIX does")
def test_backend_that_is_killed_is_started_again_and_knows_its_jobs(running, qtbot, tmp_path):
    dock = running
    train(qtbot, dock, 1000, "long")
    qtbot.waitUntil(lambda: dock.train.box.job.state == "running", timeout=JOB)
    job = dock.train.box.job.id
    connection = json.loads((tmp_path / "home" / "connection.json").read_text(encoding="utf-8"))
    phases = []
    dock.shared.backend.state_changed.connect(lambda state: phases.append(state.phase))
    os.kill(connection["pid"], signal.SIGKILL)
    qtbot.waitUntil(lambda: phases[-1:] == ["ready"], timeout=READY)
    qtbot.waitUntil(lambda: dock.shared.backend.jobs[job].state != "running", timeout=30_000)
    if not dock.shared.backend.jobs[job].final:
        dock.shared.backend.cancel(job)
        qtbot.waitUntil(lambda: dock.shared.backend.jobs[job].final, timeout=30_000)


def test_jobs_are_there_again_when_qgis_was_closed_meanwhile(running, package, make_iface, qtbot):
    first = running
    train(qtbot, first, 1000, "long")
    qtbot.waitUntil(lambda: "train_loss" in first.train.box.job.metrics, timeout=JOB)
    first.shared.backend.close()

    plugin = package.classFactory(make_iface())
    plugin.initGui()
    second = plugin.open()
    try:
        qtbot.waitUntil(lambda: second.jobs.model.rowCount() == 1, timeout=READY)
        qtbot.waitUntil(lambda: second.train.box.job is not None, timeout=10_000)
        qtbot.waitUntil(lambda: "train_loss" in second.train.box.job.metrics, timeout=10_000)
        assert second.train.box.job.metrics["train_loss"][0][0] == 1
        second.shared.backend.cancel(second.train.box.job.id)
        qtbot.waitUntil(lambda: second.train.box.job.final, timeout=30_000)
    finally:
        plugin.unload()


def test_trained_model_is_judged_and_a_cell_selects_its_labels(running, fields, iface, qtbot):
    dock = running
    train(qtbot, dock, 2, "judged")
    qtbot.waitUntil(lambda: dock.train.result.isVisibleTo(dock), timeout=JOB)
    result = dock.train.result
    assert "pixels kept from the training are mapped right" in result.title.text()
    assert [one.name for one in result.scores.classes] == ["bare", "crop"]
    result.confusion.asked.emit(0, 1)
    qtbot.waitUntil(lambda: bool(iface.canvas.zoomed), timeout=10_000)
    assert 0 < fields.selectedFeatureCount() < fields.featureCount()
    assert {feature["class"] for feature in fields.getSelectedFeatures()} == {"bare"}
    fields.removeSelection()

    press(qtbot, dock, "timoTrainCheck")
    dialog = next(one for one in QgsApplication.topLevelWidgets() if one.objectName() == "timoEvaluate")
    qtbot.waitUntil(dialog.isVisible)
    press(qtbot, dialog, "timoEvaluateRun")
    qtbot.waitUntil(lambda: dialog.result.isVisibleTo(dialog), timeout=JOB)
    assert dialog.box.job.state == "succeeded", dialog.box.job.error
    assert dialog.result.scores.page.name == "index.html"
    dialog.result.confusion.asked.emit(0, 0)
    qtbot.waitUntil(lambda: len(iface.canvas.zoomed) == 2, timeout=10_000)
    assert {feature["class"] for feature in fields.getSelectedFeatures()} == {"bare"}
    dialog.close()
