# SPDX-License-Identifier: GPL-3.0-or-later
"""What training makes small."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

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


def segmentation_loss(counts: NDArray[np.int64]) -> nn.Module:
    """Weighted cross-entropy over the labelled pixels of (B, K, H, W) logits and (B, H, W) labels."""
    return nn.CrossEntropyLoss(weight=class_weights(counts), ignore_index=NOT_LABELLED)
