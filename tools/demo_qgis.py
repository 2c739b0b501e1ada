# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's part inside QGIS: drives the dock's own widgets from dated layers to a styled map.

``tools/demo.py`` starts ``qgis --code`` with this file. What it is to do stands in a JSON file named by the
environment variable TIMO_DEMO: ``series``, ``labels``, ``out`` (folders and files), ``epochs``, ``headless``.
It ends with ``out/qgis.json``: ``{"map": ..., "bundle": ...}``, or ``{"error": one sentence}``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractButton, QDockWidget, QLabel, QLineEdit, QWidget
from qgis.utils import iface, plugins

TASK = json.loads(Path(os.environ["TIMO_DEMO"]).read_text(encoding="utf-8"))
OUT = Path(TASK["out"])
PART = "train"
LONGEST_SILENCE = 300


class Wait(NamedTuple):
    """What the story waits for, how it is said when it does not come, and for how many seconds."""

    until: Callable[[], Any]
    what: str
    seconds: float = 60


class FailedError(Exception):
    """The demo cannot go on; the text is the sentence to print."""


def story() -> Iterator[Wait]:
    """The main job, as an analyst does it."""
    _arrange()
    rasters, labels = _add_layers()
    yield Wait(lambda: not iface.mapCanvas().isDrawing(), "the layers were not drawn")
    plugins["timo_qgis"].action.trigger()
    yield Wait(lambda: plugins["timo_qgis"].dock, "the dock did not open", 20)
    dock = plugins["timo_qgis"].dock
    backend = dock.shared.backend

    yield Wait(lambda: backend.state.phase in ("ready", "missing", "failed"), "the backend did not start", 90)
    if not backend.state.ready:
        raise FailedError(f"{backend.state.message} {backend.state.action}")

    _tell("Making the series")
    _page(dock, 0)
    yield Wait(lambda: len(dock.series.rows) == len(rasters), "the Series page does not list the layers")
    _type(_find(QLineEdit, "timoSeriesName"), "forest")
    _click(_find(QAbstractButton, "timoSeriesTickAll"))
    yield from _shoot("series")

    _tell("Training the model")
    _page(dock, 1)
    _find(QWidget, "timoTrainLabels").setLayer(labels)
    _find(QWidget, "timoTrainField").setField("class")
    _type(_find(QLineEdit, "timoTrainName"), "forest-loss")
    if TASK.get("epochs"):
        _find(QWidget, "timoTrain_epochs").setValue(TASK["epochs"])
    run = _find(QAbstractButton, "timoTrainRun")
    yield Wait(run.isEnabled, _reason("timoTrainReason"), 30)
    _click(run)
    yield Wait(lambda: dock.train.box.job is not None, _reason("timoTrainReason"), 60)
    yield from _follow(dock.train.box, "train")

    _click(_find(QAbstractButton, "timoTrainOpen"))
    yield Wait(lambda: dock.predict.model() is not None, "the trained model is not on the Predict page", 30)
    _tell("Mapping")
    out = OUT / "map.tif"
    _find(QWidget, "timoPredictOut").setFilePath(str(out))
    run = _find(QAbstractButton, "timoPredictRun")
    yield Wait(run.isEnabled, _reason("timoPredictReason"), 30)
    _click(run)
    yield Wait(lambda: dock.predict.box.job is not None, _reason("timoPredictReason"), 60)
    yield from _follow(dock.predict.box, "predict")
    yield Wait(lambda: QgsProject.instance().mapLayersByName("map"), "the map did not arrive as a layer", 60)
    yield from _shoot("predict")
    yield from _show_map(dock, labels)

    bundle = Path(dock.train.box.job.outputs()["bundle"])
    shutil.copytree(bundle, OUT / "bundle")
    QgsProject.instance().write(str(OUT / "demo.qgz"))
    _finish({"map": str(out), "bundle": str(OUT / "bundle")})


def _arrange() -> None:
    """One tidy window: layers on the left, the dock on the right."""
    window = iface.mainWindow()
    for dock in window.findChildren(QDockWidget):
        if dock.objectName() not in ("Layers", "TimoDock"):
            dock.hide()
    if TASK["headless"]:
        window.showNormal()
        window.resize(1600, 1000)
        window.move(0, 0)


def _add_layers() -> tuple[list[QgsRasterLayer], QgsVectorLayer]:
    project = QgsProject.instance()
    files = sorted(Path(TASK["series"]).glob("*.tif"))
    if not files:
        raise FailedError(f"There are no rasters in {TASK['series']}: run tools/demo_data.py first.")
    rasters = [QgsRasterLayer(str(path), path.stem, "gdal") for path in files]
    labels = QgsVectorLayer(TASK["labels"], "labels", "ogr")
    broken = [layer.source() for layer in [*rasters, labels] if not layer.isValid()]
    if broken:
        raise FailedError(f"QGIS cannot open {broken[0]}.")
    labels.setSubsetString(f"\"part\" = '{PART}'")
    project.setCrs(rasters[0].crs())
    group = project.layerTreeRoot().addGroup("Sentinel-2")
    project.addMapLayers(rasters, False)
    for raster in reversed(rasters):
        group.addLayer(raster).setItemVisibilityChecked(raster is rasters[-1])
    for node in group.findLayers():
        node.setExpanded(False)
    project.addMapLayer(labels)
    iface.mapCanvas().setExtent(rasters[0].extent())
    iface.mapCanvas().refresh()
    return rasters, labels


def _follow(box: Any, name: str) -> Iterator[Wait]:
    """Wait for a job's end; take a picture when it is half done."""
    shot = name != "train"
    while not box.job.final:
        if not shot and box.job.fraction > 0.5:
            shot = True
            yield from _shoot(name)
        yield Wait(
            partial(_moved, box, box.job), f"the job '{box.job.name}' says nothing any more", LONGEST_SILENCE
        )
    if box.job.state != "succeeded":
        error = box.job.error or {}
        raise FailedError(f"{error.get('message', box.job.state_name)} {error.get('action', '')}".strip())
    if not shot:
        yield from _shoot(name)


def _moved(box: Any, before: Any) -> bool:
    return box.job is not before


def _show_map(dock: Any, labels: QgsVectorLayer) -> Iterator[Wait]:
    _page(dock, 3)
    dock.jobs.view.selectRow(0)
    yield from _shoot("jobs")
    root = QgsProject.instance().layerTreeRoot()
    root.findLayer(labels.id()).setItemVisibilityChecked(False)
    layer = QgsProject.instance().mapLayersByName("map")[0]
    iface.setActiveLayer(layer)
    iface.mapCanvas().setExtent(layer.extent())
    _page(dock, 2)
    yield from _shoot("map")


def _shoot(name: str) -> Iterator[Wait]:
    """A picture of the whole window, when all is drawn."""
    iface.mapCanvas().refresh()
    for _ in range(3):  # drawing may begin again once widgets have found their sizes
        since = time.monotonic()
        yield Wait(partial(_still, since), "QGIS does not finish drawing")
    iface.mainWindow().grab().save(str(OUT / f"{name}.png"))


def _still(since: float) -> bool:
    return time.monotonic() - since > 0.3 and not iface.mapCanvas().isDrawing()


def _page(dock: Any, number: int) -> None:
    dock.tabs.setCurrentIndex(number)


def _find(kind: type, name: str) -> Any:
    widget = iface.mainWindow().findChild(kind, name)
    if widget is None:
        raise FailedError(f"The dock has no widget '{name}'.")
    return widget


def _click(button: QAbstractButton) -> None:
    QTest.mouseClick(
        button, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, button.rect().center()
    )


def _type(line: QLineEdit, text: str) -> None:
    line.selectAll()
    QTest.keyClicks(line, text)
    QTest.keyClick(line, Qt.Key.Key_Return)


def _reason(name: str) -> str:
    """What the page says beside its button: read when it is needed."""
    return f"label:{name}"


def _tell(step: str) -> None:
    """A line for who started the demo."""
    print(f"demo: {step}", flush=True)


def _finish(result: dict) -> None:
    part = OUT / "qgis.json.part"
    part.write_text(json.dumps(result), encoding="utf-8")
    part.replace(OUT / "qgis.json")
    if TASK["headless"]:
        QgsProject.instance().clear()  # else QGIS asks what to do with layers in a temporary folder
        QTimer.singleShot(0, iface.actionExit().trigger)


class Driver:
    """Runs the story from QGIS's event loop, so that the interface lives while it waits."""

    def __init__(self) -> None:
        self._story = story()
        self._wait: Wait | None = None
        self._since = 0.0
        self._timer = QTimer()
        self._timer.setInterval(100)
        self._timer.timeout.connect(self._step)
        self._timer.start()

    def _step(self) -> None:
        try:
            if self._wait is not None and not self._wait.until():
                if time.monotonic() - self._since > self._wait.seconds:
                    raise FailedError(_sentence(self._wait.what))
                return
            self._wait = next(self._story)
            self._since = time.monotonic()
        except StopIteration:
            self._timer.stop()
        except FailedError as error:
            self._timer.stop()
            _finish({"error": str(error)})
        except Exception as error:
            self._timer.stop()
            traceback.print_exc(file=sys.stderr)
            _finish({"error": f"The demo's script failed: {error!r}."})


def _sentence(what: str) -> str:
    if what.startswith("label:"):
        text = _find(QLabel, what.partition(":")[2]).text()
        return text or "The dock's button stays disabled."
    return f"{what[:1].upper()}{what[1:]}."


driver = Driver()
