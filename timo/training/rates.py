# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast weights move: the rate along a training and of each parameter, and the weights' running mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from timo.models.pixels import PixelSeries

WEIGHT_DECAY = 0.05
WARM_UP = 0.1
PIXEL_RATE = 3  # a network of three layers takes, and needs, larger steps than a transformer
FIRST_RATE = 1 / 25  # of the peak, in the first step


def warm_up_and_cosine(steps: int) -> Callable[[int], float]:
    """The share of the peak learning rate at each step: up along a cosine, then down along one to nothing."""
    rising = max(WARM_UP * steps, min(2, steps / 2))  # a warm-up of less than two steps is none

    def share(step: int) -> float:
        if step < rising:
            return FIRST_RATE + (1 - FIRST_RATE) * (1 - math.cos(math.pi * step / rising)) / 2
        return (1 + math.cos(math.pi * min((step - rising) / max(steps - rising, 1), 1))) / 2

    return share


def running_mean(steps: int) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor | int], torch.Tensor]:
    """Mean over about the last ``steps``, in its beginning over fewer, so that the first weights soon go."""

    def mean(averaged: torch.Tensor, current: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
        return averaged + (current - averaged) * max(1 / steps, 9 / (10 + float(count)))

    return mean


def parameter_groups(model: nn.Module, learning_rate: float) -> list[dict[str, Any]]:
    """Groups for AdamW: biases and norms are not drawn to zero, a pixel's own series learns faster."""
    pixels = {id(p) for part in model.modules() if isinstance(part, PixelSeries) for p in part.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            decay = WEIGHT_DECAY if parameter.ndim > 1 else 0.0
            rate = learning_rate * (PIXEL_RATE if id(parameter) in pixels else 1)
            groups.setdefault((decay, rate), []).append(parameter)
    return [{"params": some, "weight_decay": decay, "lr": rate} for (decay, rate), some in groups.items()]
