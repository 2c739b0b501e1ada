# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and validation labels in spatial blocks, and the chips of each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError

from timo.errors import LabelError, OutputError
from timo.series.block_search import Blocks, BlockSearch
from timo.series.labels import NOT_LABELLED, Labels
from timo.series.rasters import reason
from timo.series.windows import ChipPlaces, any_in_cells, cell_side, chip_windows, pixels_of_cells

__all__ = ["PARTS", "Part", "Split", "chip_windows", "split_blocks"]

Part = Literal["train", "validation"]
PARTS: tuple[Part, Part] = ("train", "validation")  # ``Split.side`` has their indices

_MOST_CELLS = 2_000_000  # larger rasters are split, and chips laid, on coarser cells
_REST = 4  # one in so many chips of an epoch is drawn by class


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
        classes = self.labels.scheme.classes
        self._counts = {
            part: np.bincount(self.labels.map[self.mask(part)], minlength=len(classes)) for part in PARTS
        }
        problems = []
        for part, word in zip(PARTS, ("training", "validation")):
            absent = [info.name for info, count in zip(classes, self._counts[part]) if not count]
            if absent:
                problems.append(f"The {word} part has no label of class {', '.join(absent)}.")
        lost, total = int(self.lost.sum()), int(self.labels.counts.sum())
        if lost:
            problems.append(
                f"{lost} of {total} labelled pixels lie in the buffer between the parts: not used."
            )
        self.problems = tuple(problems)

    def mask(self, part: Part) -> NDArray[np.bool_]:
        """(H, W) bool, pixels whose label is the part's."""
        return self.train if part == "train" else self.validation

    def counts(self, part: Part) -> NDArray[np.int64]:
        """(K,) labelled pixels of each class in the part."""
        return self._counts[part]

    @property
    def lost(self) -> NDArray[np.int64]:
        """(K,) labelled pixels of each class that lie in the buffer."""
        return self.labels.counts - self._counts["train"] - self._counts["validation"]

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
        row, col = self._places[part].draw(*cells[random.integers(len(cells))].tolist(), random)
        return row * self.cell, col * self.cell

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the blocks that hold labels as polygons to a GeoPackage.

        Fields: ``part`` (train, validation), ``labelled`` (pixels that count), ``buffer`` (those that don't).

        Raises:
            OutputError: It can't be written.
        """
        target = Path(path)
        unfinished = target.with_name(f".{target.name}.partial.gpkg")
        polygons, parts, used, lost = zip(*self._block_rows())
        try:
            pyogrio.raw.write(
                unfinished,
                geometry=shapely.to_wkb(np.array(polygons, object)),
                field_data=[np.array(parts, object), np.array(used, np.int64), np.array(lost, np.int64)],
                fields=["part", "labelled", "buffer"],
                layer="split",
                driver="GPKG",
                geometry_type="Polygon",
                crs=self.labels.grid.crs,
            )
            unfinished.replace(target)
        except (OSError, DataSourceError, DataLayerError) as error:
            raise OutputError(
                "split_unwritable",
                f"{target} can't be written: {reason(error)}.",
                "Pick a folder that you may write to.",
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def _block_rows(self) -> Iterator[tuple[shapely.Polygon, Part, int, int]]:
        """Polygon, part, used and lost labels of every block that holds labels."""
        grid, blocks = self.labels.grid, self.blocks
        height, width = blocks.height * self.cell, blocks.width * self.cell
        used, labelled = self.train | self.validation, self.labels.map != NOT_LABELLED
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
        train, validation = any_in_cells(self.train, self.cell), any_in_cells(self.validation, self.cell)
        chip = self.chip // self.cell
        return {
            "train": ChipPlaces(train, validation, chip),
            "validation": ChipPlaces(validation, train, chip),
        }

    @cached_property
    def _cells_by_class(self) -> dict[Part, list[NDArray[np.int64]]]:
        """For each part, the cells of each class."""
        found = {}
        for part in PARTS:
            target = self.target(part)
            cells = [
                np.argwhere(any_in_cells(target == k, self.cell)) for k in range(len(self.labels.scheme))
            ]
            found[part] = cells
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
    shape = labels.map.shape
    cell = cell_side(shape, chip, _MOST_CELLS)
    found = BlockSearch(labels, chip // cell, cell, fraction).run(np.random.default_rng(seed))
    if found is None:
        name = Path(labels.path.partition("|")[0]).name
        raise LabelError(
            "too_few_labels",
            f"The labels of {name} are too few to be parted into training and validation.",
            "Label more places, some distance apart.",
        )
    labelled = labels.map != NOT_LABELLED
    return Split(
        labels=labels,
        train=labelled & pixels_of_cells(found.train, cell, shape),
        validation=labelled & pixels_of_cells(found.validation, cell, shape),
        side=pixels_of_cells(found.side, cell, shape).astype(np.int8),
        chip=chip,
        fraction=fraction,
        seed=seed,
        blocks=found.blocks,
        cell=cell,
    )
