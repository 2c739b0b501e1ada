# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that Processing loads look as those that the dock loads: colours, names, how they were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
)

from ..layers.results import Result, dress, read_results

_kept: List[Dresser] = []
"""QGIS holds a post-processor weakly; it is done with one before it loads the layers of many later runs."""
KEEP = 64


class Dresser(QgsProcessingLayerPostProcessorInterface):
    """Styles the layer of one result, on the interface's thread.

    Args:
        result: What its file says.
        job: The job's id.
        title: The map's name.
    """

    def __init__(self, result: Result, job: str, title: str) -> None:
        super().__init__()
        self._result, self._job, self._title = result, job, title

    def postProcessLayer(
        self, layer: QgsMapLayer, _context: QgsProcessingContext, _feedback: QgsProcessingFeedback
    ) -> None:
        """Called by QGIS when the layer is there."""
        dress(layer, self._result, self._job, self._title)
        layer.triggerRepaint()


def dress_on_load(job: Any, paths: Mapping[str, str], context: QgsProcessingContext) -> None:
    """Have the results styled that QGIS is going to load.

    Args:
        job: The JobView of the job that made them.
        paths: Files by kind: ``map``, ``polygons``, ``confidence``, ``probabilities``.
        context: Knows which of them are to be loaded.
    """
    wanted = {kind: path for kind, path in paths.items() if context.willLoadLayerOnCompletion(path)}
    results, _ = read_results(wanted, (job.summary or {}).get("classes") or ())
    for result in results:
        dresser = Dresser(result, job.id, Path(paths.get("map", result.path)).stem)
        _kept.append(dresser)
        context.layerToLoadOnCompletionDetails(wanted[result.kind]).setPostProcessor(dresser)
    del _kept[:-KEEP]
