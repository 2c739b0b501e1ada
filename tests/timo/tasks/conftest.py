# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene that the tasks are tested on, and a model trained on it."""

import json

import pytest

from tests.scenes import make_scene


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
