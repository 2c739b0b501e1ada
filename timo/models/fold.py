# SPDX-License-Identifier: GPL-3.0-or-later
"""BatchNorm for inference: a constant scale and shift, folded into the weights before it."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from timo.models.attention import Differential
from timo.models.layers import Stem
from timo.models.upernet import ConvNormAct

Model = TypeVar("Model", bound=nn.Module)


class Shift(nn.Module):
    """Adds a constant: what is left of a BatchNorm whose scale went into the weights before it."""

    shift: Tensor

    def __init__(self, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        """(M, C, ...) -> the same shape, for a shift that broadcasts."""
        return x + self.shift


def fold_batch_norm(model: Model) -> Model:
    """A copy of a model for inference, without BatchNorm: in the stem, the gyroscope attention and the head.

    The copy gives the model's results in eval mode, is in eval mode, and is not to be trained: its state
    dict fits no model that was not folded. The model itself stays as it is.

    Args:
        model: A TiMo encoder, or a model that has one.
    """
    folded = copy.deepcopy(model).eval()
    for module in folded.modules():
        if isinstance(module, Stem):
            _fold(module.conv1, module.bn)
            module.bn = nn.Identity().eval()  # type: ignore[assignment]
        elif isinstance(module, ConvNormAct):
            _fold(module.conv, module.bn)
            module.bn = nn.Identity().eval()  # type: ignore[assignment]
        elif isinstance(module, Differential):
            module.norm = _fold_differential(module).eval()  # type: ignore[assignment]
    return folded


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    mean, variance = _statistics(norm)
    trained = conv.weight.requires_grad
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, mean, variance, norm.eps, norm.weight, norm.bias
    )
    conv.weight.requires_grad_(trained)
    conv.bias.requires_grad_(trained)


@torch.no_grad()
def _fold_differential(module: Differential) -> Shift:
    """A shift before the norm's place would cancel in the difference of query and median: it stays behind."""
    norm = module.norm
    mean, variance = _statistics(norm)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    module.project.weight.mul_(scale[:, None])
    return Shift(norm.bias - mean * scale)


def _statistics(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None  # noqa: S101  # TiMo's norms all keep running statistics
    assert norm.running_var is not None  # noqa: S101
    return norm.running_mean, norm.running_var
