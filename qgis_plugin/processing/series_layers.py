# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of which an algorithm makes a series: what they tell, and what was said of them in the panel."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Sequence, Tuple

from qgis.core import QgsMapLayer, QgsProcessingException, QgsProject, QgsRasterLayer

from ..i18n import tr
from ..layers import file_dates, frames
from ..layers.raster_facts import Facts, FactsReader
from ..layers.series_store import DATE, SeriesStore
from ..settings import Settings


class SeriesLayers:
    """Layers that were picked, as a series. To be made where layers may be looked at.

    Files are looked into for their dates when the rows are asked for, which can take a while; before only
    where nothing else tells a date, so that such a layer is refused before the algorithm runs.

    Raises:
        QgsProcessingException: Naming the layer at fault, in one sentence.
    """

    def __init__(self, layers: Sequence[QgsMapLayer]) -> None:
        self._known = SeriesStore(QgsProject.instance(), Settings.load()).current
        self._layers: List[Tuple[str, Facts]] = []
        reader = FactsReader()
        for layer in layers:
            facts = reader.read(layer) if isinstance(layer, QgsRasterLayer) else None
            if facts is None or facts.path is None:
                raise QgsProcessingException(
                    tr(
                        "Layer '{name}' is no file that the backend could read: leave it out.",
                        name=layer.name(),
                    )
                )
            self._layers.append((layer.id(), facts))
            if facts.found is None:
                self._row(layer.id(), facts)

    def rows(self) -> List[frames.Row]:
        """The series' rows, by what the files tell, too. Touches no layer: it can be called anywhere.

        Raises:
            QgsProcessingException: As above.
        """
        return [self._row(layer_id, facts) for layer_id, facts in self._layers]

    def _row(self, layer_id: str, facts: Facts) -> frames.Row:
        typed = self._known.get(layer_id, DATE)  # then no file needs to be looked into
        told = file_dates.NOTHING if typed else file_dates.read(facts.source)
        row = frames.make_row(layer_id, facts, self._known, told=told)
        if row.steps:
            raise QgsProcessingException(
                tr(
                    "Layer '{name}' holds several dates in its bands: make a layer of each in the panel "
                    "TiMo, or name its file instead.",
                    name=facts.name,
                )
            )
        if row.date is None:
            raise QgsProcessingException(
                tr(
                    "Layer '{name}' tells no date, by its name or in its file: give it one in the panel "
                    "TiMo, or a name such as S2_20200715.tif.",
                    name=facts.name,
                )
            )
        return replace(row, ticked=True)
