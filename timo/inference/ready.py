# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle's model and a series, ready to map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from timo import bundle
from timo.inference.blocks import OverChips
from timo.models.fold import fold_batch_norm
from timo.series.prepared import PreparedSeries, Statistics, statistics
from timo.series.series import Series


def ready_model(folder: Path, card: bundle.Card, device: torch.device) -> nn.Module:
    """The model on the device, folded, giving scores of pixels.

    Raises:
        BundleError: The weights are missing, changed, or do not fit.
    """
    model = bundle.load_model(folder, card)
    if card.architecture.kind == "classifier":
        model = OverChips(model).eval()
    return fold_batch_norm(model).to(device)


def ready_series(series: Series, card: bundle.Card) -> PreparedSeries:
    """A series, its bands in the model's order, as the model saw those of its training."""
    if card.standardised == "series":
        return PreparedSeries(series, statistics([series]), keep=False)
    mean, std = (np.array([getattr(band, name) for band in card.bands]) for name in ("mean", "std"))
    return PreparedSeries(series, Statistics(mean, std), keep=False)
