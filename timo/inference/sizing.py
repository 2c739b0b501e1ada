# SPDX-License-Identifier: GPL-3.0-or-later
"""How large blocks and batches are: as the machine's memory allows."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import torch

from timo.memory import available

# What fewer chips a side would compute twice, at the borders of blocks, would no longer be little.
LEAST_CHIPS = 8
# Output files have tiles of this side, and so do most sources: a block is whole tiles.
TILE = 256
BEST_SIDE = 1024
"""Larger blocks save little: of chips of 64 pixels 3 in 100 are computed twice."""
SHARE = 0.25  # of the memory that is free
MOST_BYTES = 4 << 30
MOST_THREADS = 8  # reading; more wait for the disk


@dataclass(frozen=True)
class Size:
    """What is held in memory at once.

    Attributes:
        side: Pixels of a block's side.
        batch: Chips a step of the model.
        threads: That read.
    """

    side: int
    batch: int
    threads: int


def block_bytes(side: int, chip: int, values: int, layers: int) -> int:
    """Host memory that blocks take: the one worked on, the next one and what becomes of them.

    Args:
        side: Pixels of a block's side.
        chip: Pixels of a chip's side.
        values: Of a pixel in the series: its dates times its bands.
        layers: Of a pixel in the result.
    """
    around = (side + 2 * chip) ** 2
    return 4 * (2 * around * values + 3 * side**2 * layers)


def choose(
    *,
    chip: int,
    values: int,
    layers: int,
    device: torch.device,
    batch: int | None = None,
    stride: int = 1,
) -> Size:
    """The size that fits the machine.

    Args:
        chip: Pixels of a chip's side.
        values: Of a pixel in the series: its dates times its bands.
        layers: Of a pixel in the result.
        device: Where the model is.
        batch: Where the analyst wants another than the best.
        stride: Pixels of the series, along each side, for a pixel of the result.
    """
    values, chip = values * stride**2, chip // stride
    least = _whole_tiles(LEAST_CHIPS * chip)
    budget = min(int(available(torch.device("cpu")) * SHARE), MOST_BYTES)
    side = max(least, BEST_SIDE)
    while side > chip and block_bytes(side, chip, values, layers) > budget:
        side = side - TILE if side > TILE else side // 2
    threads = min(os.cpu_count() or 1, MOST_THREADS)
    return Size(side, batch or (32 if device.type == "cuda" else 8), threads)


def _whole_tiles(pixels: int) -> int:
    return math.ceil(pixels / TILE) * TILE
