# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the models are from the published numbers on a device: the tests' parity data, run there."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmarks.results_file import Figure
from tests.timo.models.conftest import SMALL, Published
from tests.timo.models.test_parity import state_before_training, training_loss
from timo.models import TiMoClassifier, TiMoEncoder, TiMoMAE, TiMoSegmenter

OUTPUT_LIMIT = 1e-5  # absolute
GRADIENT_LIMIT = 1e-4  # norm of the difference over the norm


def parity_figures(device: torch.device) -> list[Figure]:
    """Greatest difference of every model's outputs, and of the encoder's gradients, with its limit.

    Run it with TF32 off: ten bits of a product are too few for these limits.
    """
    figures = []
    for model, pairs in _outputs(device):
        value = max((found - expected).abs().max().item() for found, expected in pairs)
        figures.append(_figure(f"{model}: outputs differ by", value, OUTPUT_LIMIT))
    value = _gradients(device)
    figures.append(_figure("encoder: a parameter's gradient differs by, of its norm", value, GRADIENT_LIMIT))
    return figures


def _figure(name: str, value: float, limit: float) -> Figure:
    return Figure(
        name, value, "", f"at most {limit:g}", value <= limit, part="parity with the published model"
    )


def _outputs(device: torch.device) -> Iterator[tuple[str, list[tuple[Tensor, Tensor]]]]:
    """Name of each model, and pairs of its outputs and the published ones."""
    published = _published("encoder", device)
    model = _loaded(TiMoEncoder(**SMALL), state_before_training(Published("encoder"), SMALL), device)
    with torch.no_grad():
        found = {f"stage{number}": x for number, x in enumerate(model(published["input"]), start=1)}
        for dates in (1, 2, 4):
            found[f"stage4_T{dates}"] = model(published["input"][:, :dates])[3]
        yield "encoder", [(x.flatten(0, 1), published[name]) for name, x in found.items()]

        published = _published("segmenter", device)
        pairs = []
        for per_date in (False, True):
            model = TiMoSegmenter(num_classes=6, per_date=per_date, **SMALL)
            logits = _loaded(model, published.part("state."), device)(published["input"])
            expected = published["logits_per_date" if per_date else "logits_per_series"]
            pairs.append((logits.view(expected.shape), expected))
        yield "segmenter", pairs

        published = _published("classifier", device)
        pairs = []
        for per_date in (False, True):
            model = TiMoClassifier(num_classes=7, per_date=per_date, **SMALL)
            logits = _loaded(model, published.part("state."), device)(published["input"])
            pairs.append((logits, published["logits_per_date" if per_date else "logits_per_series"]))
        yield "classifier", pairs

        published = _published("mae", device)
        model = _loaded(TiMoMAE(**{**SMALL, "in_chans": 3}), published.part("state."), device)
        result = model(published["input"], published["noise"])
        yield "autoencoder", [(result.latent, published["latent"]), (result.loss, published["loss"])]


def _gradients(device: torch.device) -> float:
    """Greatest relative difference of a parameter's gradient."""
    published = _published("encoder", device)
    model = _loaded(TiMoEncoder(**SMALL), published.part("state."), device).train()
    training_loss(model, published).backward()
    expected = published.part("train.grad.")
    return max(
        ((parameter.grad - expected[name]).norm() / expected[name].norm()).item()
        for name, parameter in model.named_parameters()
    )


def _published(name: str, device: torch.device) -> Published:
    published = Published(name)
    published.tensors = {key: tensor.to(device) for key, tensor in published.tensors.items()}
    return published


def _loaded(model: nn.Module, state: dict[str, Tensor], device: torch.device) -> nn.Module:
    model.load_state_dict(state, strict=True)
    return model.to(device).eval()
