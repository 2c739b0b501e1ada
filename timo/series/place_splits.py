# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and validation over several places: whole places for each part, blocks where there is only one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyogrio
import rasterio.warp
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError

from timo.errors import LabelError, OutputError
from timo.series.block_search import Blocks
from timo.series.labels import NOT_LABELLED, Labels
from timo.series.parts import NO_PART
from timo.series.rasters import reason
from timo.series.sampling import PARTS, WORDS, Part, Split, split_blocks
from timo.series.windows import any_in_cells, cell_side

_DRAWS = 500
_REST = 4  # one in so many chips of an epoch is drawn by class
_MOST_CELLS = 2_000_000


@dataclass
class PlacesSplit:
    """The splits of all places, and their chips; windows carry the number of their place.

    Attributes:
        splits: Of each place, in order.
        names: Of the places.
        problems: What an analyst should know, one sentence each.
    """

    splits: Sequence[Split]
    names: Sequence[str] = ("",)

    @property
    def chip(self) -> int:
        """Side of a chip, in pixels."""
        return self.splits[0].chip

    @property
    def problems(self) -> tuple[str, ...]:
        """Of the only place; of several, which classes a part lacks."""
        if len(self.splits) == 1:
            return self.splits[0].problems
        names = [info.name for info in self.splits[0].labels.scheme.classes]
        found = []
        for part in self.splits[0].parts:
            word = WORDS[part]
            absent = [name for name, count in zip(names, self.counts(part)) if not count]
            if absent:
                found.append(f"The {word} places have no label of class {', '.join(absent)}.")
        return tuple(found)

    @property
    def per_date(self) -> bool:
        """Whether labels hold on a date."""
        return self.splits[0].labels.dated is not None

    def targets(self, part: Part) -> list[NDArray[np.uint8]]:
        """Class indices of the part of each place, (H, W) or of each date (T, H, W); 255 elsewhere."""
        found = []
        for split in self.splits:
            dated = split.labels.dated
            if dated is None:
                found.append(split.target(part))
            else:
                found.append(np.where(split.mask(part), dated, np.uint8(NOT_LABELLED)))
        return found

    def counts(self, part: Part) -> NDArray[np.int64]:
        """(K,) labelled pixels of each class in the part."""
        held = [split.counts(part) for split in self.splits if part in split.parts]
        return np.asarray(sum(held, np.zeros(len(self.splits[0].labels.scheme), np.int64)), np.int64)

    def tiles(self, part: Part) -> NDArray[np.int32]:
        """(N, 3) place, first row and column of few chips that hold all the labels; always the same."""
        found = [
            np.insert(split.tiles(part), 0, place, axis=1)
            for place, split in enumerate(self.splits)
            if part in split.parts and split.counts(part).any()
        ]
        return np.concatenate(found).astype(np.int32) if found else np.empty((0, 3), np.int32)

    def sample(self, part: Part, count: int, random: np.random.Generator) -> NDArray[np.int32]:
        """(count, 3) place, first row and column of an epoch's chips, in random order.

        See ``Split.sample``. Of several places, chips are drawn around labels: most around any, all equally
        likely, one in four around a label of a class, all classes as often.
        """
        if len(self.splits) == 1:
            return np.insert(self.splits[0].sample(part, count, random), 0, 0, axis=1)
        counts = np.stack([split.counts(part) for split in self.splits])  # (P, K)
        shares = counts / np.maximum(counts.sum(0), 1)
        classes = np.flatnonzero(counts.any(0))
        whole = counts.sum(1) / counts.sum()
        drawn = []
        for i in range(count):
            if i % _REST:
                place = int(random.choice(len(counts), p=whole))
                here = np.flatnonzero(counts[place])
                k = int(random.choice(here, p=counts[place, here] / counts[place].sum()))
            else:
                k = int(classes[i // _REST % len(classes)])
                place = int(random.choice(len(counts), p=shares[:, k]))
            row, col = self.splits[place].draw(part, k, random)
            drawn.append((place, row, col))
        return random.permutation(np.array(drawn, np.int32))

    def save(self, path: Path) -> bool:
        """Write where the parts lie to a GeoPackage: blocks, or the boxes of whole places in WGS 84.

        Returns:
            Whether it was written: places without a coordinate system lie nowhere.

        Raises:
            OutputError: It can't be written.
        """
        if len(self.splits) == 1:
            self.splits[0].save(path)
            return True
        rows = []
        for name, split in zip(self.names, self.splits, strict=True):
            grid, part = split.labels.grid, PARTS[int(split.side[0, 0])]
            if grid.rasterio_crs is not None:
                box = rasterio.warp.transform_bounds(grid.rasterio_crs, "EPSG:4326", *grid.bounds)
                rows.append((shapely.to_wkb(shapely.box(*box)), name, part, int(split.counts(part).sum())))
        if not rows:
            return False
        boxes, names, parts, counts = zip(*rows)
        try:
            pyogrio.raw.write(
                path,
                geometry=np.array(boxes, object),
                field_data=[np.array(names, object), np.array(parts, object), np.array(counts, np.int64)],
                fields=["place", "part", "labelled"],
                layer="split",
                driver="GPKG",
                geometry_type="Polygon",
                crs="EPSG:4326",
            )
        except (OSError, DataSourceError, DataLayerError) as error:
            raise OutputError(
                "split_unwritable",
                f"{path} can't be written: {reason(error)}.",
                "Pick a folder that you may write to.",
            ) from error
        return True


def everything(split: PlacesSplit) -> PlacesSplit:
    """All labels as training labels, but those of the test part, and those that were given to none."""
    splits = []
    for one in split.splits:
        usable = one.train | one.validation if one.test is not None else one.side != NO_PART
        dated = one.labels.dated
        labels = replace(
            one.labels,
            map=np.where(usable, one.labels.map, np.uint8(NOT_LABELLED)),
            dated=None if dated is None else np.where(usable, dated, np.uint8(NOT_LABELLED)),
        )
        labels.counts = np.bincount(labels.map.ravel(), minlength=256)[: len(labels.scheme)].astype(np.int64)
        splits.append(_whole(labels, one.chip, "train", one.fraction, one.seed, False))
    return PlacesSplit(splits, split.names)


def split_places(
    labels: Sequence[Labels],
    *,
    chip: int,
    fraction: float,
    seed: int,
    names: Sequence[str] = ("",),
    test: float = 0.0,
) -> PlacesSplit:
    """Part the labels of one place in blocks, and those of several by whole places.

    Args:
        labels: Of each place, of one class scheme.
        chip: Side of a chip, in pixels.
        fraction: Share of each class that is wanted for validation, 0 to 1.
        seed: The same seed gives the same split.
        names: Of the places.
        test: Share of each class that is wanted for a test part, 0 for none.

    Raises:
        LabelError: The labels are too few, or too close together, to be parted.
    """
    if len(labels) == 1:
        return PlacesSplit([split_blocks(labels[0], chip=chip, fraction=fraction, seed=seed, test=test)])
    counts = np.stack([one.counts for one in labels])
    random = np.random.default_rng(seed)
    part = np.zeros(len(labels), np.int64)  # indices in PARTS
    for index, share in ((2, test), (1, fraction)):
        if not share:
            continue
        chosen = _choose(np.where(part[:, None] == 0, counts, 0), share, random)
        if chosen is None:
            raise LabelError(
                "too_few_labels",
                "The labelled places are too few to be parted into training and validation.",
                "Label more places, or one place in more spots.",
            )
        part[chosen] = index
    splits = [_whole(one, chip, PARTS[k], fraction, seed, bool(test)) for one, k in zip(labels, part)]
    return PlacesSplit(splits, names)


def _choose(
    counts: NDArray[np.int64], fraction: float, random: np.random.Generator
) -> NDArray[np.bool_] | None:
    """Places for one part: of many draws the one whose classes' shares are nearest to what is wanted."""
    labelled = np.flatnonzero(counts.any(1))
    if len(labelled) < 2:
        return None
    total = np.maximum(counts.sum(0), 1)
    best, chosen = np.inf, None
    wanted = max(1, round(fraction * len(labelled)))
    for _ in range(_DRAWS):
        taken = np.zeros(len(counts), np.bool_)
        taken[random.permutation(labelled)[: min(wanted, len(labelled) - 1)]] = True
        shares = counts[taken].sum(0) / total
        if np.count_nonzero(counts[~taken].any(0)) < 2:
            continue
        score = np.abs(shares - fraction).mean() + np.mean(shares == 0) + 2 * np.mean(shares == 1)
        if score < best:
            best, chosen = float(score), taken
    return chosen


def _whole(labels: Labels, chip: int, part: Part, fraction: float, seed: int, test: bool) -> Split:
    """A place that is of one part alone."""
    labelled, none = labels.map != NOT_LABELLED, np.zeros(labels.map.shape, np.bool_)
    cell = cell_side(labels.map.shape, chip, _MOST_CELLS)
    shape = any_in_cells(none, cell).shape
    return Split(
        labels=labels,
        train=labelled if part == "train" else none,
        validation=labelled if part == "validation" else none,
        test=(labelled if part == "test" else none) if test else None,
        side=np.full(labels.map.shape, PARTS.index(part), np.int8),
        chip=chip,
        fraction=fraction,
        seed=seed,
        blocks=Blocks(shape[0], shape[1], 0, 0),
        cell=cell,
    )
