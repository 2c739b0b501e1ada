# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prediction makes, in which pieces, and of what."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from affine import Affine
from msgspec import Struct

from timo.inference.chips import Rectangle, blocks
from timo.inference.outputs import Output
from timo.inference.polygons import Polygons
from timo.series.grid import Grid

FORMAT = 1


class Source(Struct, frozen=True, kw_only=True):
    """A file that is read: enough to notice that it is another one now. None of what is remote."""

    path: str
    size: int | None
    modified: int | None
    """Nanoseconds since 1970."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is predicted, and in which pieces.

    Attributes:
        format: Of the folder.
        fingerprint: Of all that decides the pixels: spec, sources, model. Another one is another map.
        sources: What is read.
        grid: ``Grid.to_dict`` of the series.
        side: Pixels of a block's side, before any was halved.
        halved: How often blocks were halved since.
        batch: Chips a step.
        outputs: The rasters to make; the first is the map.
        polygons: To make of the map.
        depth: Numbers of a pixel while it is computed.
        tags: Their provenance.
        summary: What else the task tells at its end.
    """

    format: int = FORMAT
    fingerprint: str
    sources: list[Source]
    grid: dict[str, Any]
    side: int
    halved: int = 0
    batch: int
    outputs: list[Output]
    polygons: Polygons | None = None
    depth: int
    tags: dict[str, str]
    summary: dict[str, Any]


class Format(Struct):
    """What every format says of itself."""

    format: int


class Done(Struct, frozen=True, kw_only=True):
    """A line of a journal.

    Attributes:
        block: Row, column, height and width.
        counts: Pixels of each class.
        bytes: Of the files, by layer.
    """

    block: tuple[int, int, int, int]
    counts: list[int]
    bytes: dict[str, int]


class Shard(Struct, frozen=True):
    """Part ``number`` (from 1) of ``of`` of the work: every ``of``-th block."""

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


WHOLE = Shard()


def fingerprint(parts: Mapping[str, Any]) -> str:
    """SHA-256 of JSON values, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def grid_of(plan: Plan) -> Grid:
    """The grid of a plan's rasters."""
    grid = plan.grid
    return Grid(grid["crs"], Affine(*grid["transform"]), grid["width"], grid["height"])


def blocks_of(plan: Plan, shard: Shard = WHOLE) -> list[Rectangle]:
    """All blocks of a shard, in order, as large as the plan has them."""
    every = list(blocks(plan.grid["height"], plan.grid["width"], plan.side))
    return every[shard.number - 1 :: shard.of]
