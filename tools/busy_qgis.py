# SPDX-License-Identifier: GPL-3.0-or-later
"""QGIS with much to do: hundreds of layers and jobs, thousands of labels, 1,000 events a second of a job.

``benchmarks/responsiveness.py`` starts ``qgis --code`` with this file. A JSON file tells its task:
the variable TIMO_DEMO names it. ``folder`` with dated rasters, ``jobs`` (how many the backend has),
``labels`` (how many polygons are labelled), ``seconds`` to look at each page.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRasterLayer, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractButton, QDialog, QLineEdit
from qgis.utils import plugin_times, plugins

sys.path.insert(0, os.environ["TIMO_TOOLS"])

from qgis_story import TASK, Driver, FailedError, Wait, arrange, click, find, finish, open_dock, page, tell

SERIES, TRAIN, PREDICT, JOBS = range(4)


def story() -> Iterator[Wait]:
    """What an analyst of a large project does, page by page."""
    arrange()
    layers = [
        QgsRasterLayer(str(path), path.stem, "gdal") for path in sorted(Path(TASK["folder"]).glob("*.tif"))
    ]
    QgsProject.instance().addMapLayers([*layers, _labels(TASK["labels"])])
    yield from open_dock()
    dock = plugins["timo_qgis"].dock
    page(dock, SERIES)
    yield Wait(lambda: len(dock.series.rows) == len(layers), "the Series page does not list the layers")
    click(find(QAbstractButton, "timoSeriesTickAll"))
    yield from _look("series")
    for key in (Qt.Key.Key_Home, *[Qt.Key.Key_Right] * 10, Qt.Key.Key_End):
        QTest.keyClick(dock.series.timeline, key)
        yield from _pause(0.2)
    page(dock, JOBS)
    jobs = dock.jobs
    yield Wait(lambda: len(jobs.model.jobs) >= TASK["jobs"], "the Jobs page does not list the jobs")
    running = _running(dock)
    began, before = time.monotonic(), running.last_seq
    jobs.view.selectRow(jobs.view.proxy.mapFromSource(jobs.model.index(jobs.model.row(running.id), 0)).row())
    yield from _look("jobs")
    search = find(QLineEdit, "timoJobsFilter")
    for text in ("m", "ma", "map", ""):
        search.setText(text)
        yield from _pause(0.3)
    bar = jobs.view.verticalScrollBar()
    for value in range(0, bar.maximum(), max(1, bar.maximum() // 20)):
        bar.setValue(value)
        yield from _pause(0.1)
    for number, name in ((TRAIN, "train"), (PREDICT, "predict"), (SERIES, "series again")):
        page(dock, number)
        yield from _look(name)
    yield from _dialogs(dock)
    seen = (_running(dock).last_seq - before) / (time.monotonic() - began)
    finish({"jobs": len(jobs.model.jobs), "layers": len(dock.series.rows), "events_per_second": seen,
            "load_ms": 1000 * float(plugin_times["timo_qgis"].rstrip("s"))})  # fmt: skip


def _labels(count: int) -> QgsVectorLayer:
    """Squares with one of five classes, over the rasters."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32633&field=class:string", "labels", "memory")
    features = []
    for number in range(count):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([f"class {number % 5}"])
        x, y = 500000 + 9 * (number % 71), 5400000 - 9 * (number // 71)
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(x, y - 8, x + 8, y)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    return layer


def _dialogs(dock: Any) -> Iterator[Wait]:
    """Each window that a page opens, for a moment."""
    for number, button, window in (
        (JOBS, "timoJobsCleanUp", "timoCleanUp"),
        (PREDICT, "timoPredictModels", "timoModels"),
        (TRAIN, "timoTrainCheck", "timoEvaluate"),
        (TRAIN, "timoTrainNewLabels", "timoNewLabels"),
    ):
        page(dock, number)
        yield from _pause(0.3)
        click(find(QAbstractButton, button))
        yield from _pause(1)
        find(QDialog, window).reject()
        yield from _pause(0.3)


def _running(dock: Any) -> Any:
    found = [job for job in dock.jobs.model.jobs if job.state == "running"]
    if not found:
        raise FailedError("No job is running.")
    return found[0]


def _look(name: str) -> Iterator[Wait]:
    tell(name)
    yield from _pause(TASK["seconds"])


def _pause(seconds: float) -> Iterator[Wait]:
    until = time.monotonic() + seconds
    yield Wait(lambda: time.monotonic() > until, "time stands still")


driver = Driver(story())
