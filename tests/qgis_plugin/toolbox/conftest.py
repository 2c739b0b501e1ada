# SPDX-License-Identifier: GPL-3.0-or-later
"""Algorithms as Processing makes them, a scene with its labels, and the backend that they start."""

from __future__ import annotations

import datetime as dt
import subprocess
import threading

import numpy as np
import pytest
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRendererCategory,
    QgsSymbol,
)
from qgis.PyQt.QtGui import QColor

SIZE = 96


class Feedback(QgsProcessingFeedback):
    """Remembers what the analyst is told."""

    def __init__(self):
        super().__init__()
        self.lines, self.texts, self.warnings, self.steps = [], [], [], []
        self.progressChanged.connect(self.steps.append)
        self._told = threading.Condition()

    def pushInfo(self, text):
        self.lines.append(text)

    def pushWarning(self, text):
        self.warnings.append(text)

    def setProgressText(self, text):
        with self._told:
            self.texts.append(text)
            self._told.notify_all()

    def cancel_at(self, part, seconds):
        """Cancel, in a thread, as soon as a text with this is told; the event says whether it was."""
        came = threading.Event()

        def wait():
            with self._told:
                if self._told.wait_for(lambda: any(part in text for text in self.texts), seconds):
                    came.set()
            self.cancel()

        threading.Thread(target=wait, daemon=True).start()
        return came


@pytest.fixture
def make_feedback():
    return Feedback


@pytest.fixture
def algorithm(plugin):
    """A new algorithm, as a run gets it."""
    return lambda task: QgsApplication.processingRegistry().createAlgorithmById(f"timo:{task}")


@pytest.fixture
def context():
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context


@pytest.fixture
def scene(add_raster):
    """Five dates of a scene whose left part grows green and whose right part does not."""
    generator = np.random.default_rng(0)
    layers = []
    for number in range(5):
        values = generator.integers(200, 400, (4, SIZE, SIZE)).astype(np.uint16)
        values[3, :, : SIZE // 2] += np.uint16(600 * number)
        layers.append(add_raster(f"S2_{dt.date(2020, 3 + number, 1):%Y%m%d}.tif", values=values))
    return layers


@pytest.fixture
def fields(make_labels):
    """Parcels of two classes, crop drawn in #2f9e6e."""
    boxes = [(x, y, x + 10, y + 10) for x in range(2, SIZE - 10, 14) for y in range(2, SIZE - 10, 14)]
    layer = make_labels(
        [("crop" if box[2] <= SIZE // 2 else "bare", box) for box in boxes if not box[0] < 48 < box[2]]
    )
    categories = []
    for value, color in (("crop", "#2f9e6e"), ("bare", "#d9822b")):
        symbol = QgsSymbol.defaultSymbol(layer.geometryType())
        symbol.setColor(QColor(color))
        categories.append(QgsRendererCategory(value, symbol, value))
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", categories))
    return layer


@pytest.fixture
def real_backend(backend_program, monkeypatch, tmp_path):
    """The backend that an algorithm starts by itself; it is ended afterwards."""
    monkeypatch.setenv("TIMO_BACKEND", str(backend_program))
    yield backend_program
    subprocess.run(
        [str(backend_program), "stop", "--home", str(tmp_path / "home")],
        check=False,
        capture_output=True,
        timeout=30,
    )


@pytest.fixture
def bundle(tmp_path):
    """What looks like a model until it is read."""
    folder = tmp_path / "a-model"
    folder.mkdir()
    (folder / "model.json").write_text("{}", encoding="utf-8")
    return folder
