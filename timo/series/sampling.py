# SPDX-License-Identifier: GPL-3.0-or-later
"""Training, validation and test labels in spatial blocks or as given, and the chips of each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from timo.errors import LabelError, SpecError
from timo.series.block_search import Blocks, BlockSearch
from timo.series.labels import NOT_LABELLED, Labels
from timo.series.parts import NO_PART, PARTS, Part, Parts, Row, outlines, write_parts
from timo.series.windows import (
    ChipPlaces,
    any_in_cells,
    cell_side,
    chip_windows,
    covered_parts,
    others_of,
    pixels_of_cells,
)

__all__ = ["PARTS", "Part", "Split", "chip_windows", "given_split", "split_blocks"]

WORDS: dict[Part, str] = {"train": "training", "validation": "validation", "test": "test"}

_MOST_CELLS = 2_000_000  # larger rasters are split, and chips laid, on coarser cells
_REST = 4  # one in so many chips of an epoch is drawn by class
_MUCH = 0.5  # a larger share of the labels in the buffer is too much to go unexplained
_TRIES = 4  # of test parts, until every class is in every part
# A class that can't be learned is worse than one that can't be checked.
_WEIGHTS: dict[Part, float] = {"train": 5, "validation": 2, "test": 1}


@dataclass
class Split:
    """Which labels are for training, validation and testing, and where chips of each may lie.

    No labelled pixel of one part lies in a chip of another. Labels that no such chip can hold are lost to
    the buffer between the parts: they count in none.

    Attributes:
        labels: What was split.
        train: (H, W) bool, pixels whose label is for training.
        validation: (H, W) bool, pixels whose label is for validation: it chooses the best epoch.
        side: (H, W) int8, part that a pixel's place is of, whether labelled or not: index in ``PARTS``, -1
            for none.
        chip: Side of a chip, in pixels.
        fraction: Share of the labels that was wanted for validation.
        seed: What the blocks were drawn with.
        blocks: The layout, in cells; None where the parts are not laid in blocks of one layout.
        cell: Side of a cell, in pixels: windows start at multiples of it.
        test: (H, W) bool, pixels whose label is for testing alone; None where there is no such part.
        doubts: What is to be told beside what the split itself shows.
        problems: What an analyst should know, one sentence each.
    """

    labels: Labels
    train: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    side: NDArray[np.int8]
    chip: int
    fraction: float
    seed: int
    blocks: Blocks | None
    cell: int
    test: NDArray[np.bool_] | None = None
    doubts: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        classes = self.labels.scheme.classes
        self._counts = {
            part: np.bincount(self.labels.map[self.mask(part)], minlength=len(classes)) for part in self.parts
        }
        problems = list(self.doubts)
        for part in self.parts:
            absent = [info.name for info, count in zip(classes, self._counts[part]) if not count]
            if absent:
                problems.append(f"The {WORDS[part]} part has no label of class {', '.join(absent)}.")
        total = int(self.labels.counts.sum())
        without = int(np.count_nonzero((self.labels.map != NOT_LABELLED) & (self.side == NO_PART)))
        if without:
            are = "is" if without == 1 else "are"
            problems.append(f"{without} of {total} labelled pixels {are} given to no part: not used.")
        lost = int(self.lost.sum()) - without
        if lost:
            lie = "lies" if lost == 1 else "lie"
            told = f"{lost} of {total} labelled pixels {lie} in the buffer between the parts: not used."
            if lost > _MUCH * total:
                told += " With smaller chips, or parts that lie farther apart, fewer do."
            problems.append(told)
        self.problems = tuple(problems)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that there are: training, validation and, where it was wanted or given, test."""
        return PARTS if self.test is not None else PARTS[:2]

    def mask(self, part: Part) -> NDArray[np.bool_]:
        """(H, W) bool, pixels whose label is the part's."""
        if part == "test":
            return np.zeros_like(self.train) if self.test is None else self.test
        return self.train if part == "train" else self.validation

    def counts(self, part: Part) -> NDArray[np.int64]:
        """(K,) labelled pixels of each class in the part."""
        return self._counts[part]

    @property
    def lost(self) -> NDArray[np.int64]:
        """(K,) labelled pixels of each class that count in no part."""
        return np.asarray(self.labels.counts - sum(self._counts.values()), np.int64)

    def target(self, part: Part) -> NDArray[np.uint8]:
        """(H, W) uint8 class indices where the label is the part's, 255 elsewhere."""
        return np.where(self.mask(part), self.labels.map, np.uint8(NOT_LABELLED))

    def windows(self, part: Part) -> NDArray[np.int32]:
        """(N, 2) first rows and columns of all chips of the part; negative beyond the grid."""
        return self._places[part].offsets() * np.int32(self.cell)

    def tiles(self, part: Part) -> NDArray[np.int32]:
        """(N, 2) first rows and columns of few chips that hold all the part's labels; always the same."""
        return self._places[part].tiles() * np.int32(self.cell)

    def sample(self, part: Part, count: int | None, random: np.random.Generator) -> NDArray[np.int32]:
        """(N, 2) first rows and columns of the chips of one epoch, in random order.

        They hold every label of the part, if ``count`` is enough for it. At least one chip in four is drawn
        around a label of a class, all classes as often, so that rare ones are seen as often as common ones.

        Args:
            part: Of which part.
            count: How many; left out, as many as hold every label and are balanced so.
            random: The same state gives the same chips.
        """
        places = self._places[part]
        drawn = places.cover(None if count is None else max(count - count // _REST, 1), random)
        by_class = [cells for cells in self._cells_by_class[part] if len(cells)]
        rest = max(len(drawn) // (_REST - 1), len(by_class)) if count is None else count - len(drawn)
        for i in range(rest):
            cells = by_class[i % len(by_class)]
            row, col = cells[random.integers(len(cells))]
            drawn.append(places.draw(int(row), int(col), random))
        windows = np.array(drawn, np.int32).reshape(-1, 2) * np.int32(self.cell)
        return random.permutation(windows)

    def draw(self, part: Part, index: int, random: np.random.Generator) -> tuple[int, int]:
        """First row and column of a chip around any label of a class that the part has."""
        cells = self._cells_by_class[part][index]
        row, col = cells[random.integers(len(cells))]
        top, left = self._places[part].draw(int(row), int(col), random)
        return top * self.cell, left * self.cell

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the places of the parts that hold labels as polygons to a GeoPackage.

        Fields: ``part`` (train, validation, test), ``labelled`` (pixels that count), ``buffer`` (those that
        don't). ``timo.series.parts.read_parts`` and ``given_split`` make the same split of it.

        Raises:
            OutputError: It can't be written.
        """
        if self.blocks is None:
            labelled = self.labels.map != NOT_LABELLED
            rows = outlines(self.side, self._used, labelled, self.labels.grid)
        else:
            rows = self._block_rows(self.blocks)
        write_parts(path, rows, self.labels.grid.crs)

    @property
    def _used(self) -> NDArray[np.bool_]:
        used = self.train | self.validation
        return used if self.test is None else used | self.test

    def _block_rows(self, blocks: Blocks) -> Iterator[Row]:
        """Every block that holds labels."""
        grid = self.labels.grid
        height, width = blocks.height * self.cell, blocks.width * self.cell
        used, labelled = self._used, self.labels.map != NOT_LABELLED
        for start in range(-blocks.row * self.cell, grid.height, height):
            for first in range(-blocks.col * self.cell, grid.width, width):
                top, bottom = max(start, 0), min(start + height, grid.height)
                left, right = max(first, 0), min(first + width, grid.width)
                total = int(np.count_nonzero(labelled[top:bottom, left:right]))
                if not total:
                    continue
                kept = int(np.count_nonzero(used[top:bottom, left:right]))
                corners = ((left, top), (right, top), (right, bottom), (left, bottom))
                polygon = shapely.Polygon([grid.point(*corner) for corner in corners])
                yield polygon, PARTS[self.side[top, left]], kept, total - kept

    @cached_property
    def _places(self) -> dict[Part, ChipPlaces]:
        cells = [any_in_cells(self.mask(part), self.cell) for part in self.parts]
        chip = self.chip // self.cell
        return {part: ChipPlaces(cells[i], others_of(cells, i), chip) for i, part in enumerate(self.parts)}

    @cached_property
    def _cells_by_class(self) -> dict[Part, list[NDArray[np.int64]]]:
        """For each part, the cells of each class."""
        found = {}
        for part in self.parts:
            target = self.target(part)
            cells = [
                np.argwhere(any_in_cells(target == k, self.cell)) for k in range(len(self.labels.scheme))
            ]
            found[part] = cells
        return found


def split_blocks(labels: Labels, *, chip: int, fraction: float, seed: int, test: float = 0.0) -> Split:
    """Part labels into training, validation and, where wanted, test, in spatial blocks.

    Many layouts of blocks and many draws among them are tried. The best has every class in all parts, the
    wanted share of each outside of training, loses few labels to the buffer, and has few held-out labels
    close to the others. The test part is looked for first, validation among what is left.

    Args:
        labels: The labels.
        chip: Side of a chip, in pixels.
        fraction: Share of each class that is wanted for validation, 0 to 1.
        seed: The same seed gives the same split.
        test: Share of each class that is wanted for testing; none if 0.

    Raises:
        LabelError: The labels are too few, or too close together, to be parted.
        SpecError: The shares leave nothing to train on.
    """
    if fraction + test >= 1:
        raise SpecError(
            "spec_invalid",
            f"Shares of {fraction:g} for validation and {test:g} for testing leave nothing to train on.",
            "Make them smaller.",
        )
    shape = labels.map.shape
    cell = cell_side(shape, chip, _MOST_CELLS)
    random = np.random.default_rng(seed)
    best: tuple[float, Split] | None = None
    for _ in range(_TRIES if test else 1):
        found = _search(labels, chip, cell, fraction, test, random)
        if found is None:
            continue
        side, blocks = found
        split = _parted(labels, side, chip, cell, test=test > 0, fraction=fraction, seed=seed, blocks=blocks)
        missing = sum(_WEIGHTS[part] * np.count_nonzero(split.counts(part) == 0) for part in split.parts)
        if not _useless(split) and (best is None or missing < best[0]):
            best = missing, split
        if best and not best[0]:
            break
    if best is None:
        into = "training, validation and test" if test else "training and validation"
        raise LabelError(
            "too_few_labels",
            f"The labels of {_name(labels)} are too few to be parted into {into}.",
            "Label more places, some distance apart.",
        )
    return best[1]


def given_split(labels: Labels, parts: Parts, *, chip: int) -> Split:
    """Part labels as the analyst gave it.

    What no chip of its part can hold without labels of another part is lost to the buffer, as in blocks:
    parts that touch lose labels on both sides.

    Args:
        labels: The labels.
        parts: Of ``timo.series.parts.read_parts``, on the labels' grid. A test part is optional.
        chip: Side of a chip, in pixels.

    Raises:
        LabelError: A part has no label, or none outside of the buffer, or there is one class to train alone.
    """
    labelled = labels.map != NOT_LABELLED
    given = np.bincount(parts.map[labelled] + 1, minlength=len(PARTS) + 1)[1:]
    for part, count in zip(PARTS[:2], given):
        if not count:
            raise LabelError(
                "part_without_labels",
                f"{parts.name} gives no label of {_name(labels)} to {WORDS[part]}.",
                "Mark places that hold labels as train, others as validation and, where wanted, as test.",
            )
    cell = cell_side(labels.map.shape, chip, _MOST_CELLS)
    doubts = tuple(problem for problem in parts.problems if problem not in labels.problems)
    share = float(given[1] / given.sum())
    test = bool(given[2])
    split = _parted(
        labels, parts.map, chip, cell, test=test, fraction=share, seed=0, blocks=None, doubts=doubts
    )
    for part in split.parts:
        if not split.counts(part).any():
            raise LabelError(
                "part_in_buffer",
                f"Every label that {parts.name} gives to {WORDS[part]} lies closer than a chip of {chip} "
                "pixels to those of another part.",
                "Let the parts lie farther apart, or make the chips smaller.",
            )
    if _useless(split):
        only = labels.scheme.classes[int(split.counts("train").argmax())].name
        raise LabelError(
            "part_one_class",
            f"The training part of {parts.name} has labels of class {only} alone.",
            "Give it labels of a second class, farther from the other parts than a chip.",
        )
    return split


def _search(
    labels: Labels, chip: int, cell: int, fraction: float, test: float, random: np.random.Generator
) -> tuple[NDArray[np.int8], Blocks | None] | None:
    """(H, W) the part of each pixel's block, and the layout if it is only one."""
    shape = labels.map.shape

    def pixels(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return pixels_of_cells(cells, cell, shape)

    if not test:
        found = BlockSearch(labels, chip // cell, cell, fraction).run(random)
        return None if found is None else (pixels(found.side).astype(np.int8), found.blocks)
    first = BlockSearch(labels, chip // cell, cell, test).run(random)
    if first is None:
        return None
    held = pixels(first.side)
    kept = np.where(held, np.uint8(NOT_LABELLED), labels.map)
    counts = np.bincount(kept.ravel(), minlength=NOT_LABELLED + 1)[: len(labels.scheme)]
    rest = replace(labels, map=kept, counts=counts.astype(np.int64))
    taken = any_in_cells(held & (labels.map != NOT_LABELLED), cell)
    second = BlockSearch(rest, chip // cell, cell, fraction / (1 - test), taken).run(random)
    if second is None:
        return None
    side = np.where(held, np.int8(2), pixels(second.side).astype(np.int8))
    return side, None


def _parted(
    labels: Labels,
    side: NDArray[np.int8],
    chip: int,
    cell: int,
    *,
    test: bool,
    fraction: float,
    seed: int,
    blocks: Blocks | None,
    doubts: tuple[str, ...] = (),
) -> Split:
    """The split by the part that each pixel's place is of: it hangs on nothing else."""
    labelled = labels.map != NOT_LABELLED
    own = [labelled & (side == code) for code in range(3 if test else 2)]
    covered = covered_parts([any_in_cells(mask, cell) for mask in own], chip // cell)
    used = [mask & pixels_of_cells(cells, cell, labels.map.shape) for mask, cells in zip(own, covered)]
    return Split(
        labels=labels,
        train=used[0],
        validation=used[1],
        side=side,
        chip=chip,
        fraction=fraction,
        seed=seed,
        blocks=blocks,
        cell=cell,
        test=used[2] if test else None,
        doubts=doubts,
    )


def _useless(split: Split) -> bool:
    """Whether there are no two classes to train, or another part is empty."""
    few = int(np.count_nonzero(split.counts("train"))) < 2
    return few or not all(split.counts(part).any() for part in split.parts)


def _name(labels: Labels) -> str:
    return Path(labels.path.partition("|")[0]).name
