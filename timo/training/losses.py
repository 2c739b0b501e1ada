# SPDX-License-Identifier: GPL-3.0-or-later
"""What training makes small."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from timo.series.labels import NOT_LABELLED


def class_weights(counts: NDArray[np.int64]) -> torch.Tensor:
    """Weights that let rare classes count, (K,) float32, their mean over the labelled pixels 1.

    The root of the inverse frequency: the full inverse lets a class of a few pixels rule the loss.

    Args:
        counts: Labelled training pixels of each class, (K,); a class with none gets weight 0.
    """
    seen = counts > 0
    weights = np.where(seen, 1 / np.sqrt(np.maximum(counts, 1)), 0.0)
    weights *= counts.sum() / (weights * counts).sum()
    return torch.as_tensor(weights, dtype=torch.float32)


class ClassLoss(nn.Module):
    """Weighted cross-entropy over what is labelled.

    Args:
        weights: (K,) of each class.
        smoothing: Share of the target that is spread over all classes: labels may be wrong.
    """

    weights: torch.Tensor

    def __init__(self, weights: torch.Tensor, smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.smoothing = smoothing

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean over the labelled (B, ...) of (B, K, ...) logits, by weight; NaN where nothing weighs."""
        return functional.cross_entropy(
            logits.float(),
            labels,
            weight=self.weights,
            ignore_index=NOT_LABELLED,
            label_smoothing=self.smoothing,
        )

    def mass(self, labels: torch.Tensor) -> float:
        """Sum of the weights of what is labelled: means of parts of a batch count by it."""
        return float(self.weights[labels[labels != NOT_LABELLED]].sum())
