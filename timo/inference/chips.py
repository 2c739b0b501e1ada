# SPDX-License-Identifier: GPL-3.0-or-later
"""Where chips lie: one global grid of overlapping squares that covers the raster."""

from __future__ import annotations

from collections.abc import Iterator


def offsets(length: int, chip: int) -> list[int]:
    """First pixels of the chips along one side of a raster.

    Chips overlap by half. The last one ends at the raster's edge, so that no chip reaches beyond it,
    unless the raster is smaller than a chip.

    Args:
        length: Pixels of the raster's side.
        chip: Pixels of a chip's side, even.

    Returns:
        Ascending offsets, the first 0.
    """
    if length <= chip:
        return [0]
    return [*range(0, length - chip, chip // 2), length - chip]


def chips_of(start: int, stop: int, length: int, chip: int) -> list[int]:
    """Those of ``offsets(length, chip)`` whose chip meets the pixels ``start`` to ``stop`` (exclusive)."""
    return [first for first in offsets(length, chip) if first < stop and first + chip > start]


def blocks(height: int, width: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Rectangles of at most ``side`` pixels that tile a raster, row by row."""
    for row in range(0, height, side):
        for column in range(0, width, side):
            yield slice(row, min(row + side, height)), slice(column, min(column + side, width))
