# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder ``OUT.partial/``: the blocks that are done, so that a prediction goes on where it was.

``plan.json`` says what is predicted, ``blocks/`` holds a file for each block and layer, and the journals name
the blocks that are complete: one journal for each shard, so that shards may share the folder, or have their
folders copied into one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
import msgspec
import numpy as np
import rasterio
from affine import Affine
from msgspec import Struct
from numpy.typing import NDArray

from timo.errors import OutputError
from timo.inference.chips import Rectangle, blocks
from timo.inference.cog import Piece
from timo.inference.outputs import Output
from timo.inference.polygons import Polygons
from timo.inference.targets import check_blocks, told
from timo.inference.writer import block_profile
from timo.series.grid import Grid

FORMAT = 1
PLAN = "plan.json"


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
    tags: dict[str, str]
    summary: dict[str, Any]

    @property
    def depth(self) -> int:
        """Numbers of a pixel while it is computed."""
        return max(len(one) for output in self.outputs for one in (output.bands, output.classes))


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


class Partial:
    """Blocks that are done, of one plan.

    Args:
        folder: ``OUT.partial``.
        plan: What it holds.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        self.blocks = folder / "blocks"
        self.done: dict[Rectangle, Done] = {}
        self._read_journals()

    @classmethod
    def open(cls, folder: Path) -> Partial:
        """What is in a folder.

        Raises:
            OutputError: It holds no unfinished prediction, or one of another version.
        """
        path = folder / PLAN
        if not path.is_file():
            raise OutputError(
                "partial_missing",
                f"'{folder}' holds no unfinished map.",
                "Give the map's name as it was given to 'timo predict'.",
            )
        try:
            plan = msgspec.json.decode(path.read_bytes(), type=Plan)
        except (OSError, msgspec.MsgspecError) as error:
            raise OutputError(
                "partial_damaged", f"'{path}' cannot be read: {error}.", f"Remove the folder '{folder}'."
            ) from error
        if plan.format != FORMAT:
            raise OutputError(
                "partial_format",
                f"'{folder}' is of another version of TiMo.",
                "Finish it with that version, or remove the folder.",
            )
        return cls(folder, plan)

    @classmethod
    def begin(cls, folder: Path, plan: Plan, *, overwrite: bool) -> Partial:
        """Go on with what is in a folder, or begin it.

        Args:
            folder: Made if it isn't there.
            plan: Of this run; one that is there already decides about blocks and batch.
            overwrite: Begin anew where it holds another map.

        Raises:
            OutputError: It holds another map, or can't be written.
        """
        if (folder / PLAN).is_file():
            known = cls.open(folder)
            if known.plan.fingerprint == plan.fingerprint:
                return known
            if not overwrite:
                raise OutputError(
                    "partial_differs",
                    f"'{folder}' holds an unfinished map {_difference(known.plan, plan)}.",
                    "Run the command that began it, or allow it to be overwritten.",
                )
            known.remove()
        with told(folder):
            (folder / "blocks").mkdir(parents=True, exist_ok=True)
            _write(folder / PLAN, msgspec.json.format(msgspec.json.encode(plan), indent=2))
        return cls(folder, plan)

    @contextlib.contextmanager
    def held(self, shard: Shard = WHOLE) -> Iterator[None]:
        """Work on a shard, and keep others from it.

        In the end the folder is removed if its rasters are made, or nothing in it is worth keeping; not that
        of a shard, which others may work in.

        Raises:
            OutputError: Another process does already.
        """
        ended = False
        try:
            with filelock.FileLock(self.folder / f"shard-{shard.number}-of-{shard.of}.lock", timeout=0):
                self._mend(self._journal(shard))
                try:
                    yield
                    ended = True
                finally:
                    ended = (ended or not self._begun) and shard.of == 1
        except filelock.Timeout as error:
            raise OutputError(
                "partial_in_use",
                f"Another process is writing to '{self.folder}'.",
                "Wait until it has ended, or cancel it.",
                retryable=True,
            ) from error
        finally:
            if ended:  # when the lock is gone: Windows removes no open file
                self.remove()

    def todo(self, shard: Shard = WHOLE) -> list[Rectangle]:
        """The blocks of a shard that aren't done, in order; smaller ones after memory didn't suffice."""
        grid = self.plan.grid
        every = list(blocks(grid["height"], grid["width"], self.plan.side))
        left: list[Rectangle] = []
        for block in every[shard.number - 1 :: shard.of]:
            left += self._missing(block, self.plan.side, self.plan.halved)
        return left

    def _missing(self, block: Rectangle, side: int, halvings: int) -> list[Rectangle]:
        if block in self.done:
            return []
        if not halvings:
            return [block]
        return [
            missing
            for quarter in block.quarters(side // 2)
            for missing in self._missing(quarter, side // 2, halvings - 1)
        ]

    def smaller(self, *, batch: int | None = None, halve: bool = False) -> None:
        """Remember that batches or blocks must be smaller."""
        plan = self.plan
        self.plan = msgspec.structs.replace(
            plan, batch=plan.batch if batch is None else batch, halved=plan.halved + halve
        )
        with told(self.folder):
            _write(self.folder / PLAN, msgspec.json.format(msgspec.json.encode(self.plan), indent=2))

    def add(
        self,
        block: Rectangle,
        layers: Mapping[str, NDArray[Any]],
        counts: NDArray[np.int64],
        shard: Shard = WHOLE,
    ) -> None:
        """``write`` and ``enter``."""
        self.enter(block, self.write(block, layers, counts), shard)

    def write(self, block: Rectangle, layers: Mapping[str, NDArray[Any]], counts: NDArray[np.int64]) -> Done:
        """Put a block's files on the disk.

        Args:
            block: Its place.
            layers: (bands, height, width) by name; none for a block without a wanted pixel.
            counts: (K,) pixels of each class.

        Raises:
            OutputError: The disk is full, or can't be written to.
        """
        sizes = {}
        whole = grid_of(self.plan)
        grid = whole.window_grid(whole.window(block.row, block.column, block.height, block.width))
        with told(self.folder):
            for layer, values in layers.items():
                path = self._file(block, layer)
                partial = path.with_suffix(".partial")
                profile = block_profile(grid, values.dtype.name, len(values))
                with rasterio.open(partial, "w", **profile) as file:
                    file.write(values)
                check_blocks(partial)
                _sync(partial)
                sizes[layer] = partial.stat().st_size
                partial.replace(path)
        place = (block.row, block.column, block.height, block.width)
        return Done(block=place, counts=[int(n) for n in counts], bytes=sizes)

    def enter(self, block: Rectangle, done: Done, shard: Shard = WHOLE) -> None:
        """Note in the journal of a shard that a block's files are on the disk: it is done.

        Raises:
            OutputError: The disk is full, or can't be written to.
        """
        with told(self.folder), self._journal(shard).open("ab") as journal:
            journal.write(msgspec.json.encode(done) + b"\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.done[block] = done

    def pieces(self, layer: str) -> list[Piece]:
        """The files of a layer, in order."""
        having = sorted(block for block, done in self.done.items() if layer in done.bytes)
        return [Piece(self._file(block, layer), block) for block in having]

    def counts(self) -> NDArray[np.int64]:
        """(K,) pixels of each class in all blocks that are done."""
        classes = max((len(done.counts) for done in self.done.values()), default=0)
        total = np.zeros(classes, np.int64)
        for done in self.done.values():
            total += done.counts
        return total

    @property
    def _begun(self) -> bool:
        """Whether a block with a wanted pixel is done."""
        return any(done.bytes for done in self.done.values())

    def remove(self) -> None:
        """Remove the folder.

        Raises:
            OutputError: It can't be removed.
        """
        with told(self.folder):
            (self.folder / PLAN).unlink(missing_ok=True)  # from here on it is no prediction any more
            shutil.rmtree(self.folder)

    def _file(self, block: Rectangle, layer: str) -> Path:
        return self.blocks / f"{block.row}-{block.column}-{block.height}-{block.width}-{layer}.tif"

    def _journal(self, shard: Shard) -> Path:
        return self.folder / f"journal-{shard.number}-of-{shard.of}.jsonl"

    @staticmethod
    def _mend(journal: Path) -> None:
        """End a line that was cut short, so that the next one is whole."""
        with told(journal):
            if journal.exists() and not journal.read_bytes().endswith(b"\n"):
                with journal.open("ab") as file:
                    file.write(b"\n")

    def _read_journals(self) -> None:
        """A line that was cut short, or whose files aren't there, is of a block that isn't done."""
        for journal in sorted(self.folder.glob("journal-*.jsonl")):
            with told(journal):
                lines = journal.read_bytes().splitlines()
            for line in lines:
                with contextlib.suppress(msgspec.MsgspecError, OSError):
                    done = msgspec.json.decode(line, type=Done)
                    block = Rectangle(*done.block)
                    if all(self._file(block, k).stat().st_size == n for k, n in done.bytes.items()):
                        self.done[block] = done


def partial_folder(out: Path) -> Path:
    """``OUT.partial``, beside the map."""
    return out.with_name(out.name + ".partial")


def fingerprint(parts: Mapping[str, Any]) -> str:
    """SHA-256 of JSON values, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def grid_of(plan: Plan) -> Grid:
    """The grid of a plan's rasters."""
    grid = plan.grid
    return Grid(grid["crs"], Affine(*grid["transform"]), grid["width"], grid["height"])


def _difference(known: Plan, new: Plan) -> str:
    """What of two plans isn't the same, in words."""
    before = {source.path: source for source in known.sources}
    now = {source.path: source for source in new.sources}
    changed = [Path(path).name for path in now if path in before and before[path] != now[path]]
    if changed:
        return f"of another state of the series: {changed[0]} has changed since"
    if before.keys() != now.keys():
        return "of another series"
    return "made with other parameters or another model"


def _write(path: Path, content: bytes) -> None:
    """Put a small file in place as a whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    _sync(partial)
    partial.replace(path)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
