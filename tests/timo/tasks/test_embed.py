# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of a series as a raster on a coarser grid."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rio_cogeo import cog_validate

from tests.scenes import SIDE
from timo import tasks
from timo.errors import BundleError
from timo.inference import sizing
from timo.inference.ready import ready_series
from timo.series.series import open_series
from timo.tasks.specs import load


def embed(folder, model, out, **more):
    spec = {"series": str(folder), "model": str(model), "out": str(out), **more}
    return tasks.run("embed", load("embed", spec))


@pytest.mark.parametrize(("stage", "stride"), [(1, 4), (3, 16)])
def test_features_lie_where_the_pixels_lie_that_they_tell_of(scene, bundle, tmp_path, stage, stride):
    summary = embed(scene.folder, bundle, tmp_path / "f.tif", stage=stage)
    assert summary["features"] == str(tmp_path / "f.tif")
    assert cog_validate(tmp_path / "f.tif")[0]
    with (
        rasterio.open(tmp_path / "f.tif") as features,
        rasterio.open(scene.folder / "S2_20200401.tif") as one,
    ):
        assert features.bounds == one.bounds
        assert features.res == tuple(stride * side for side in one.res)
        assert features.descriptions[0] == "feature 1"
        assert features.tags()["TIMO_STAGE"] == str(stage)
        values = features.read()
    # Fields and woods are told apart better than chance by the features alone.
    truth = scene.truth[stride // 2 :: stride, stride // 2 :: stride].ravel()
    flat = values.reshape(len(values), -1)
    apart = flat[:, truth == 1].mean(1) - flat[:, truth == 2].mean(1)
    assert np.abs(apart / flat.std(1)).max() > 0.5


def test_they_are_the_encoder_s_own_in_the_middle_of_a_chip(scene, bundle, tmp_path):
    """Of a raster of one chip nothing is blended."""
    from timo.bundle import load_card, load_model

    card = load_card(bundle)
    series = open_series(str(scene.folder)).select_bands([band.key for band in card.bands])
    frames, _ = ready_series(series, card).read(0, 0, SIDE, SIDE)
    first = torch.from_numpy(frames[None, ..., : card.chip, : card.chip])
    with torch.inference_mode():
        expected = (
            load_model(bundle, card).encoder(first, None, torch.from_numpy(series.days)[None])[2].mean(1)
        )
    embed(scene.folder, bundle, tmp_path / "f.tif", stage=3)
    with rasterio.open(tmp_path / "f.tif") as source:
        corner = source.read()[:, 0, 0]  # no other chip reaches the first pixel
    np.testing.assert_allclose(corner, expected[0, :, 0, 0], atol=1e-4)


def test_blocks_do_not_show(scene, bundle, tmp_path, monkeypatch):
    embed(scene.folder, bundle, tmp_path / "whole.tif", stage=1)
    monkeypatch.setattr(sizing, "LEAST_CHIPS", 1)
    monkeypatch.setattr(sizing, "TILE", 16)
    monkeypatch.setattr(sizing, "BEST_SIDE", 16)
    embed(scene.folder, bundle, tmp_path / "blocks.tif", stage=1)
    with rasterio.open(tmp_path / "whole.tif") as one, rasterio.open(tmp_path / "blocks.tif") as other:
        np.testing.assert_allclose(one.read(), other.read(), atol=1e-4)


def test_features_between_pixels_are_refused(scene, bundle, tmp_path):
    changed = tmp_path / "m"
    changed.mkdir()
    for name in ("model.json", "weights.safetensors"):
        (changed / name).write_bytes((bundle / name).read_bytes())
    card = json.loads((changed / "model.json").read_text())
    card["architecture"]["zoom"] = 3
    (changed / "model.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match="between pixels"):
        embed(scene.folder, changed, tmp_path / "f.tif", stage=1)
    assert not Path(tmp_path / "f.tif").exists()


def test_a_series_of_quite_another_resolution_is_refused(scene, bundle, tmp_path):
    folder = tmp_path / "coarse"
    folder.mkdir()
    for path in scene.folder.glob("*.tif"):
        with rasterio.open(path) as source:
            values, profile, names = source.read(), source.profile, source.descriptions
        t = profile["transform"]
        profile["transform"] = t @ t.scale(5)
        with rasterio.open(folder / path.name, "w", **profile) as target:
            target.write(values)
            target.descriptions = names
    with pytest.raises(BundleError, match=r"pixels of 50 m, and model 'woods' was trained on 10 m"):
        tasks.run(
            "predict",
            load("predict", {"series": str(folder), "model": str(bundle), "out": str(tmp_path / "m.tif")}),
        )
