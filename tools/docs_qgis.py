# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's pictures, taken inside QGIS: each task from layers to accuracy, and the plugin's windows.

``tools/docs.py`` starts ``qgis --code`` with this file. What it is to do stands in a JSON file named by the
environment variable TIMO_DEMO: ``tasks`` (each with ``name``, ``folder``, ``labels``, ``epochs``), ``suffix``
of the pictures' names, ``width`` and ``height`` of the window. With no tasks it shows what is there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsProject,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsVectorLayer,
)
from qgis.PyQt.QtWidgets import QAbstractButton, QDialog, QLineEdit, QScrollArea, QWidget
from qgis.utils import iface, plugins
from timo_qgis.gui.compare_dialog import CompareDialog
from timo_qgis.gui.export_dialog import ExportDialog
from timo_qgis.gui.place_dialog import PlaceDialog
from timo_qgis.gui.unsure_dialog import UnsureDialog

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

PAGES = ("series", "train", "predict", "jobs")
COLOURS = {
    "forest": "#1b7837", "grassland": "#a6d96a", "cropland": "#e6c229",
    "water": "#2c7fb8", "built-up": "#c0392b", "winter cereals": "#e6c229", "summer cereals": "#e08214",
    "maize": "#1b7837", "flooded": "#2c7fb8", "dry": "#b08d57",
}  # fmt: skip


def story() -> Iterator[Wait]:
    """All tasks, then all pages and windows."""
    arrange(TASK["width"], TASK["height"])
    project = QgsProject.instance()
    yield from open_dock()
    dock = plugins["timo_qgis"].dock
    for task in TASK["tasks"]:
        tell(task["name"])
        yield from _one(dock, task)
    if not TASK["tasks"]:
        yield from _add(Path(TASK["folder"]), Path(TASK["labels"]))
        yield Wait(lambda: len(dock.series.rows) > 0, "the Series page does not list the layers")
        click(find(QAbstractButton, "timoSeriesTickAll"))
        layer = project.mapLayersByName("labels")[0]
        find(QWidget, "timoTrainLabels").setLayer(layer)
        find(QWidget, "timoTrainField").setField("class")
    yield from _pages(dock)
    if TASK["windows"]:
        yield from _windows(dock)
    finish({"pictures": sorted(path.name for path in (OUT / "shots").glob("*.png"))})


def _add(folder: Path, labels: Path) -> Iterator[Wait]:
    """A new project with a task's rasters and its labels, those to learn from and those to judge by."""
    project = QgsProject.instance()
    project.clear()
    rasters = [QgsRasterLayer(str(path), path.stem, "gdal") for path in sorted(folder.glob("*.tif"))]
    learn, judge = (QgsVectorLayer(str(labels), name, "ogr") for name in ("labels", "check"))
    broken = [layer.source() for layer in [*rasters, learn, judge] if not layer.isValid()]
    if broken or not rasters:
        raise FailedError(f"QGIS cannot open {broken[0] if broken else folder}.")
    project.setCrs(rasters[0].crs())
    for layer, part in ((learn, "train"), (judge, "test")):
        style = labels.with_suffix(".qml")
        if style.exists():
            layer.loadNamedStyle(str(style))
        else:
            _paint(layer)
        layer.setSubsetString(f"\"part\" = '{part}'")
    project.addMapLayers(rasters)
    project.addMapLayers([judge, learn])
    root = project.layerTreeRoot()
    root.findLayer(judge.id()).setItemVisibilityChecked(False)
    for node in root.findLayers():
        node.setExpanded(False)
    iface.mapCanvas().setExtent(rasters[0].extent())
    yield from settle()


def _paint(layer: QgsVectorLayer) -> None:
    """Give each class its colour."""
    kinds = sorted(layer.uniqueValues(layer.fields().indexOf("class")))
    symbols = [
        QgsFillSymbol.createSimple({"color": COLOURS[kind], "outline_color": "white", "outline_width": "0.3"})
        for kind in kinds
    ]
    layer.setRenderer(
        QgsCategorizedSymbolRenderer(
            "class", [QgsRendererCategory(*pair, pair[0]) for pair in zip(kinds, symbols)]
        )
    )


def _one(dock: Any, task: dict[str, Any]) -> Iterator[Wait]:
    """A task from its layers to the accuracy on labels that taught nothing."""
    name, project = task["name"], QgsProject.instance()
    yield from _add(Path(task["folder"]), Path(task["labels"]))
    count = len(list(Path(task["folder"]).glob("*.tif")))
    page(dock, 0)
    yield Wait(lambda: len(dock.series.rows) == count, "the Series page does not list the layers")
    type_text(find(QLineEdit, "timoSeriesName"), name)
    click(find(QAbstractButton, "timoSeriesTickAll"))
    yield from settle()
    yield from _still(3)
    yield from _shoot(f"{name}-series", iface.mainWindow())

    page(dock, 1)
    labels = project.mapLayersByName("labels")[0]
    find(QWidget, "timoTrainLabels").setLayer(labels)
    find(QWidget, "timoTrainField").setField("class")
    preset = find(QWidget, "timoTrain_preset")
    preset.setCurrentIndex(max(preset.findData(name), 0))
    type_text(find(QLineEdit, "timoTrainName"), name.replace("_", "-"))
    find(QWidget, "timoTrain_epochs").setValue(task["epochs"])
    run = find(QAbstractButton, "timoTrainRun")
    yield Wait(run.isEnabled, reason("timoTrainReason"), 30)
    _to_top(dock)
    yield from _shoot(f"{name}-labels", iface.mainWindow())
    before = dock.train.box.job
    click(run)
    yield Wait(lambda: dock.train.box.job not in (None, before), reason("timoTrainReason"), 60)
    yield from (_watched(dock) if task.get("curve") else follow(dock.train.box))
    bundle = Path(dock.train.box.job.outputs()["bundle"])

    click(find(QAbstractButton, "timoTrainOpen"))
    yield Wait(lambda: _chosen(dock, bundle), "the trained model is not on the Predict page", 30)
    find(QWidget, "timoPredictOut").setFilePath(str(OUT / "maps" / f"{name}.tif"))
    for output in ("Confidence", "Probabilities"):
        find(QAbstractButton, f"timoPredict{output}").setChecked(True)
    run = find(QAbstractButton, "timoPredictRun")
    yield Wait(run.isEnabled, reason("timoPredictReason"), 30)
    before = dock.predict.box.job
    click(run)
    yield Wait(lambda: dock.predict.box.job not in (None, before), reason("timoPredictReason"), 60)
    yield from follow(dock.predict.box)
    made = str(OUT / "maps" / f"{name}.tif")
    yield Wait(
        lambda: any(made in layer.source() for layer in project.mapLayers().values()),
        "the map did not arrive as a layer",
    )
    project.layerTreeRoot().findLayer(labels.id()).setItemVisibilityChecked(False)
    yield from _still(2)
    iface.messageBar().clearWidgets()
    yield from _shoot(f"{name}-map", iface.mainWindow())
    if task["results"]:
        yield from _results(dock, made)
    yield from _check(dock, name)


def _watched(dock: Any) -> Iterator[Wait]:
    """Wait for a training's end; pictures of what it shows while it runs, and then."""
    box = dock.train.preview
    yield Wait(lambda: box.isVisible() or dock.train.box.job.final, "no preview of the training came", 300)
    if not box.isVisible():
        raise FailedError("The training ended before a preview of it came.")
    dock.train.scroller.ensureWidgetVisible(box)
    yield from _shoot("preview", dock)
    yield from follow(dock.train.box)
    yield from _still(2)
    yield from _shoot("curve", dock)


def _chosen(dock: Any, bundle: Path) -> bool:
    model = dock.predict.model()
    return model is not None and Path(model.folder) == bundle


def _check(dock: Any, name: str) -> Iterator[Wait]:
    """The window that judges the model by the labels that were kept."""
    page(dock, 1)
    click(find(QAbstractButton, "timoTrainCheck"))
    dialog = find(QDialog, "timoEvaluate")
    yield Wait(lambda: dialog.model() is not None, "the window lists no model", 30)
    dialog.labels.layers.setLayer(QgsProject.instance().mapLayersByName("check")[0])
    dialog.labels.field.setField("class")
    yield Wait(dialog.footer.button.isEnabled, reason("timoEvaluateReason"), 30)
    click(dialog.footer.button)
    yield Wait(lambda: dialog.box.job is not None, reason("timoEvaluateReason"), 60)
    yield from follow(dialog.box)
    yield from _still(3)
    area = dialog.findChild(QWidget, "timoEvaluateScroll")
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    yield from _shoot(f"{name}-report", dialog)
    dialog.setObjectName("")
    dialog.close()
    dialog.deleteLater()


def _results(dock: Any, made: str) -> Iterator[Wait]:
    """The windows of what can be done with a map."""
    project = QgsProject.instance()
    layer = next(layer for layer in project.mapLayers().values() if layer.source() == made)
    iface.setActiveLayer(layer)
    for name, kind in (
        ("place", PlaceDialog), ("unsure", UnsureDialog), ("compare", CompareDialog), ("export", ExportDialog)
    ):  # fmt: skip
        dock.results.actions[name.title()].trigger()
        opened = partial(iface.mainWindow().findChildren, kind)
        yield Wait(opened, f"the window '{name}' did not open")
        dialog = opened()[0]
        if name == "place":
            first = next(project.mapLayersByName("labels")[0].getFeatures())
            dialog.ask(first.geometry().centroid().asPoint())
        yield from _shoot_and_close(name, dialog)
        dialog.deleteLater()
        yield from _still(0.5)


def _pages(dock: Any) -> Iterator[Wait]:
    for number, name in enumerate(PAGES):
        page(dock, number)
        if name == "jobs":
            dock.jobs.view.selectRow(0)
        _to_top(dock)
        yield from _still(2)
        yield from _shoot(name, iface.mainWindow() if TASK["whole"] else dock)
        yield from _shoot(f"screen-{name}", iface.mainWindow())


def _windows(dock: Any) -> Iterator[Wait]:
    """Windows of the plugin, one after the other."""
    dock.open_setup()
    yield from _shoot_and_close("setup", dock.setup, 4)
    for number, button, window, name in (
        (2, "timoPredictModels", "timoModels", "models"),
        (1, "timoTrainNewLabels", "timoNewLabels", "new-labels"),
        (3, "timoJobsCleanUp", "timoCleanUp", "clean-up"),
    ):
        page(dock, number)
        click(find(QAbstractButton, button))
        opened = partial(iface.mainWindow().findChild, QDialog, window)
        yield Wait(opened, f"the window '{window}' did not open")
        if name == "clean-up":
            click(find(QAbstractButton, "timoCleanUpAll"))
        yield from _shoot_and_close(name, opened())
    click(dock.help)
    yield from _shoot_and_close("help", find(QWidget, "timoHelp"))


def _to_top(dock: Any) -> None:
    for area in dock.findChildren(QScrollArea):
        area.verticalScrollBar().setValue(0)


def _still(seconds: float) -> Iterator[Wait]:
    """Let the interface work for so long."""
    until = time.monotonic() + seconds
    yield Wait(lambda: time.monotonic() > until, "time stands still")


def _shoot_and_close(name: str, window: QWidget, seconds: float = 2) -> Iterator[Wait]:
    """Take a window once it had so long to fill itself."""
    yield from _still(seconds)
    yield from _shoot(name, window)
    window.close()


def _shoot(name: str, widget: QWidget) -> Iterator[Wait]:
    yield from settle()
    (OUT / "shots").mkdir(exist_ok=True)
    widget.grab().save(str(OUT / "shots" / f"{name}{TASK['suffix']}.png"))


driver = Driver(story())
