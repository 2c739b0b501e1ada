# SPDX-License-Identifier: GPL-3.0-or-later
"""``timo:pretrain``: a model learns from series without labels."""

from __future__ import annotations

from ..i18n import tr
from .algorithm import TaskAlgorithm
from .groups import MODELS


class PretrainAlgorithm(TaskAlgorithm):
    """Its model is what a fine-tuning may start from."""

    TASK = "pretrain"
    TITLE = tr("Pre-train a model without labels")
    ABOUT = tr(
        "Let a model learn from a series without labels. A training that starts from it needs fewer labels."
    )
    GROUP = MODELS
    ICON = "train"
