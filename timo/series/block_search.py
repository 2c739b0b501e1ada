# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking for the blocks that part labels best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timo.series.labels import NOT_LABELLED, Labels
from timo.series.windows import ChipPlaces, any_in_cells, box_sums

_SIDES = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)  # of blocks, in chips
_MOST_BLOCKS = 4096
_ORIGINS = 4  # of each size and shape
_DRAWS = 24  # of blocks for validation, in each layout
_JUDGED = 3  # of them, with what the buffer takes
_WORK = 20_000_000  # cells that all judging may look at
_FINE_CELLS = 100_000  # up to so many cells, blocks may be cut anywhere
_STRIP = 64  # rows of cells that are counted at once


@dataclass(frozen=True)
class Blocks:
    """Blocks of ``height`` x ``width`` cells; ``row`` and ``col`` of the first ones lie outside."""

    height: int
    width: int
    row: int
    col: int

    def numbers(self, rows: NDArray[Any], cols: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.int64]:
        """Number of the block of each cell, in a raster of ``shape``."""
        across = (shape[1] - 1 + self.col) // self.width + 1
        down, right = (rows + self.row) // self.height, (cols + self.col) // self.width
        return np.asarray(down * across + right, np.int64)

    def count(self, shape: tuple[int, int]) -> int:
        """How many blocks a raster has."""
        down = (shape[0] - 1 + self.row) // self.height + 1
        return int(down * ((shape[1] - 1 + self.col) // self.width + 1))

    def mask(self, chosen: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
        """(H, W) cells of the blocks that are chosen by their number."""
        rows, cols = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
        return np.asarray(chosen[self.numbers(rows, cols, shape)])


@dataclass(frozen=True)
class Parting:
    """A layout of blocks, and the cells of its parts.

    Attributes:
        blocks: The layout.
        side: Cells of the blocks that are for validation.
        train: Labelled cells that count for training.
        validation: Labelled cells that count for validation.
    """

    blocks: Blocks
    side: NDArray[np.bool_]
    train: NDArray[np.bool_]
    validation: NDArray[np.bool_]


def count_by_cell(labels: Labels, cell: int, labelled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(labelled cells, K) pixels of each class, the cells row by row."""
    classes = len(labels.scheme)
    counts = np.zeros((np.count_nonzero(labelled), classes), np.int64)
    first = 0
    for top in range(0, labelled.shape[0], _STRIP):
        strip = labelled[top : top + _STRIP]
        number = np.cumsum(strip.ravel()).reshape(strip.shape) - 1
        indices = labels.map[top * cell : (top + _STRIP) * cell]
        rows, cols = np.nonzero(indices != NOT_LABELLED)
        places = number[rows // cell, cols // cell] * classes + indices[rows, cols]
        held = int(np.count_nonzero(strip))
        counts[first : first + held] = np.bincount(places, minlength=held * classes).reshape(held, classes)
        first += held
    return counts


class BlockSearch:
    """Tries layouts of blocks and draws among them, and keeps the best.

    Args:
        labels: What is to be parted.
        chip: Side of a chip, in cells.
        cell: Side of a cell, in pixels.
        fraction: Share of each class that is wanted for validation.
        taken: Labelled cells of a part that is apart already: no chip may hold one.
    """

    def __init__(
        self,
        labels: Labels,
        chip: int,
        cell: int,
        fraction: float,
        taken: NDArray[np.bool_] | None = None,
    ) -> None:
        self._chip, self._fraction = chip, fraction
        self._labelled = any_in_cells(labels.map != NOT_LABELLED, cell)
        self._taken = np.zeros_like(self._labelled) if taken is None else taken
        self._shape = self._labelled.shape
        self._rows, self._cols = np.nonzero(self._labelled)
        counts = count_by_cell(labels, cell, self._labelled)
        self._counts = counts[:, counts.any(axis=0)]  # a class may be held out whole already
        self._total = self._counts.sum(0)
        # Blocks of a large raster are laid on atoms of several cells, which are counted instead of the cells.
        self._atom = 1 if self._labelled.size <= _FINE_CELLS else max(1, chip // 8)
        across = self._shape[1] // self._atom + 1
        atoms, of_cell = np.unique(
            self._rows // self._atom * across + self._cols // self._atom, return_inverse=True
        )
        self._atom_rows, self._atom_cols = atoms // across * self._atom, atoms % across * self._atom
        self._atom_counts = _sums(of_cell, self._counts, len(atoms))

    def run(self, random: np.random.Generator) -> Parting | None:
        """The best parting; None if none has two classes to train and a label to validate."""
        drawn: list[tuple[float, Blocks, NDArray[np.bool_]]] = []
        for blocks in self._layouts(random):
            numbers = blocks.numbers(self._atom_rows, self._atom_cols, self._shape)
            held = _sums(numbers, self._atom_counts, blocks.count(self._shape))
            best = sorted(self._draws(held, random), key=lambda one: one[0])[:_JUDGED]
            drawn += [(score, blocks, chosen) for score, chosen in best]
        drawn.sort(key=lambda one: one[0])
        padded = (self._shape[0] + 2 * self._chip) * (self._shape[1] + 2 * self._chip)
        found: tuple[float, Parting] | None = None
        for _, blocks, chosen in drawn[: max(8, _WORK // (2 * padded))]:
            score, parting = self._judge(blocks, blocks.mask(chosen, self._shape))
            if np.isfinite(score) and (found is None or score < found[0]):
                found = score, parting
        return found[1] if found else None

    def _layouts(self, random: np.random.Generator) -> list[Blocks]:
        """Blocks of several sizes, squares and strips, laid from several origins."""
        (height, width), atom = self._shape, self._atom
        found = []
        for side in sorted({max(2, round(share * self._chip / atom) * atom) for share in _SIDES}):
            for tall, wide in ((side, side), (side, width + atom), (height + atom, side)):
                count = -(-height // tall) * -(-width // wide)
                if (tall >= height and wide >= width) or count > _MOST_BLOCKS:
                    continue
                for _ in range(_ORIGINS):
                    row = int(random.integers(tall // atom)) * atom if tall < height else 0
                    col = int(random.integers(wide // atom)) * atom if wide < width else 0
                    found.append(Blocks(tall, wide, row, col))
        if not found:  # the scene is smaller than half a chip: cut it anywhere
            for _ in range(4 * _ORIGINS):
                found.append(Blocks(height, width, int(random.integers(height)), 0))
                found.append(Blocks(height, width, 0, int(random.integers(width))))
        return found

    def _draws(
        self, held: NDArray[np.int64], random: np.random.Generator
    ) -> Iterator[tuple[float, NDArray[np.bool_]]]:
        """Sets of blocks for validation, each with how far its class shares are from the wanted ones."""
        filled = np.flatnonzero(held.sum(1))
        if len(filled) < 2:
            return
        shares = held[filled] / self._total
        seen: set[bytes] = set()
        for _ in range(_DRAWS):
            taken = np.zeros(len(filled), np.bool_)
            sums = np.zeros(held.shape[1])
            away = np.abs(sums - self._fraction).sum()
            for i in random.permutation(len(filled)):
                new = np.abs(sums + shares[i] - self._fraction).sum()
                if new < away:
                    taken[i], sums, away = True, sums + shares[i], new
            if not taken.any():
                taken[random.integers(len(filled))] = True
                sums = shares[taken].sum(0)
            if taken.all() or taken.tobytes() in seen:
                continue
            seen.add(taken.tobytes())
            chosen = np.zeros(len(held), np.bool_)
            chosen[filled[taken]] = True
            missing = np.count_nonzero(sums <= 0) + 2 * np.count_nonzero(sums >= 1 - 1e-9)
            yield float(np.abs(sums - self._fraction).mean() + missing), chosen

    def _judge(self, blocks: Blocks, side: NDArray[np.bool_]) -> tuple[float, Parting]:
        """Score (lower is better; infinite if useless), with what the buffer between the parts takes."""
        train, validation = self._labelled & ~side, self._labelled & side
        parting = Parting(
            blocks,
            side,
            ChipPlaces(train, validation | self._taken, self._chip).covered,
            ChipPlaces(validation, train | self._taken, self._chip).covered,
        )
        first = self._counts[parting.train[self._rows, self._cols]].sum(0)
        second = self._counts[parting.validation[self._rows, self._cols]].sum(0)
        if np.count_nonzero(first) < 2 or not second.any():
            return np.inf, parting
        kept = first + second
        shares = second / np.maximum(kept, 1)
        # The mean alone would let one class go nearly unchecked.
        balance = np.abs(shares - self._fraction).mean() + max(0.0, self._fraction / 2 - shares.min())
        balance += abs(second.sum() / kept.sum() - self._fraction)
        lost = (1 - kept / self._total).mean() + 1 - kept.sum() / self._total.sum()
        # A class that can't be learned is worse than one that can't be checked.
        missing = (5 * np.count_nonzero(first == 0) + 2 * np.count_nonzero(second == 0)) / len(first)
        # Neighbours look alike: validation beside training flatters.
        reach = max(1, self._chip // 4)
        close = box_sums(np.pad(parting.train, reach), 2 * reach + 1) > 0
        near = np.count_nonzero(close & parting.validation) / np.count_nonzero(parting.validation)
        return float(balance + lost + missing + 0.25 * near), parting


def _sums(groups: NDArray[Any], counts: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """(number, K) sums of (N, K) counts by group."""
    sums = [np.bincount(groups, weights=one, minlength=number) for one in counts.T]
    return np.stack(sums, axis=1).astype(np.int64)
