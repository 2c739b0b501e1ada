# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene that the tasks are tested on, and a model trained on it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio

from tests.scenes import make_scene, write_frame
from tests.timo.tasks.blocks import SIDE
from timo import tasks
from timo.inference import sizing
from timo.tasks.specs import load


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    return make_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="session")
def bundle(scene, tmp_path_factory):
    """A model trained on the scene."""
    out = tmp_path_factory.mktemp("bundles") / "woods"
    scene.finetune(out)
    return out


@pytest.fixture
def card(bundle):
    return json.loads((bundle / "model.json").read_text())


@pytest.fixture(scope="session")
def large(scene, tmp_path_factory):
    """The scene, repeated until it fills several blocks."""
    folder = tmp_path_factory.mktemp("large")
    for path in scene.folder.glob("*.tif"):
        with rasterio.open(path) as source:
            names, values = source.descriptions, np.tile(source.read(), (1, 3, 3))[:, :SIDE, :SIDE]
        write_frame(folder / path.name, dict(zip(names, values, strict=True)))
    return folder


@pytest.fixture(scope="session")
def whole(large, bundle, tmp_path_factory):
    """The map of that, made in one go, and its probabilities."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizing, "LEAST_CHIPS", 1)
        patch.setattr(sizing, "BEST_SIDE", sizing.TILE)
        given = {"series": str(large), "model": str(bundle), "out": str(folder / "map.tif")}
        tasks.run("predict", load("predict", {**given, "probabilities": str(folder / "p.tif")}))
    return SimpleNamespace(map=folder / "map.tif", probabilities=folder / "p.tif")


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(sizing, "LEAST_CHIPS", 1)
    monkeypatch.setattr(sizing, "BEST_SIDE", sizing.TILE)


@pytest.fixture
def predict(large, bundle, tmp_path, small_blocks):
    def run(name="map.tif", reporter=None, **more):
        given = {"series": str(large), "model": str(bundle), "out": str(tmp_path / name)}
        return tasks.run("predict", load("predict", {**given, **more}), reporter)

    return run
