# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre-training on series of differing bands and lengths, and what its page shows."""

import json

import numpy as np
import pytest

from tests.scenes import write_frame
from tests.timo.report.pages import Page, words
from timo import bundle, tasks
from timo.tasks.specs import load


@pytest.fixture(scope="module")
def pretrained(scene, tmp_path_factory):
    """An encoder of the scene and of a radar series."""
    root = tmp_path_factory.mktemp("pretrain")
    radar = root / "radar"
    radar.mkdir()
    random = np.random.default_rng(0)
    for date in ("20210101", "20210113"):
        values = {name: 500 + 50 * random.standard_normal((128, 128)) for name in ("VV", "VH")}
        write_frame(radar / f"S1_{date}.tif", values)
    spec = {"series": [str(scene.folder), str(radar)], "out": str(root / "encoder"), "epochs": 1, "zoom": 1,
            "chip": 32, "batch": 2}  # fmt: skip
    tasks.run("pretrain", load("pretrain", spec))
    return root / "encoder"


def test_series_of_other_bands_and_lengths_make_one_encoder(scene, pretrained):
    card = json.loads((pretrained / "model.json").read_text())
    assert [band["key"] for band in card["bands"]] == ["red", "nir", "swir1", "vv", "vh"]
    assert card["training"]["places"] == [str(scene.folder), str(pretrained.parent / "radar")]
    assert len(card["training"]["extents"]) == 2
    model = bundle.load_model(pretrained, bundle.load_card(pretrained))
    assert model.encoder.in_chans == 5


def test_the_page_shows_what_the_model_fills_in(pretrained):
    page = Page((pretrained / "report.html").read_text())
    loss = json.loads((pretrained / "model.json").read_text())["metrics"]["reconstruction_loss"]
    assert "What it fills in" in page.text
    assert f"mean loss is {loss:.2f}" in page.text
    assert "series: 3 of 4 dates, with red, nir and swir1 as red, green and blue." in page.text
    assert "radar: 2 dates, with vv as grey." in page.text
    shown = page.plots()[1:]  # after the curves
    assert len(shown) == 3
    assert all({"there", "seen", "filled in"} <= set(words(plot)) for plot in shown)
