# SPDX-License-Identifier: GPL-3.0-or-later
"""``timo:finetune``: a model learns the analyst's own labels."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from qgis.core import QgsProcessingOutputNumber

from ..i18n import tr
from .algorithm import TaskAlgorithm
from .groups import MODELS


class FinetuneAlgorithm(TaskAlgorithm):
    """Gives the model's folder, and how well it does on the validation labels."""

    TASK = "finetune"
    TITLE = tr("Train a model on labels")
    ABOUT = tr("Train a model on your own labels, to map this and similar series with.")
    GROUP = MODELS
    ICON = "train"

    def initAlgorithm(self, configuration: Mapping[str, Any] = {}) -> None:
        """Make the parameters, and the figures that come out."""
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputNumber("accuracy", tr("Share of validation pixels right")))
        self.addOutput(QgsProcessingOutputNumber("mean_iou", tr("Mean IoU of the validation")))

    def more(self, job: Any) -> Dict[str, Any]:
        """The figures of the best epoch, 0 to 1."""
        summary = job.summary or {}
        return {"accuracy": summary.get("overall_accuracy"), "mean_iou": summary.get("mean_iou")}
