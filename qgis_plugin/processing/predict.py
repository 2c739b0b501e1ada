# SPDX-License-Identifier: GPL-3.0-or-later
"""``timo:predict``: a trained model maps a series."""

from __future__ import annotations

from typing import Any, Mapping

from qgis.core import QgsProcessingContext

from ..i18n import tr
from .algorithm import TaskAlgorithm
from .groups import MAPS

KINDS = {
    "out": "map", "polygons": "polygons", "per_date": "maps_per_date", "confidence": "confidence",
    "probabilities": "probabilities",
}  # fmt: skip


class PredictAlgorithm(TaskAlgorithm):
    """The map comes in the classes' colours."""

    TASK = "predict"
    TITLE = tr("Predict a map")
    ABOUT = tr("Map a series of dated satellite images with a trained model, in the classes' colours.")
    GROUP = MAPS
    ICON = "predict"

    def arrive(self, job: Any, outputs: Mapping[str, str], context: QgsProcessingContext) -> None:
        """Style the map, its polygons, the confidence and the probabilities; add the maps of each date."""
        from .styling import dress_on_load  # not while QGIS starts: it reads rasters

        paths = {kind: outputs[name] for name, kind in KINDS.items() if name in outputs}
        dress_on_load(job, paths, context)
