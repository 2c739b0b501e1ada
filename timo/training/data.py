# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled chips of one series, as batches for training and validation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from timo.series.labels import NOT_LABELLED
from timo.series.prepared import PreparedSeries
from timo.series.sampling import Part, Split
from timo.series.transforms import flip_and_rotate
from timo.training.engine import Batch

# An epoch of fewer steps would spend its time on validation.
LEAST_STEPS = 8
PARTS: tuple[Part, ...] = ("train", "validation")


class LabelledChips:
    """Implements ``timo.training.engine.Chips``.

    Args:
        series: The frames.
        split: The labels, and which of them are for training, which for validation.
        chip: Side of a chip, in pixels.
        batch: Chips a step.
        seed: With an epoch's number it decides that epoch's chips and how they are turned.
    """

    def __init__(self, series: PreparedSeries, split: Split, *, chip: int, batch: int, seed: int) -> None:
        self._series, self._chip, self._batch, self._seed, self._split = series, chip, batch, seed, split
        self._maps = {part: split.target(part) for part in PARTS}
        self.steps = max(LEAST_STEPS, -(-len(split.tiles("train")) // batch))

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Training chips, drawn at random, flipped and turned; without the first so many batches."""
        random = np.random.default_rng((self._seed, number))
        windows = self._split.sample("train", self.steps * self._batch, random)
        for step in range(first, self.steps):
            # Of its own: a batch is the same whether those before it were made or not.
            random = np.random.default_rng((self._seed, number, step))
            start = step * self._batch
            yield _stack(
                [
                    flip_and_rotate(*self._read("train", row, column), random)
                    for row, column in windows[start : start + self._batch].tolist()
                ]
            )

    def validation(self) -> Iterable[Batch]:
        """Chips that cover the validation labels, as they are."""
        windows = self._split.tiles("validation").tolist()
        for first in range(0, len(windows), self._batch):
            yield _stack(
                [
                    self._read("validation", row, column)
                    for row, column in windows[first : first + self._batch]
                ]
            )

    def _read(self, part: Part, row: int, column: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        frames, _ = self._series.read(row, column, self._chip, self._chip)
        labels = np.full((self._chip, self._chip), NOT_LABELLED, np.uint8)
        within = self._maps[part][max(row, 0) : row + self._chip, max(column, 0) : column + self._chip]
        top, left = max(-row, 0), max(-column, 0)
        labels[top : top + within.shape[0], left : left + within.shape[1]] = within
        return frames, labels


def _stack(pairs: list[tuple[NDArray[np.float32], NDArray[np.uint8]]]) -> Batch:
    frames, labels = zip(*pairs, strict=True)
    return torch.from_numpy(np.stack(frames)), torch.from_numpy(np.stack(labels)).long()
