# SPDX-License-Identifier: GPL-3.0-or-later
"""The polygons that a model is judged by, and what its report tells."""

import json

import numpy as np
import rasterio
from sklearn import metrics

from tests.scenes import SIDE, write_frame
from timo.errors import Cancelled
from timo.tasks.reporter import Reporter

# Where the scene's own labels are not, a wrong one among them.
BOXES = [
    *((row + 2, column + 25, 28, 6, "field" if row // 32 % 2 == 0 else "woods")
      for row in range(0, SIDE, 32) for column in range(0, SIDE, 32)),
    (66, 4, 8, 8, "woods"),
]  # fmt: skip


class Recorder(Reporter):
    def __init__(self, stop_after=None):
        self.fractions, self.logs, self.artifacts, self.left = [], [], [], stop_after

    def progress(self, fraction, message):
        self.fractions.append(fraction)

    def log(self, message, level="info"):
        self.logs.append((level, message))

    def artifact(self, path, kind):
        self.artifacts.append((kind, path))

    def check(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Cancelled

    @property
    def warnings(self):
        return " ".join(message for level, message in self.logs if level == "warning")


def read_report(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def read(path):
    with rasterio.open(path) as source:
        return source.read(1)


def reference():
    """(H, W) what the polygons say: 1 field, 2 woods, 0 nothing."""
    values = np.zeros((SIDE, SIDE), int)
    for row, column, height, width, name in BOXES:
        values[row : row + height, column : column + width] = 1 if name == "field" else 2
    return values


def with_a_hole(scene, folder, rows, columns):
    """The scene without data in a window, on all dates."""
    folder.mkdir()
    for path in scene.folder.glob("*.tif"):
        with rasterio.open(path) as source:
            values = source.read()
            values[:, rows, columns] = 0
            write_frame(folder / path.name, dict(zip(source.descriptions, values, strict=True)))
    return folder


def score(labels, maps):
    """The confusion matrix of maps where labels are."""
    pairs = [(one[one > 0], other[one > 0]) for one, other in zip(labels, maps, strict=True)]
    truth, found = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return metrics.confusion_matrix(truth, found, labels=[1, 2])
