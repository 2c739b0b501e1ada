# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a training takes at least, whatever its batch."""

from __future__ import annotations

from torch import nn

HELD = 2  # every weight and its running mean
LEARNING = 3  # a weight that learns has a gradient, and AdamW its two moments


def least_bytes(model: nn.Module) -> int:
    """Bytes that a step takes on the model's device, beside what it computes of a batch.

    Biases and norms are left out: they are few, and some get no gradient.

    Args:
        model: On any device, also ``meta``. Lower precisions compute with its float32 weights, too.
    """
    return sum(
        one.nbytes * (HELD + LEARNING * one.requires_grad) for one in model.parameters() if one.ndim > 1
    )
