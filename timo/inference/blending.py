# SPDX-License-Identifier: GPL-3.0-or-later
"""How overlapping chips become one surface without seams."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from timo.inference.chips import Rectangle

# A chip's outermost pixels still count a little: at the raster's edge nothing else covers them.
FLOOR = 1e-3


def side_weights(chip: int) -> torch.Tensor:
    """Weights along a chip's side, (chip,) float32: a raised cosine, near zero at the ends.

    A pixel's weight is the product of its row's and its column's. Shifted by half a chip, they sum to nearly
    a constant, so that no chip's grid shows.
    """
    phase = (torch.arange(chip, dtype=torch.float64) + 0.5) / chip
    raised = 0.5 - 0.5 * torch.cos(2 * torch.pi * phase)
    return (FLOOR + (1 - FLOOR) * raised).float()


class Blend:
    """Weighted mean of chips over one block, on the device of the chips.

    Args:
        layers: Values of a pixel: the classes' probabilities.
        block: The block's place in the raster.
        chip: Pixels of a chip's side.
        device: Where the chips are.
    """

    def __init__(self, layers: int, block: Rectangle, chip: int, device: torch.device | str = "cpu") -> None:
        self.block, self.chip = block, chip
        self.side = side_weights(chip).to(device)
        self.window = torch.outer(self.side, self.side)
        self.total = torch.zeros(layers, block.height, block.width, device=device)
        self.starts: tuple[set[int], set[int]] = set(), set()

    def add(self, row: int, column: int, values: torch.Tensor) -> None:
        """Add one chip, (layers, chip, chip), whose first pixel is at ``row``, ``column`` of the raster."""
        rows, columns = self.block.rows, self.block.columns
        top, bottom = max(row, rows.start), min(row + self.chip, rows.stop)
        left, right = max(column, columns.start), min(column + self.chip, columns.stop)
        if top >= bottom or left >= right:
            return
        of_chip = (slice(top - row, bottom - row), slice(left - column, right - column))
        of_block = (
            slice(top - rows.start, bottom - rows.start),
            slice(left - columns.start, right - columns.start),
        )
        self.total[:, of_block[0], of_block[1]].addcmul_(
            values[:, of_chip[0], of_chip[1]], self.window[of_chip]
        )
        self.starts[0].add(row)
        self.starts[1].add(column)

    def result(self) -> torch.Tensor:
        """The means, (layers, rows, columns), where all chips were added that hold a pixel.

        Elsewhere they are without meaning. Nothing can be added afterwards.
        """
        block = self.block
        down = self._weights(self.starts[0], block.row, block.height)
        across = self._weights(self.starts[1], block.column, block.width)
        return self.total.div_(torch.outer(down, across))

    def _weights(self, starts: Iterable[int], first: int, length: int) -> torch.Tensor:
        """(length,) of the pixels from ``first`` on: the sum over chips along one side."""
        total = self.side.new_zeros(length)
        for start in sorted(starts):
            low, high = max(start, first), min(start + self.chip, first + length)
            total[low - first : high - first] += self.side[low - start : high - start]
        return total
