# SPDX-License-Identifier: GPL-3.0-or-later
"""While a training runs, a picture shows what its best epoch so far makes of a piece of the validation."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from timo.errors import Cancelled
from timo.tasks import preview
from timo.tasks.preview import Preview
from timo.tasks.reporter import Reporter


class Onlooker(Reporter):
    """Opens each preview when it is told of."""

    def __init__(self):
        self.previews, self.lines, self.scores = [], [], []

    def metric(self, name, value, step):
        if name == "val_miou":
            self.scores.append(value)

    def log(self, message, level="info"):
        self.lines.append((level, message))

    def artifact(self, path, kind):
        if kind != "preview":
            return
        pages = []
        for page in (path, f"GTIFF_DIR:2:{path}", f"GTIFF_DIR:3:{path}"):
            with rasterio.open(page) as source:
                pages.append((source.read(), source.profile, source.tags()))
        with rasterio.open(path) as source:
            colors = source.colormap(1)
        self.previews.append((Path(path), pages, colors))


@pytest.fixture
def always(monkeypatch):
    """However short the epochs are, each better one is shown."""
    monkeypatch.setattr(preview, "SECONDS_BETWEEN", 0.0)


def test_the_best_epoch_is_shown_on_a_piece_of_the_validation(scene, tmp_path, always):
    reporter = Onlooker()
    summary = scene.finetune(tmp_path / "m", reporter, colors=["field=#ffcc00", "woods=#006633"])
    path, (of_map, of_labels, of_picture), colors = reporter.previews[-1]
    (mapped,), profile, tags = of_map
    assert path == tmp_path / "m.training" / "preview.tif"
    assert int(tags["TIMO_EPOCH"]) == summary["epoch"]
    assert tags["TIMO_DATE"] == "2020-10-01"
    assert json.loads(tags["TIMO_CLASSES"]) == [
        {"value": 1, "name": "field", "color": "#ffcc00"},
        {"value": 2, "name": "woods", "color": "#006633"},
    ]
    assert colors[1] == (255, 204, 0, 255) and colors[2] == (0, 102, 51, 255)
    truth = scene.truth[place(profile, mapped.shape)]
    assert (mapped == truth).mean() > 0.8, "the model has learnt this scene, and the map lies where it is"
    ((labels,), *_), (picture, *_) = of_labels, of_picture
    assert of_labels[1]["transform"] == of_picture[1]["transform"] == profile["transform"]
    assert of_labels[1]["crs"] == of_picture[1]["crs"] == profile["crs"] == "EPSG:32631"
    labelled = labels != profile["nodata"]
    assert 0 < labelled.mean() < 1 and np.array_equal(labels[labelled], truth[labelled])
    assert picture.shape == (3, *mapped.shape) and picture.max() == 255 and picture.min() == 0


def place(profile, shape):
    """Rows and columns of the scene."""
    x, y = profile["transform"].c, profile["transform"].f
    row, column = round((5_600_000 - y) / 10), round((x - 600_000) / 10)
    return slice(row, row + shape[0]), slice(column, column + shape[1])


def test_nothing_of_it_is_left_when_the_training_has_ended(scene, tmp_path, always):
    scene.finetune(tmp_path / "m", Onlooker(), epochs=2)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_training_that_may_go_on_keeps_it(scene, tmp_path, always):
    class Stopped(Onlooker):
        def check(self):
            if self.previews:
                raise Cancelled

    with pytest.raises(Cancelled):
        scene.finetune(tmp_path / "m", Stopped(), epochs=4)
    assert {path.name for path in (tmp_path / "m.training").iterdir()} == {"checkpoint.pt", "preview.tif"}


@pytest.mark.slow
def test_it_changes_nothing_of_what_is_learnt(scene, tmp_path, always, monkeypatch):
    """The same weights to the last bit, with and without."""
    reporter = Onlooker()
    scene.finetune(tmp_path / "with", reporter, epochs=4)
    assert reporter.previews
    drawn = torch.get_rng_state()
    monkeypatch.setattr(Preview, "look", lambda *_: None)
    scene.finetune(tmp_path / "without", epochs=4)
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("with", "without")]
    assert weights[0] == weights[1]
    assert torch.equal(drawn, torch.get_rng_state())


def test_short_epochs_show_the_best_of_them_now_and_then(scene, tmp_path, monkeypatch):
    """In a training of a few seconds: the first, and no more than one each three seconds."""
    monkeypatch.setattr(preview, "SECONDS_BETWEEN", 3600.0)
    reporter = Onlooker()
    scene.finetune(tmp_path / "m", reporter, epochs=4)
    assert [int(pages[0][2]["TIMO_EPOCH"]) for _, pages, _ in reporter.previews] == [1]


def test_a_picture_that_cannot_be_written_is_a_warning_and_the_training_goes_on(
    scene, tmp_path, always, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preview, "_append", full)
    reporter = Onlooker()
    summary = scene.finetune(tmp_path / "m", reporter, epochs=3)
    assert Path(summary["bundle"]).is_dir() and not reporter.previews
    assert len([line for level, line in reporter.lines if level == "warning" and "preview" in line]) == 1


def test_whole_chips_have_no_map_to_be_shown(scene, tmp_path, always):
    reporter = Onlooker()
    scene.finetune(tmp_path / "m", reporter, classify="chips", epochs=2, chip=32)
    assert not reporter.previews
