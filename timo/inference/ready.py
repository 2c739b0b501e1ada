# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle's model, ready to map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from lightning_fabric import Fabric
from torch import nn

from timo import bundle
from timo.inference.blocks import OverChips
from timo.models.fold import fold_batch_norm
from timo.series.prepared import Statistics


def ready_model(folder: Path, card: bundle.Card, fabric: Fabric) -> tuple[nn.Module, Statistics]:
    """The model on the device, folded, giving scores of pixels; and the statistics of its training.

    Raises:
        BundleError: The weights are missing, changed, or do not fit.
    """
    model = bundle.load_model(folder, card)
    if card.architecture.kind == "classifier":
        model = OverChips(model).eval()
    model = fabric.to_device(fold_batch_norm(model))
    return model, Statistics(np.array([b.mean for b in card.bands]), np.array([b.std for b in card.bands]))
