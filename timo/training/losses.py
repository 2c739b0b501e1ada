# SPDX-License-Identifier: GPL-3.0-or-later
"""What training makes small."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from timo.series.labels import NOT_LABELLED

Balance = Literal["none", "root", "full"]
_POWERS: dict[Balance, float] = {"none": 0.0, "root": 0.5, "full": 1.0}


def class_weights(counts: NDArray[np.int64], balance: Balance = "root") -> torch.Tensor:
    """Weights that let rare classes count, (K,) float32, their mean over the labelled pixels 1.

    Args:
        counts: Labelled training pixels of each class, (K,); a class with none gets weight 0.
        balance: The weights are the inverse of the classes' frequency, its root, or all the same. The full
            inverse makes all classes as likely, and lets one of a few pixels rule the loss.
    """
    weights = np.where(counts > 0, np.maximum(counts, 1).astype(np.float64) ** -_POWERS[balance], 0.0)
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
