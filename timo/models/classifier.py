# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifier: one answer for a whole chip, of the series or of every date."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from timo.models.encoder import TiMoEncoder
from timo.models.layers import init_weights


class TiMoClassifier(nn.Module):
    """One class for every series, or for every date of it.

    The last stage's mean over its cells, and for a series the mean of that over its dates, then one linear
    layer.

    Args:
        num_classes: Classes K.
        per_date: Give scores for every date in place of one set for the series.
        **encoder: Arguments of `TiMoEncoder`.

    Source: the numbers of the published code; `timo.models.official` converts its weights.
    """

    def __init__(self, num_classes: int = 7, per_date: bool = False, **encoder: Any) -> None:
        super().__init__()
        self.per_date = per_date
        self.encoder = TiMoEncoder(**encoder)
        self.classifier = nn.Linear(self.encoder.embed_dims[-1], num_classes)
        init_weights(self.classifier)

    def forward(self, series: Tensor, valid: Tensor | None = None, dates: Tensor | None = None) -> Tensor:
        """Class scores before softmax.

        Args:
            series: (B, T, in_chans, H, W) float; H and W are multiples of 32.
            valid: (B, T, H, W) bool or None; a date without a valid pixel is left out of the mean, see
                `TiMoEncoder`.
            dates: As for `TiMoEncoder`.

        Returns:
            (B, K), or (B, T, K) for `per_date`; what stands at an absent date means nothing.

        Raises:
            ModelError: If a shape doesn't fit.
        """
        present = self.encoder.present(series, valid, dates)
        pooled = self.encoder(series, valid, dates)[-1].mean((-2, -1))  # B T C
        if not self.per_date:
            pooled = mean_over_dates(pooled, present)
        scores: Tensor = self.classifier(pooled)
        return scores


def mean_over_dates(x: Tensor, present: Tensor | None) -> Tensor:
    """Mean of x (B, T, C) over the dates present (B, T), or over all for None -> (B, C)."""
    if present is None:
        return x.mean(1)
    kept = present[..., None]
    return torch.where(kept, x, 0).sum(1) / kept.sum(1)
