# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of each date come beside the map that Processing loads, as they do from the dock."""

from __future__ import annotations

from typing import Sequence

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, QTimer

from ..layers.results import Result, add_results
from ..timing import slot


class DatesAdder(QObject):
    """Adds them as a group, a layer at a time: the interface has its turn between.

    Args:
        project: Where to; it owns this.
        results: What their files say.
        job: The job's id.
        title: The map's name.
    """

    def __init__(self, project: QgsProject, results: Sequence[Result], job: str, title: str) -> None:
        super().__init__(project)
        self._layers = add_results(project, results, job, title)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._on_turn)
        project.cleared.connect(self._end)
        self._timer.start(0)

    @slot
    def _on_turn(self) -> None:
        if next(self._layers, None) is None:
            self._end()

    @slot
    def _end(self) -> None:
        """All are there, or another project is."""
        self._timer.stop()
        self.deleteLater()
