# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that were stretched each by itself, as out of a viewer: the same ground, other numbers."""

import csv
import json

import numpy as np
import pytest
import rasterio

from timo import tasks
from timo.tasks.specs import load

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

SIDE = 64
STRETCHES = [(30, 20), (10, 200), (60, 5), (15, 120), (40, 90), (25, 60)]  # contrast and brightness
NEXT = (12, 20)  # its bright is darker than the dark of most


def picture(path, bright, stretch, random):
    contrast, brightness = stretch
    values = brightness + contrast * bright + random.normal(0, contrast / 10, bright.shape)
    with rasterio.open(path, "w", driver="PNG", width=SIDE, height=SIDE, count=1, dtype="uint8") as out:
        out.write(values.clip(0, 255).astype(np.uint8), 1)


def place(folder, number, stretch):
    """Two dates of a place, half of which is bright on the second."""
    random = np.random.default_rng(number)
    folder = folder / f"place{number}"
    folder.mkdir()
    bright = np.zeros((SIDE, SIDE), bool)
    bright[:, : SIDE // 2] = True
    bright = np.rot90(bright, number)
    frames = []
    for date, shown in (("2024-01-01", np.zeros_like(bright)), ("2024-01-13", bright)):
        frames.append((folder / f"{date}.png", date))
        picture(frames[-1][0], shown, stretch, random)
    with rasterio.open(
        folder / "mask.png", "w", driver="PNG", width=SIDE, height=SIDE, count=1, dtype="uint8"
    ) as out:
        out.write(bright.astype(np.uint8), 1)
    return frames, folder / "mask.png", bright


@pytest.mark.slow
def test_a_model_of_several_places_maps_the_next_one_however_it_was_stretched(tmp_path):
    with (
        (tmp_path / "series.csv").open("w", newline="") as series,
        (tmp_path / "labels.csv").open("w", newline="") as labels,
    ):
        frames, masks = csv.writer(series), csv.writer(labels)
        frames.writerow(("place", "path", "date"))
        masks.writerow(("place", "path"))
        for number, stretch in enumerate(STRETCHES):
            dated, mask, _ = place(tmp_path, number, stretch)
            frames.writerows((number, *one) for one in dated)
            masks.writerow((number, mask))
    spec = {"series": str(tmp_path / "series.csv"), "labels": str(tmp_path / "labels.csv"), "zoom": 1}
    tasks.run("finetune", load("finetune", {**spec, "out": str(tmp_path / "m"), "epochs": 6}))
    assert json.loads((tmp_path / "m" / "model.json").read_text())["standardised"] == "series"

    dated, _, bright = place(tmp_path, len(STRETCHES), NEXT)
    request = {"series": [str(path) for path, _ in dated], "model": str(tmp_path / "m")}
    tasks.run("predict", load("predict", {**request, "out": str(tmp_path / "map.tif")}))
    with rasterio.open(tmp_path / "map.tif") as out:
        assert (out.read(1) == bright).mean() > 0.9
