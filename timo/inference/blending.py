# SPDX-License-Identifier: GPL-3.0-or-later
"""How overlapping chips become one surface without seams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A chip's outermost pixels still count a little: at the raster's edge nothing else covers them.
FLOOR = 1e-3


def blend_window(chip: int) -> NDArray[np.float32]:
    """Weights of a chip's pixels, (chip, chip) float32: a raised cosine, near zero at the chip's edges.

    Shifted by half a chip, windows of this form sum to nearly a constant, so that no chip's grid shows.
    """
    phase = (np.arange(chip) + 0.5) / chip
    side = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    window: NDArray[np.float32] = (FLOOR + (1 - FLOOR) * np.outer(side, side)).astype(np.float32)
    return window


class Blend:
    """Weighted mean of chips of class probabilities over one block.

    Args:
        classes: Number of classes.
        rows: The block's rows in the raster.
        columns: The block's columns in the raster.
        chip: Pixels of a chip's side.
    """

    def __init__(self, classes: int, rows: slice, columns: slice, chip: int) -> None:
        self.rows, self.columns, self.chip = rows, columns, chip
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        self.window = blend_window(chip)
        self.total = np.zeros((classes, *shape), np.float32)
        self.weight = np.zeros(shape, np.float32)

    def add(self, row: int, column: int, probabilities: NDArray[np.float32]) -> None:
        """Add one chip, (classes, chip, chip), whose first pixel is at ``row``, ``column`` of the raster."""
        top, bottom = max(row, self.rows.start), min(row + self.chip, self.rows.stop)
        left, right = max(column, self.columns.start), min(column + self.chip, self.columns.stop)
        if top >= bottom or left >= right:
            return
        of_chip = (slice(top - row, bottom - row), slice(left - column, right - column))
        of_block = (
            slice(top - self.rows.start, bottom - self.rows.start),
            slice(left - self.columns.start, right - self.columns.start),
        )
        self.total[(slice(None), *of_block)] += probabilities[(slice(None), *of_chip)] * self.window[of_chip]
        self.weight[of_block] += self.window[of_chip]

    def result(self) -> NDArray[np.float32]:
        """Probabilities of the block, (classes, rows, columns), summing to 1; NaN where no chip lay."""
        with np.errstate(invalid="ignore"):
            return np.divide(self.total, self.weight, dtype=np.float32)
