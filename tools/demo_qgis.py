# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's part inside QGIS: drives the dock's own widgets from dated layers to a styled map.

``tools/demo.py`` starts ``qgis --code`` with this file. What it is to do stands in a JSON file named by the
environment variable TIMO_DEMO: ``series``, ``labels``, ``out`` (folders and files), ``epochs``, ``headless``.
It ends with ``out/qgis.json``: ``{"map": ..., "bundle": ...}``, or ``{"error": one sentence}``.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtWidgets import QAbstractButton, QLineEdit, QWidget
from qgis.utils import iface, plugins

sys.path.insert(0, os.environ["TIMO_TOOLS"])

from qgis_story import (
    OUT,
    TASK,
    Driver,
    FailedError,
    Wait,
    arrange,
    click,
    find,
    finish,
    follow,
    open_dock,
    page,
    reason,
    settle,
    tell,
    type_text,
)

PART = "train"


def story() -> Iterator[Wait]:
    """The main job, as an analyst does it."""
    arrange()
    rasters, labels = _add_layers()
    yield Wait(lambda: not iface.mapCanvas().isDrawing(), "the layers were not drawn")
    yield from open_dock()
    dock = plugins["timo_qgis"].dock
    tell("Making the series")
    page(dock, 0)
    yield Wait(lambda: len(dock.series.rows) == len(rasters), "the Series page does not list the layers")
    type_text(find(QLineEdit, "timoSeriesName"), "forest")
    click(find(QAbstractButton, "timoSeriesTickAll"))
    yield from _shoot("series")

    tell("Training the model")
    page(dock, 1)
    find(QWidget, "timoTrainLabels").setLayer(labels)
    find(QWidget, "timoTrainField").setField("class")
    type_text(find(QLineEdit, "timoTrainName"), "forest-loss")
    if TASK.get("epochs"):
        find(QWidget, "timoTrain_epochs").setValue(TASK["epochs"])
    run = find(QAbstractButton, "timoTrainRun")
    yield Wait(run.isEnabled, reason("timoTrainReason"), 30)
    click(run)
    yield Wait(lambda: dock.train.box.job is not None, reason("timoTrainReason"), 60)
    yield from follow(dock.train.box, partial(_shoot, "train"))

    click(find(QAbstractButton, "timoTrainOpen"))
    yield Wait(lambda: dock.predict.model() is not None, "the trained model is not on the Predict page", 30)
    tell("Mapping")
    out = OUT / "map.tif"
    find(QWidget, "timoPredictOut").setFilePath(str(out))
    run = find(QAbstractButton, "timoPredictRun")
    yield Wait(run.isEnabled, reason("timoPredictReason"), 30)
    click(run)
    yield Wait(lambda: dock.predict.box.job is not None, reason("timoPredictReason"), 60)
    yield from follow(dock.predict.box)
    yield Wait(lambda: QgsProject.instance().mapLayersByName("map"), "the map did not arrive as a layer", 60)
    yield from _shoot("predict")
    yield from _show_map(dock, labels)

    bundle = Path(dock.train.box.job.outputs()["bundle"])
    shutil.copytree(bundle, OUT / "bundle")
    QgsProject.instance().write(str(OUT / "demo.qgz"))
    finish({"map": str(out), "bundle": str(OUT / "bundle")})


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


def _show_map(dock: Any, labels: QgsVectorLayer) -> Iterator[Wait]:
    page(dock, 3)
    dock.jobs.view.selectRow(0)
    yield from _shoot("jobs")
    root = QgsProject.instance().layerTreeRoot()
    root.findLayer(labels.id()).setItemVisibilityChecked(False)
    layer = QgsProject.instance().mapLayersByName("map")[0]
    iface.setActiveLayer(layer)
    iface.mapCanvas().setExtent(layer.extent())
    page(dock, 2)
    yield from _shoot("map")


def _shoot(name: str) -> Iterator[Wait]:
    """A picture of the whole window, when all is drawn."""
    yield from settle()
    iface.mainWindow().grab().save(str(OUT / f"{name}.png"))


driver = Driver(story())
