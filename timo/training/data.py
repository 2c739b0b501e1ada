# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled chips of one or several places, as batches for training and validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from timo.series.labels import NOT_LABELLED
from timo.series.place_splits import PlacesSplit, everything
from timo.series.prepared import PreparedSeries
from timo.series.sampling import PARTS, Part
from timo.series.transforms import Augmentation, Orientation, flip_and_rotate

# An epoch of fewer steps would spend its time on validation.
LEAST_STEPS = 8
# Nor one of more steps show its curve and its best weights soon enough.
MOST_STEPS = 64
AHEAD = 2  # batches that are made while the model learns


class Batch(NamedTuple):
    """What a model learns from, or is judged by.

    Attributes:
        series: (B, T, C, H, W) float32.
        labels: (B, H, W) int64, 255 where not labelled; of every date (B, T, H, W); of whole chips (B,) or
            (B, T). Not looked at in pre-training.
        dates: (B, T) int64, days since 1970-01-01.
        valid: (B, T, H, W) bool, False on the dates that a series of the batch has fewer than another; None
            where all have as many.
    """

    series: torch.Tensor
    labels: torch.Tensor
    dates: torch.Tensor
    valid: torch.Tensor | None = None

    def split(self, parts: int) -> list[Batch]:
        """The batch in so many parts, or as many as it has chips."""
        series, labels, dates = (one.chunk(parts) for one in self[:3])
        valid = [None] * len(series) if self.valid is None else self.valid.chunk(parts)
        return [Batch(*part) for part in zip(series, labels, dates, valid, strict=True)]


class Piece(NamedTuple):
    """A chip to look at.

    Attributes:
        batch: It alone.
        series: Where it was read.
        row: Its first there; negative above the grid.
        column: Likewise.
    """

    batch: Batch
    series: PreparedSeries
    row: int
    column: int


class LabelledChips:
    """Implements ``timo.training.engine.Chips``.

    Args:
        series: The frames of each place.
        split: The labels of each place, and which of them are for training, which for validation.
        batch: Chips a step.
        seed: With an epoch's number it decides that epoch's chips and how they are turned and changed.
        augmentation: What is done to training chips beside flips and turns.
        whole: A chip has one label, that of most of its labelled pixels; else each pixel has its own.
        rank: Number of this process among those that share each batch.
        processes: How many they are.
    """

    def __init__(
        self,
        series: Sequence[PreparedSeries],
        split: PlacesSplit,
        *,
        batch: int,
        seed: int,
        augmentation: Augmentation | None = None,
        whole: bool = False,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self._series, self._batch, self._seed, self._split = series, batch, seed, split
        self._augmentation, self._whole = augmentation or Augmentation(), whole
        self._rank, self._processes = rank, processes
        self._maps = {part: split.targets(part) for part in PARTS}
        self._all = everything(split)
        self._all_maps = self._all.targets("train")
        self.steps = min(max(LEAST_STEPS, -(-len(split.tiles("train")) // batch)), MOST_STEPS)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(K,) labels of each class that a training of all labels learns from, of all dates."""
        classes = len(self._split.splits[0].labels.scheme)
        every = [np.bincount(one.ravel(), minlength=256)[:classes] for one in self._all_maps]
        return np.asarray(sum(every), np.int64)

    @property
    def labelled(self) -> float:
        """About how many pixels of a training chip have labels."""
        return float(self._split.counts("train").sum()) / len(self._split.tiles("train"))

    def epoch(self, number: int, first: int = 0, *, all_labels: bool = False) -> Iterator[Batch]:
        """Training chips, drawn at random, flipped, turned and changed; without the first so many batches."""
        random = np.random.default_rng((self._seed, number))
        split, maps = (self._all, self._all_maps) if all_labels else (self._split, self._maps["train"])
        windows = split.sample("train", self.steps * self._batch, random)

        def make(step: int) -> Batch:
            start = step * self._batch
            mine = range(start + self._rank, start + self._batch, self._processes)
            chips = []
            for i in mine:
                # Of its own: a chip is the same whichever others are made, and by whom.
                random = np.random.default_rng((self._seed, number, i))
                place, row, column = windows[i].tolist()
                chips.append(self._augmented(maps[place], place, row, column, random))
            return _stack(chips, self._split.per_date)

        return made_ahead(make, range(first, self.steps))

    def validation(self) -> Iterable[Batch]:
        """Chips that cover the validation labels, as they are."""
        return self.held("validation")

    def held(self, kept: Part) -> Iterable[Batch]:
        """Chips that cover the labels of a part, as they are; none where it has no label."""
        windows = self._split.tiles(kept).tolist()

        def make(first: int) -> Batch:
            part = windows[first : first + self._batch]
            return _stack([self._read(self._maps[kept][one[0]], *one) for one in part], self._split.per_date)

        return made_ahead(make, range(0, len(windows), self._batch))

    def richest(self, kept: Part) -> Piece | None:
        """The chip of a part with the most labels of the most classes; None where the part has no label.

        The first with the largest sum of the roots of the classes' counts: a second class weighs more than as
        many more labels of the first.
        """
        best, most = None, 0.0
        for place, row, column in self._split.tiles(kept).tolist():
            labels = self._labels(self._maps[kept][place], row, column)
            counts = np.bincount(labels[labels != NOT_LABELLED])
            if (worth := float(np.sqrt(counts).sum())) > most:
                best, most = (place, row, column), worth
        if best is None:
            return None
        chip = self._read(self._maps[kept][best[0]], *best)
        return Piece(_stack([chip], self._split.per_date), self._series[best[0]], *best[1:])

    def _augmented(
        self, target: NDArray[np.uint8], place: int, row: int, column: int, random: np.random.Generator
    ) -> _Chip:
        frames, labels, dates = self._read(target, place, row, column)
        kept = self._augmentation.choose_dates(len(dates), random)
        frames, dates = frames[kept], dates[kept]
        if self._split.per_date:
            labels = labels[kept]
        if not self._whole:
            frames, labels = flip_and_rotate(frames, labels, random)
        else:
            frames = Orientation.draw(random).apply(frames)
        frames, dates = self._augmentation.apply(frames, dates, random)
        return frames, labels, dates

    def _read(self, target: NDArray[np.uint8], place: int, row: int, column: int) -> _Chip:
        chip, series = self._split.chip, self._series[place]
        frames, _ = series.read(row, column, chip, chip)
        labels = self._labels(target, row, column)
        return frames, most_frequent(labels) if self._whole else labels, series.series.days

    def _labels(self, target: NDArray[np.uint8], row: int, column: int) -> NDArray[np.uint8]:
        """Of a chip, which may reach beyond the grid."""
        chip = self._split.chip
        labels = np.full((*target.shape[:-2], chip, chip), NOT_LABELLED, np.uint8)
        within = target[..., max(row, 0) : row + chip, max(column, 0) : column + chip]
        top, left = max(-row, 0), max(-column, 0)
        labels[..., top : top + within.shape[-2], left : left + within.shape[-1]] = within
        return labels


def most_frequent(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(..., H, W) class indices to (...): the one of most pixels, 255 where no pixel is labelled."""
    flat = labels.reshape(-1, labels.shape[-2] * labels.shape[-1])
    counts = np.stack([np.bincount(one, minlength=NOT_LABELLED + 1)[:NOT_LABELLED] for one in flat])
    found = np.where(counts.any(1), counts.argmax(1), NOT_LABELLED)
    return found.astype(np.uint8).reshape(labels.shape[:-2])


_Chip = tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.int64]]


def made_ahead(make: Callable[[int], Batch], steps: Iterable[int]) -> Iterator[Batch]:
    """The batches in order, a few of them made by a thread while the one before is learnt from."""
    with ThreadPoolExecutor(1) as pool:
        waiting = []
        for step in steps:
            waiting.append(pool.submit(make, step))
            if len(waiting) > AHEAD:
                yield waiting.pop(0).result()
        for one in waiting:
            yield one.result()


def _stack(chips: list[_Chip], per_date: bool) -> Batch:
    """Chips as a batch; series of fewer dates are filled up with dates that are not valid."""
    longest = max(len(dates) for _, _, dates in chips)
    shape = chips[0][0].shape[1:]
    series = np.zeros((len(chips), longest, *shape), np.float32)
    days = np.zeros((len(chips), longest), np.int64)
    for i, (frames, _, dates) in enumerate(chips):
        series[i, : len(dates)], days[i, : len(dates)] = frames, dates
    valid = None
    if any(len(dates) < longest for _, _, dates in chips):
        lengths = torch.tensor([len(dates) for _, _, dates in chips])
        present = torch.arange(longest)[None] < lengths[:, None]
        valid = present[:, :, None, None].expand(-1, -1, *shape[1:])
    if per_date:
        targets = np.full((len(chips), longest, *chips[0][1].shape[1:]), NOT_LABELLED, np.uint8)
        for i, (_, labels, _) in enumerate(chips):
            targets[i, : len(labels)] = labels
    else:
        targets = np.stack([labels for _, labels, _ in chips])
    return Batch(torch.from_numpy(series), torch.from_numpy(targets).long(), torch.from_numpy(days), valid)
