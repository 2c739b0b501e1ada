# SPDX-License-Identifier: GPL-3.0-or-later
"""An evaluation of the scene's model."""

import pytest

from tests.scenes import write_polygons
from tests.timo.tasks.evaluate.judged import BOXES, read
from timo import tasks
from timo.tasks.specs import load


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "judged.gpkg"
    write_polygons(path, BOXES)
    return path


@pytest.fixture
def evaluate(scene, bundle, labels, tmp_path):
    def run(reporter=None, **more):
        given = {
            "series": str(scene.folder),
            "model": str(bundle),
            "labels": str(labels),
            "class_field": "kind",
            "out": str(tmp_path / "report"),
        }
        return tasks.run("evaluate", load("evaluate", {**given, **more}), reporter)

    return run


@pytest.fixture
def mapped(scene, bundle, tmp_path):
    """(H, W) the map that predict makes, and its confidence."""
    scene.predict(bundle, tmp_path / "map.tif", confidence=str(tmp_path / "c.tif"))
    return read(tmp_path / "map.tif"), read(tmp_path / "c.tif")
