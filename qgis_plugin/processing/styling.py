# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that Processing loads look as those that the dock loads: colours, names, how they were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping, Sequence

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
)

from ..layers.result_files import DATED, MAP
from ..layers.results import Result, dress, layers_by_file, read_results, renew, reopen, true_path
from .dates import DatesAdder

_kept: List[Dresser] = []
"""QGIS holds a post-processor weakly; it is done with one before it loads the layers of many later runs."""
KEEP = 64


class Dresser(QgsProcessingLayerPostProcessorInterface):
    """Styles the layer of one result, on the interface's thread.

    Args:
        result: What its file says.
        job: The job's id.
        title: The map's name.
        dates: What comes beside it: the maps of each date.
    """

    def __init__(self, result: Result, job: str, title: str, dates: Sequence[Result] = ()) -> None:
        super().__init__()
        self._result, self._job, self._title, self._dates = result, job, title, dates

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, _feedback: QgsProcessingFeedback
    ) -> None:
        """Called by QGIS when the layer is there: new, or one that was before the file was replaced."""
        path = self._result.path
        there = layers_by_file(context.project(), [path]).get(true_path(path), ())
        renew([one for one in there if one != layer], self._result, self._job, self._title)
        reopen(layer)
        dress(layer, self._result, self._job, self._title)
        layer.triggerRepaint()
        if self._dates:
            DatesAdder(context.project(), self._dates, self._job, self._title)


def dress_on_load(job: Any, paths: Mapping[str, str], context: QgsProcessingContext) -> None:
    """Have the results styled that QGIS is going to load. Maps of each date come if the map does.

    Args:
        job: The JobView of the job that made them.
        paths: Absolute ones by kind: ``map``, ``polygons``, ``confidence``, ``probabilities``; of
            ``maps_per_date`` the folder, of which QGIS knows no layers.
        context: Knows which of them are to be loaded.
    """
    loaded = {Path(key).absolute(): key for key in context.layersToLoadOnCompletion()}  # as it was typed
    wanted = {kind: path for kind, path in paths.items() if Path(path) in loaded}
    if MAP in wanted and DATED in paths:
        wanted[DATED] = paths[DATED]
    found, _ = read_results(wanted, (job.summary or {}).get("classes") or ())
    dates = [result for result in found if result.kind == DATED]
    for result in found:
        if result.kind == DATED:
            continue
        title = Path(paths.get(MAP, result.path)).stem
        dresser = Dresser(result, job.id, title, dates if result.kind == MAP else ())
        _kept.append(dresser)
        context.layerToLoadOnCompletionDetails(loaded[result.path]).setPostProcessor(dresser)
    del _kept[:-KEEP]
