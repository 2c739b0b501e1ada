# SPDX-License-Identifier: GPL-3.0-or-later
"""An analyst who has seen enough of a curve gets a whole model of what was learnt until then."""

import json

import pytest

from tests.timo.report.pages import Page
from timo import bundle, tasks
from timo.tasks.reporter import Reporter
from timo.tasks.specs import load


class Content(Reporter):
    """Wants no more when it was told the figures of an epoch."""

    def __init__(self, epoch):
        self.last, self.epoch, self.lines, self.artifacts = epoch, 0, [], []

    def metric(self, name, value, step):
        self.epoch = step

    def enough(self):
        return self.epoch >= self.last

    def log(self, message, level="info"):
        self.lines.append(message)

    def artifact(self, path, kind):
        if kind != "preview":
            self.artifacts.append((path, kind))


def assert_whole(out, reporter, epochs):
    """A bundle that can be used, of so many epochs, and nothing else left."""
    assert [path.name for path in out.parent.iterdir()] == [out.name], "the checkpoint's folder is gone"
    assert reporter.artifacts == [(out, "bundle")]
    assert any("Ended before its time" in line for line in reporter.lines)
    card = json.loads((out / "model.json").read_text())
    assert len(card["training"]["history"]) == epochs
    bundle.load_model(out, bundle.load_card(out))
    assert f"learnt for {epochs} epochs" in Page((out / "report.html").read_text()).text
    return card["training"]


# Of 6 epochs the last 2 learn from all labels.
@pytest.mark.parametrize("epochs", [2, 5])
def test_a_fine_tuning_that_is_ended_early_is_a_model_of_the_epochs_that_it_ran(scene, tmp_path, epochs):
    reporter = Content(epochs)
    summary = scene.finetune(tmp_path / "m", reporter)
    training = assert_whole(tmp_path / "m", reporter, epochs)
    assert training["epoch"] == summary["epoch"] == min(training["kept"], 4)
    assert training["kept"] <= 2 if epochs == 2 else training["kept"] == 5
    scene.predict(tmp_path / "m", tmp_path / "map.tif")


@pytest.mark.slow
def test_a_pre_training_that_is_ended_early_is_an_encoder_of_the_epochs_that_it_ran(scene, tmp_path):
    reporter = Content(2)
    given = {"series": [str(scene.folder)], "out": str(tmp_path / "m"), "epochs": 5, "zoom": 1, "chip": 32}
    tasks.run("pretrain", load("pretrain", {**given, "batch": 2}), reporter)
    training = assert_whole(tmp_path / "m", reporter, 2)
    assert 1 <= training["epoch"] <= 2
    scene.finetune(tmp_path / "next", epochs=1, **{"from": str(tmp_path / "m")})
