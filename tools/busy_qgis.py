# SPDX-License-Identifier: GPL-3.0-or-later
"""QGIS with much to do: hundreds of layers and jobs, and a job that tells a thousand things a second.

``benchmarks/responsiveness.py`` starts ``qgis --code`` with this file. A JSON file tells its task:
the variable TIMO_DEMO names it. ``folder`` with dated rasters, ``jobs`` (how many the backend has),
``seconds`` to look at each page.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtWidgets import QAbstractButton, QLineEdit
from qgis.utils import plugins

sys.path.insert(0, os.environ["TIMO_TOOLS"])

from qgis_story import TASK, Driver, FailedError, Wait, arrange, click, find, finish, open_dock, page, tell

SERIES, TRAIN, PREDICT, JOBS = range(4)


def story() -> Iterator[Wait]:
    """What an analyst of a large project does, page by page."""
    arrange()
    layers = [
        QgsRasterLayer(str(path), path.stem, "gdal") for path in sorted(Path(TASK["folder"]).glob("*.tif"))
    ]
    QgsProject.instance().addMapLayers(layers)
    yield from open_dock()
    dock = plugins["timo_qgis"].dock
    page(dock, SERIES)
    yield Wait(lambda: len(dock.series.rows) == len(layers), "the Series page does not list the layers")
    click(find(QAbstractButton, "timoSeriesTickAll"))
    yield from _look("series")
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
    seen = (_running(dock).last_seq - before) / (time.monotonic() - began)
    finish({"jobs": len(jobs.model.jobs), "layers": len(dock.series.rows), "events_per_second": seen})


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
