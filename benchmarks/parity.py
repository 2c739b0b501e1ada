# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the models are from the published numbers on a device: the tests' parity data, run there."""

from __future__ import annotations

import torch

from benchmarks.results_file import Figure
from tests.timo.models.published import OUTPUTS, SMALL, Published, loaded, training_loss
from timo.models import TiMoEncoder

OUTPUT_LIMIT = 1e-5  # absolute
GRADIENT_LIMIT = 1e-4  # norm of the difference over the norm


def parity_figures(device: torch.device) -> list[Figure]:
    """Greatest difference of every model's outputs, and of the encoder's gradients, with its limit.

    Run it with TF32 off: ten bits of a product are too few for these limits.
    """
    figures = []
    for name, outputs in OUTPUTS.items():
        published = Published(name, device)
        with torch.no_grad():
            found = outputs(published)
        value = max((output - published[key]).abs().max().item() for key, output in found.items())
        figures.append(_figure(f"{name}: outputs differ by", value, OUTPUT_LIMIT))
    value = _gradients(device)
    figures.append(_figure("encoder: a parameter's gradient differs by, of its norm", value, GRADIENT_LIMIT))
    return figures


def _figure(name: str, value: float, limit: float) -> Figure:
    return Figure(
        name, value, "", f"at most {limit:g}", value <= limit, part="parity with the published model"
    )


def _gradients(device: torch.device) -> float:
    """Greatest relative difference of a parameter's gradient."""
    published = Published("encoder", device)
    model = loaded(TiMoEncoder(**SMALL), published.part("state.")).train()
    training_loss(model, published).backward()
    expected = published.part("train.grad.")
    return max(
        ((parameter.grad - expected[name]).norm() / expected[name].norm()).item()
        for name, parameter in model.named_parameters()
    )
