# SPDX-License-Identifier: GPL-3.0-or-later
"""How overlapping chips become one surface without seams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from timo.inference.chips import Rectangle, step_of

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

    A pixel's sum is the same, to the last bit, in any block and any batches: its chips of one row are summed
    first, two of them in either order, and then those sums, row after row.

    Args:
        layers: Values of a pixel: the classes' probabilities.
        block: The block's place in the raster.
        chip: Pixels of a chip's side.
        device: Where the chips are.
    """

    def __init__(self, layers: int, block: Rectangle, chip: int, device: torch.device | str = "cpu") -> None:
        self.block, self.chip = block, chip
        self.side = side_weights(chip).to(device)
        self.total = torch.zeros(layers, block.height, block.width, device=device)
        self.starts: tuple[set[int], set[int]] = set(), set()
        # Of the chips in one row, as wide as any chip that meets the block can reach.
        self._strip = torch.zeros(layers, chip, block.width + 2 * (chip - 1), device=device)
        self._row: int | None = None

    def add(self, places: Sequence[tuple[int, int]], values: torch.Tensor) -> None:
        """Add chips that meet the block, row after row, and in each row from left to right.

        Args:
            places: First row and column of each in the raster.
            values: (n, layers, chip, chip).
        """
        weighted = values * self.side
        for first, stop in self._runs(places):
            row, column = places[first]
            if row != self._row:
                self._end_row()
                self._row = row
            for n in (first, first + 1):  # every other chip: those don't overlap
                self._add_apart(column + (n - first) * step_of(self.chip), weighted[n:stop:2])
        self.starts[0].update(row for row, _ in places)
        self.starts[1].update(column for _, column in places)

    def _runs(self, places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """First and last (exclusive) of the chips that follow each other in a row, half a chip apart."""
        first = 0
        for n in range(1, len(places) + 1):
            row, column = places[n - 1]
            if n == len(places) or places[n] != (row, column + step_of(self.chip)):
                yield first, n
                first = n

    def _add_apart(self, column: int, chips: torch.Tensor) -> None:
        if not len(chips):
            return
        start, apart = column - self.block.column + self.chip - 1, 2 * step_of(self.chip)
        there = self._strip[..., start : start + (len(chips) - 1) * apart + self.chip]
        there.unfold(-1, self.chip, apart).add_(chips.permute(1, 2, 0, 3))

    def _end_row(self) -> None:
        """Add the chips of a row to those above."""
        if self._row is None:
            return
        rows, row = self.block.rows, self._row
        top, bottom = max(row, rows.start), min(row + self.chip, rows.stop)
        of_chip = slice(top - row, bottom - row)
        strip = self._strip[:, of_chip, self.chip - 1 :][..., : self.block.width]
        self.total[:, top - rows.start : bottom - rows.start] += strip * self.side[of_chip, None]
        self._strip.zero_()

    def result(self) -> torch.Tensor:
        """The means, (layers, rows, columns), where all chips were added that hold a pixel.

        Elsewhere they are without meaning. Nothing can be added afterwards.
        """
        self._end_row()
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
