# SPDX-License-Identifier: GPL-3.0-or-later
"""How overlapping chips become one surface without seams."""

from __future__ import annotations

import torch

from timo.inference.chips import Rectangle

# A chip's outermost pixels still count a little: at the raster's edge nothing else covers them.
FLOOR = 1e-3


def blend_window(chip: int) -> torch.Tensor:
    """Weights of a chip's pixels, (chip, chip) float32: a raised cosine, near zero at the chip's edges.

    Shifted by half a chip, windows of this form sum to nearly a constant, so that no chip's grid shows.
    """
    phase = (torch.arange(chip, dtype=torch.float64) + 0.5) / chip
    side = 0.5 - 0.5 * torch.cos(2 * torch.pi * phase)
    return (FLOOR + (1 - FLOOR) * torch.outer(side, side)).float()


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
        self.window = blend_window(chip).to(device)
        self.total = torch.zeros(layers, block.height, block.width, device=device)
        self.weight = torch.zeros(block.height, block.width, device=device)

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
        window = self.window[of_chip]
        self.total[:, of_block[0], of_block[1]].addcmul_(values[:, of_chip[0], of_chip[1]], window)
        self.weight[of_block] += window

    def result(self) -> torch.Tensor:
        """The means, (layers, rows, columns); NaN where no chip lay. Nothing can be added afterwards."""
        return self.total.div_(self.weight)
