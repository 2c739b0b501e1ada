# SPDX-License-Identifier: GPL-3.0-or-later
"""Folding BatchNorm away changes no result."""

import copy

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from timo.models import TiMoEncoder, TiMoSegmenter
from timo.models.classifier import TiMoClassifier
from timo.models.fold import fold_batch_norm


@pytest.fixture(
    params=[
        (TiMoEncoder, {}),
        (TiMoClassifier, {"num_classes": 5}),
        (TiMoSegmenter, {"num_classes": 5, "head_channels": 8}),
        (TiMoSegmenter, {"num_classes": 5, "head_channels": 64, "per_date": True}),
    ],
    ids=["encoder", "classifier", "segmenter", "segmenter per date"],
)
def trained(request, small):
    """A model in eval mode whose norms have statistics, scales and shifts of a training."""
    build, options = request.param
    model = build(**options, **small).eval()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            torch.nn.init.normal_(module.running_mean, std=0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.weight, mean=1, std=0.2)  # some negative
            torch.nn.init.normal_(module.bias, std=0.5)
    return model


def results(model, series, valid, kept):
    """What comes out at the dates kept; at an absent date it means nothing."""
    with torch.inference_mode():
        out = model(series, valid)
    every = out if isinstance(out, list) else [out]
    return [each[kept] if each.shape[:2] == kept.shape else each for each in every]


@pytest.mark.parametrize("absent", [False, True])
def test_a_folded_model_gives_the_same_results_without_batch_norm(trained, absent):
    series = torch.randn(2, 3, 4, 64, 32)
    valid = torch.ones(2, 3, 64, 32, dtype=torch.bool) if absent else None
    kept = torch.ones(2, 3, dtype=torch.bool)
    if valid is not None:
        valid[0, 1] = kept[0, 1] = False
    folded = fold_batch_norm(trained)
    assert not any(isinstance(module, _BatchNorm) for module in folded.modules())
    for ours, expected in zip(results(folded, series, valid, kept), results(trained, series, valid, kept)):
        assert (ours - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_folding_leaves_the_model_as_it_is(trained):
    before = copy.deepcopy(trained.state_dict())
    fold_batch_norm(trained)
    after = trained.state_dict()
    assert before.keys() == after.keys()
    assert all(after[name].equal(tensor) for name, tensor in before.items())


def test_a_folded_segmenter_gives_the_published_logits(published_segmenter, small):
    model = TiMoSegmenter(num_classes=6, **small)
    model.load_state_dict(published_segmenter.part("state."))
    with torch.inference_mode():
        logits = fold_batch_norm(model)(published_segmenter["input"])
    torch.testing.assert_close(logits, published_segmenter["logits_per_series"], atol=1e-5, rtol=0)
