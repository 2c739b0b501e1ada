# SPDX-License-Identifier: GPL-3.0-or-later
"""A map beside its labels, gathered block by block: memory does not depend on the raster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from timo.report.calibration import Reliability
from timo.series.labels import NOT_LABELLED

RIGHT, WRONG, NOTHING = 0, 1, 255
"""Values of the map of errors; the last is its nodata value."""

OVERVIEW_SIDE = 240
"""Most cells of the overview's side."""


class Comparison:
    """Counts of several places together.

    Args:
        classes: How many classes the model has.

    Attributes:
        matrix: (K, K) labelled pixels; rows are the reference, columns the map.
        unlearnt: Likewise, of the pixels outside the places of the model's training.
        mapped: (K,) mapped area of each class.
        no_data: Labelled pixels that have no data on any date.
        reliability: Of the labelled pixels.
    """

    def __init__(self, classes: int) -> None:
        self.matrix = np.zeros((classes, classes), np.int64)
        self.unlearnt = np.zeros((classes, classes), np.int64)
        self.mapped = np.zeros(classes)
        self.no_data = 0
        self.reliability = Reliability()

    def add(
        self,
        probabilities: NDArray[np.float32],
        valid: NDArray[np.bool_],
        labels: NDArray[np.uint8],
        learnt: NDArray[np.bool_] | None,
    ) -> NDArray[np.uint8]:
        """Add a block (of one date, for a model that maps every date).

        Args:
            probabilities: (K, rows, columns).
            valid: (rows, columns), where the map has data.
            labels: (rows, columns), indices of classes, 255 where not labelled.
            learnt: (rows, columns), where the model was trained; None if that isn't known.

        Returns:
            (rows, columns): RIGHT, WRONG or NOTHING.
        """
        best = probabilities.argmax(0)
        labelled = labels != NOT_LABELLED
        judged = labelled & valid
        self.no_data += int(np.count_nonzero(labelled & ~valid))
        self._count(self.matrix, best, labels, judged)
        if learnt is not None:
            self._count(self.unlearnt, best, labels, judged & ~learnt)
        wrong = best != labels
        self.reliability.update(probabilities.max(0)[judged], ~wrong[judged])
        return np.where(judged, np.where(wrong, WRONG, RIGHT), NOTHING).astype(np.uint8)

    def add_mapped(
        self, probabilities: NDArray[np.float32], valid: NDArray[np.bool_], area: NDArray[np.float64]
    ) -> None:
        """Add the mapped area of a block; ``area`` is that of a pixel, in a shape that spreads to theirs."""
        best = probabilities.argmax(0)[valid]
        weights = np.broadcast_to(area, valid.shape)[valid]
        self.mapped += np.bincount(best, weights, len(self.mapped))

    def _count(
        self,
        matrix: NDArray[np.int64],
        best: NDArray[np.int64],
        labels: NDArray[np.uint8],
        where: NDArray[np.bool_],
    ) -> None:
        pairs = labels[where].astype(np.int64) * len(matrix) + best[where]
        matrix += np.bincount(pairs, minlength=matrix.size).reshape(matrix.shape)


class Overview:
    """The map of errors of one place, small enough for a page.

    Args:
        shape: (height, width) of the raster.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._step = max(1, -(-max(shape) // OVERVIEW_SIDE))
        cells = -(-shape[0] // self._step), -(-shape[1] // self._step)
        self._right, self._wrong = np.zeros(cells, np.int64), np.zeros(cells, np.int64)

    def add(self, errors: NDArray[np.uint8], rows: slice, columns: slice) -> None:
        """Add a block of RIGHT, WRONG and NOTHING."""
        for counts, value in ((self._right, RIGHT), (self._wrong, WRONG)):
            down, across = np.nonzero(errors == value)
            cells = (down + rows.start) // self._step, (across + columns.start) // self._step
            np.add.at(counts, cells, 1)

    @property
    def wrong(self) -> NDArray[np.float64]:
        """(rows, columns) share of each cell's labelled pixels that are wrong, NaN where none is labelled."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self._wrong / (self._right + self._wrong))
