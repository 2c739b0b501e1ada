# SPDX-License-Identifier: GPL-3.0-or-later
"""Where chips and blocks lie: one global grid of overlapping squares, and rectangles that tile the raster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Rectangle:
    """Some of a raster's rows and columns, in pixels; in order of the first row, then the first column."""

    row: int
    column: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """Its rows in the raster."""
        return slice(self.row, self.row + self.height)

    @property
    def columns(self) -> slice:
        """Its columns in the raster."""
        return slice(self.column, self.column + self.width)

    @property
    def pixels(self) -> int:
        """How many it has."""
        return self.height * self.width

    def holds(self, other: Rectangle) -> bool:
        """Whether the other lies within this one."""
        return (
            self.row <= other.row
            and self.column <= other.column
            and other.row + other.height <= self.row + self.height
            and other.column + other.width <= self.column + self.width
        )

    def quarters(self, side: int) -> list[Rectangle]:
        """The up to four rectangles of at most ``side`` pixels a side that tile it.

        Args:
            side: Half the side of the blocks that this is one of.
        """
        return [
            Rectangle(
                self.row + row,
                self.column + column,
                min(side, self.height - row),
                min(side, self.width - column),
            )
            for row in range(0, self.height, side)
            for column in range(0, self.width, side)
        ]


def step_of(chip: int) -> int:
    """Pixels from a chip's first to the next one's: they overlap by half."""
    return -(-chip // 2)


def offsets(length: int, chip: int) -> list[int]:
    """First pixels of the chips along one side of a raster.

    The last one ends at the raster's edge, so that no chip reaches beyond it,
    unless the raster is smaller than a chip.

    Args:
        length: Pixels of the raster's side.
        chip: Pixels of a chip's side.

    Returns:
        Ascending offsets, the first 0.
    """
    if length <= chip:
        return [0]
    return [*range(0, length - chip, step_of(chip)), length - chip]


def chips_of(start: int, stop: int, length: int, chip: int) -> list[int]:
    """Those of ``offsets(length, chip)`` whose chip meets the pixels ``start`` to ``stop`` (exclusive)."""
    return [first for first in offsets(length, chip) if first < stop and first + chip > start]


def blocks(height: int, width: int, side: int) -> Iterator[Rectangle]:
    """Rectangles of at most ``side`` pixels a side that tile a raster, row by row."""
    yield from Rectangle(0, 0, height, width).quarters(side)
