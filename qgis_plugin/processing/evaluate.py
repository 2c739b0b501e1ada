# SPDX-License-Identifier: GPL-3.0-or-later
"""``timo:evaluate``: a model is judged by labels that it never saw."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from qgis.core import QgsProcessingOutputHtml, QgsProcessingOutputNumber

from ..i18n import tr
from .algorithm import TaskAlgorithm
from .groups import MODELS


class EvaluateAlgorithm(TaskAlgorithm):
    """Gives the report's folder, its page for the results viewer, and the figures."""

    TASK = "evaluate"
    TITLE = tr("Evaluate a model")
    ABOUT = tr("Judge a trained model by labels that it never saw: accuracy by class, errors and areas.")
    GROUP = MODELS
    ICON = "jobs"

    def initAlgorithm(self, configuration: Mapping[str, Any] = {}) -> None:
        """Make the parameters, and what comes out beside the folder."""
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputHtml("report", tr("Report")))
        self.addOutput(QgsProcessingOutputNumber("accuracy", tr("Share of pixels right")))
        self.addOutput(QgsProcessingOutputNumber("mean_iou", tr("Mean IoU")))

    def more(self, job: Any) -> Dict[str, Any]:
        """The page, and figures from 0 to 1."""
        summary = job.summary or {}
        return {
            "report": summary.get("report"),
            "accuracy": summary.get("overall_accuracy"),
            "mean_iou": summary.get("mean_iou"),
        }
