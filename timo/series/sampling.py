# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and validation labels in spatial blocks, and the chips of each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from timo.errors import LabelError, OutputError
from timo.series.labels import NOT_LABELLED, Labels
from timo.series.windows import ChipPlaces, any_in_cells, box_sums, cell_side, chip_windows, pixels_of_cells

__all__ = ["Part", "Split", "chip_windows", "split_blocks"]

Part = Literal["train", "validation"]
TRAIN, VALIDATION = 0, 1

_MOST_CELLS = 2_000_000  # larger rasters are split, and chips laid, on coarser cells
_MOST_BLOCKS = 4096
_SIDES = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)  # of blocks, in chips
_DRAWS = 24  # of blocks for validation, in each layout
_WORK = 60_000_000  # cells that the search may look at
_REST = 4  # one in so many chips of an epoch is drawn by class


@dataclass(frozen=True)
class Blocks:
    """Blocks of ``height`` x ``width`` cells, the first one cut by ``row`` and ``col`` cells."""

    height: int
    width: int
    row: int
    col: int

    def numbers(self, shape: tuple[int, int]) -> tuple[NDArray[np.int64], int]:
        """Block number of every cell, and how many blocks there are."""
        rows = (np.arange(shape[0]) + self.row) // self.height
        cols = (np.arange(shape[1]) + self.col) // self.width
        return rows[:, None] * (cols[-1] + 1) + cols[None, :], int((rows[-1] + 1) * (cols[-1] + 1))


@dataclass
class Split:
    """Which labels are for training, which for validation, and where chips of each may lie.

    No labelled pixel of one part lies in a chip of the other. Labels that no such chip can hold are lost to
    the buffer between the parts: they count in neither.

    Attributes:
        labels: What was split.
        train: (H, W) bool, pixels whose label is for training.
        validation: (H, W) bool, pixels whose label is for validation.
        side: (H, W) int8, part of the block that a pixel lies in: 0 training, 1 validation.
        chip: Side of a chip, in pixels.
        fraction: Share of the labels that was wanted for validation.
        seed: What the blocks were drawn with.
        blocks: The layout, in cells.
        cell: Side of a cell, in pixels: windows start at multiples of it.
        problems: What an analyst should know, one sentence each.
    """

    labels: Labels
    train: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    side: NDArray[np.int8]
    chip: int
    fraction: float
    seed: int
    blocks: Blocks
    cell: int
    problems: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        problems = []
        classes = self.labels.scheme.classes
        for part in ("train", "validation"):
            absent = [c.name for c, count in zip(classes, self.counts(part)) if not count]
            if absent:
                name = "training" if part == "train" else "validation"
                problems.append(f"The {name} part has no label of class {', '.join(absent)}.")
        lost = int(self.lost.sum())
        if lost:
            share = lost / self.labels.counts.sum()
            percent = "less than 1 %" if share < 0.01 else f"{share * 100:.0f} %"
            problems.append(
                f"{lost} labelled pixels ({percent}) lie in the buffer between the parts: not used."
            )
        self.problems = tuple(problems)

    def mask(self, part: Part) -> NDArray[np.bool_]:
        """(H, W) bool, pixels whose label is the part's."""
        return self.train if part == "train" else self.validation

    def counts(self, part: Part) -> NDArray[np.int64]:
        """(K,) labelled pixels of each class in the part."""
        return np.bincount(self.labels.map[self.mask(part)], minlength=len(self.labels.scheme))

    @property
    def lost(self) -> NDArray[np.int64]:
        """(K,) labelled pixels of each class that lie in the buffer."""
        return self.labels.counts - self.counts("train") - self.counts("validation")

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

        They hold every label of the part, if ``count`` is enough for it; at least one chip in four is drawn
        around a label of a class, all classes as often, so that rare ones are seen at least as often as common
        ones.

        Args:
            part: Of which part.
            count: How many; left out, as many as the rule above needs.
            random: The same state gives the same chips.
        """
        places = self._places[part]
        drawn = places.cover(None if count is None else max(count - count // _REST, 1), random)
        by_class = self._cells_by_class[part]
        rest = max(len(drawn) // (_REST - 1), len(by_class)) if count is None else count - len(drawn)
        for i in range(max(rest, 0)):
            cells = by_class[i % len(by_class)]
            row, col = cells[random.integers(len(cells))]
            drawn.append(places.draw(int(row), int(col), random))
        windows = np.array(drawn, np.int32).reshape(-1, 2) * np.int32(self.cell)
        return np.asarray(random.permutation(windows), np.int32)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the blocks that hold labels as polygons to a GeoPackage, with their part and label counts.

        Raises:
            OutputError: It can't be written.
        """
        target = Path(path)
        part_file = target.with_name(f".{target.name}.partial.gpkg")
        rows = list(self._block_rows())
        columns = [
            np.array([row[i] for row in rows], kind)
            for i, kind in ((1, object), *((k, np.int64) for k in (2, 3)))
        ]
        try:
            pyogrio.raw.write(
                part_file,
                geometry=shapely.to_wkb(np.array([row[0] for row in rows], object)),
                field_data=columns,
                fields=["part", "labelled", "buffer"],
                layer="split",
                driver="GPKG",
                geometry_type="Polygon",
                crs=self.labels.grid.crs,
            )
            part_file.replace(target)
        except (OSError, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
            raise OutputError(
                "split_unwritable",
                f"{target} can't be written: {error}.",
                "Pick a folder that you may write to.",
            ) from error
        finally:
            part_file.unlink(missing_ok=True)

    def _block_rows(self) -> Iterator[tuple[shapely.Polygon, str, int, int]]:
        """Polygon, part, used and lost labels of every block with labels."""
        grid, cell, blocks = self.labels.grid, self.cell, self.blocks
        height, width = blocks.height * cell, blocks.width * cell
        used, labelled = self.train | self.validation, self.labels.map != NOT_LABELLED
        for top in range(-blocks.row * cell, grid.height, height):
            for left in range(-blocks.col * cell, grid.width, width):
                rows = slice(max(top, 0), min(top + height, grid.height))
                cols = slice(max(left, 0), min(left + width, grid.width))
                total = int(np.count_nonzero(labelled[rows, cols]))
                if not total:
                    continue
                kept = int(np.count_nonzero(used[rows, cols]))
                corners = (
                    (cols.start, rows.start),
                    (cols.stop, rows.start),
                    (cols.stop, rows.stop),
                    (cols.start, rows.stop),
                )
                part = "validation" if self.side[rows.start, cols.start] == VALIDATION else "train"
                yield (
                    shapely.Polygon([grid.transform * corner for corner in corners]),
                    part,
                    kept,
                    total - kept,
                )

    @cached_property
    def _places(self) -> dict[Part, ChipPlaces]:
        train, validation = any_in_cells(self.train, self.cell), any_in_cells(self.validation, self.cell)
        chip = self.chip // self.cell
        return {
            "train": ChipPlaces(train, validation, chip),
            "validation": ChipPlaces(validation, train, chip),
        }

    @cached_property
    def _cells_by_class(self) -> dict[Part, list[NDArray[np.int64]]]:
        """For each part, the cells of each class that it has."""
        found: dict[Part, list[NDArray[np.int64]]] = {}
        parts: tuple[Part, Part] = ("train", "validation")
        for part in parts:
            target = self.target(part)
            cells = [
                np.argwhere(any_in_cells(target == k, self.cell)) for k in range(len(self.labels.scheme))
            ]
            found[part] = [one for one in cells if len(one)]
        return found


def split_blocks(labels: Labels, *, chip: int, fraction: float, seed: int) -> Split:
    """Part labels into training and validation, in spatial blocks.

    Many layouts of blocks and many draws among them are tried. The best has every class in both parts, the
    wanted share of each in validation, loses few labels to the buffer, and has few validation labels close to
    training ones.

    Args:
        labels: The labels.
        chip: Side of a chip, in pixels.
        fraction: Share of each class that is wanted for validation, 0 to 1.
        seed: The same seed gives the same split.

    Raises:
        LabelError: The labels are too few, or too close together, to be parted.
    """
    cell = cell_side(labels.map.shape, chip, _MOST_CELLS)
    search = _Search(labels, chip // cell, cell, fraction)
    random = np.random.default_rng(seed)
    best = search.run(random)
    if best is None:
        raise LabelError(
            "too_few_labels",
            f"The labels of {Path(labels.path.partition('|')[0]).name} are too few or too close together to be "
            f"parted into training and validation with chips of {chip} pixels.",
            "Label more places farther apart, or take smaller chips.",
        )
    blocks, side, train, validation = best
    labelled = labels.map != NOT_LABELLED
    shape = labels.map.shape
    return Split(
        labels=labels,
        train=labelled & pixels_of_cells(train, cell, shape),
        validation=labelled & pixels_of_cells(validation, cell, shape),
        side=pixels_of_cells(side, cell, shape).astype(np.int8),
        chip=chip,
        fraction=fraction,
        seed=seed,
        blocks=blocks,
        cell=cell,
    )


_Candidate = tuple[Blocks, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]


class _Search:
    """Looks for a good split. Everything is in cells, ``chip`` too."""

    def __init__(self, labels: Labels, chip: int, cell: int, fraction: float) -> None:
        self.chip, self.fraction = chip, fraction
        self.labelled = any_in_cells(labels.map != NOT_LABELLED, cell)
        self.rows, self.cols = np.nonzero(self.labelled)
        # (labelled cells, K) pixels of each class
        classes = len(labels.scheme)
        number = np.cumsum(self.labelled.ravel()).reshape(self.labelled.shape) - 1
        rows, cols = np.nonzero(labels.map != NOT_LABELLED)
        flat = number[rows // cell, cols // cell] * classes + labels.map[rows, cols]
        self.counts = np.bincount(flat, minlength=len(self.rows) * classes).reshape(-1, classes)
        self.total = self.counts.sum(0)

    def run(self, random: np.random.Generator) -> _Candidate | None:
        """The best candidate; None if none has two classes to train and one label to validate."""
        scored: list[tuple[float, int, Blocks, NDArray[np.bool_]]] = []
        for blocks in self._layouts(random):
            numbers, count = blocks.numbers(self.labelled.shape)
            of_cells = numbers[self.rows, self.cols]
            held = np.stack(
                [np.bincount(of_cells, weights=one, minlength=count) for one in self.counts.T], axis=1
            )
            for draw, score in self._draws(held, random):
                scored.append((score, len(scored), blocks, draw))
        scored.sort(key=lambda one: one[:2])
        # Each layout's best draws: what the buffer takes hangs on the layout more than on the draw.
        tries: dict[Blocks, int] = {}
        best: tuple[float, _Candidate] | None = None
        budget = max(
            8,
            _WORK
            // (2 * (self.labelled.shape[0] + 2 * self.chip) * (self.labelled.shape[1] + 2 * self.chip)),
        )
        for _, _, blocks, draw in scored:
            if budget <= 0:
                break
            tries[blocks] = tries.get(blocks, 0) + 1
            if tries[blocks] > 3:
                continue
            budget -= 1
            side = draw[blocks.numbers(self.labelled.shape)[0]]
            score, train, validation = self._judge(side)
            if np.isfinite(score) and (best is None or score < best[0]):
                best = score, (blocks, side, train, validation)
        return best[1] if best else None

    def _layouts(self, random: np.random.Generator) -> list[Blocks]:
        """Blocks of several sizes, squares and strips, laid from several origins."""
        height, width = self.labelled.shape
        found = []
        for side in sorted({max(2, round(share * self.chip)) for share in _SIDES}):
            for tall, wide in ((side, side), (side, width), (height, side)):
                count = -(-height // tall) * -(-width // wide)
                if tall > height or wide > width or count < 2 or count > _MOST_BLOCKS:
                    continue
                for _ in range(4):
                    row = int(random.integers(tall)) if tall < height else 0
                    col = int(random.integers(wide)) if wide < width else 0
                    found.append(Blocks(tall, wide, row, col))
        if not found:  # the scene is smaller than half a chip: cut it anywhere
            for _ in range(16):
                found.append(Blocks(height, width, int(random.integers(height)), 0))
                found.append(Blocks(height, width, 0, int(random.integers(width))))
        return found

    def _draws(
        self, held: NDArray[Any], random: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.bool_], float]]:
        """Sets of blocks for validation, each with how far its class shares are from the wanted ones."""
        filled = np.flatnonzero(held.sum(1))
        if len(filled) < 2:
            return
        shares = held[filled] / self.total
        seen: set[bytes] = set()
        for _ in range(_DRAWS):
            taken = np.zeros(len(filled), np.bool_)
            sums = np.zeros(held.shape[1])
            for i in random.permutation(len(filled)):
                new = sums + shares[i]
                if np.abs(new - self.fraction).sum() < np.abs(sums - self.fraction).sum():
                    taken[i], sums = True, new
            if not taken.any():
                taken[random.integers(len(filled))] = True
                sums = shares[taken].sum(0)
            if taken.all() or taken.tobytes() in seen:
                continue
            seen.add(taken.tobytes())
            draw = np.zeros(len(held), np.bool_)
            draw[filled[taken]] = True
            missing = np.count_nonzero(sums <= 0) + 2 * np.count_nonzero(sums >= 1)
            yield draw, float(np.abs(sums - self.fraction).mean() + missing)

    def _judge(self, side: NDArray[np.bool_]) -> tuple[float, NDArray[np.bool_], NDArray[np.bool_]]:
        """Score (lower is better; infinite if useless), and the cells that count in each part."""
        train, validation = self.labelled & ~side, self.labelled & side
        kept_train = ChipPlaces(train, validation, self.chip).covered
        kept_validation = ChipPlaces(validation, train, self.chip).covered
        first = self.counts[kept_train[self.rows, self.cols]].sum(0)
        second = self.counts[kept_validation[self.rows, self.cols]].sum(0)
        if np.count_nonzero(first) < 2 or not second.any():
            return np.inf, kept_train, kept_validation
        kept = first + second
        balance = np.abs(second / np.maximum(kept, 1) - self.fraction).mean()
        lost = (1 - kept / self.total).mean() + 1 - kept.sum() / self.total.sum()
        missing = (5 * np.count_nonzero(first == 0) + 2 * np.count_nonzero(second == 0)) / len(first)
        reach = max(1, self.chip // 4)
        close = box_sums(np.pad(kept_train, reach), 2 * reach + 1) > 0
        near = np.count_nonzero(close & kept_validation) / np.count_nonzero(kept_validation)
        return float(balance + lost + missing + 0.25 * near), kept_train, kept_validation
