# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder ``OUT.partial/``: the blocks that are done, so that a prediction goes on where it was.

``plan.json`` says what is predicted, ``blocks/`` holds a file for each block and layer, and the journals name
the blocks that are complete: one journal for each shard, so that shards may share the folder, or have their
folders copied into one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import rasterio
from numpy.typing import NDArray

from timo import access
from timo.disk import fresh, sync, write_whole
from timo.errors import OutputError
from timo.inference.chips import Rectangle
from timo.inference.cog import Piece
from timo.inference.locks import demand_free, locked
from timo.inference.plans import FORMAT, WHOLE, Done, Format, Plan, Shard, blocks_of, grid_of
from timo.inference.targets import check_blocks, told
from timo.inference.writer import block_profile
from timo.placing import Placing

PLAN = "plan.json"
PLACING = "placing"


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
            text = path.read_bytes()
            number = msgspec.json.decode(text, type=Format).format
            plan = msgspec.json.decode(text, type=Plan) if number == FORMAT else None
        except (OSError, msgspec.MsgspecError) as error:
            raise OutputError(
                "partial_damaged", f"'{path}' cannot be read: {error}.", f"Remove the folder '{folder}'."
            ) from error
        if plan is None:
            raise OutputError(
                "partial_format",
                f"'{folder}' is of another version of TiMo.",
                "Finish it with that version, or remove the folder.",
            )
        return cls(folder, plan)

    @classmethod
    @contextlib.contextmanager
    def begun(cls, folder: Path, plan: Plan, *, overwrite: bool, shard: Shard = WHOLE) -> Iterator[Partial]:
        """Go on with what is in a folder, or begin it; and keep others from it.

        In the end the folder is removed if all rasters are made, or nothing in it is worth keeping; not by
        a shard, beside which others may work.

        Args:
            folder: Made if it isn't there.
            plan: Of this run; one that is there already decides about blocks and batch.
            overwrite: Begin anew where it holds another map.
            shard: What to work on.

        Raises:
            OutputError: It holds another map, is in use, or can't be written.
        """
        access.demand_links(folder)
        with told(folder):
            folder.mkdir(exist_ok=True)
        ended = False
        try:
            with locked(folder, shard):
                partial = cls._begin(folder, plan, shard, overwrite=overwrite)
                partial._mend(partial._journal(shard))
                try:
                    yield partial
                    ended = True
                finally:
                    ended = (ended or not partial._begun) and shard.of == 1
        finally:
            if ended:  # when the lock is gone: Windows removes no open file
                _remove(folder)

    @classmethod
    @contextlib.contextmanager
    def complete(cls, folder: Path) -> Iterator[Partial]:
        """What shards left in a folder, to be joined; it is removed if that succeeds.

        Raises:
            OutputError: It holds no unfinished map, or is in use.
        """
        cls.open(folder)
        with locked(folder, WHOLE):
            yield cls.open(folder)
        _remove(folder)

    @classmethod
    def going_on(cls, folder: Path, plan: Plan, *, overwrite: bool = False) -> Partial | None:
        """What is in a folder, if it is of this plan; None if nothing is, or what may be overwritten.

        Raises:
            OutputError: It holds another map.
        """
        if not (folder / PLAN).is_file():
            return None
        known = cls.open(folder)
        kept = known.plan  # where results go, and what is made of them, may have changed
        if kept.fingerprint == plan.fingerprint:
            same = {"side": kept.side, "halved": kept.halved, "batch": kept.batch}
            known.plan = msgspec.structs.replace(plan, **same)
            return known
        if not overwrite:
            raise OutputError(
                "partial_differs",
                f"'{folder}' holds an unfinished map {_difference(kept, plan)}.",
                "Run the command that began it, or allow it to be overwritten.",
            )
        return None

    @classmethod
    def _begin(cls, folder: Path, plan: Plan, shard: Shard, *, overwrite: bool) -> Partial:
        known = cls.going_on(folder, plan, overwrite=overwrite)
        if known is not None:
            with told(folder):
                known.blocks.mkdir(exist_ok=True)  # it is gone where the removal was interrupted
            return known
        if (folder / PLAN).is_file():
            demand_free(folder, but=shard)
            with told(folder):
                (folder / PLAN).unlink()
        with told(folder):
            for journal in folder.glob("journal-*"):  # of a map whose removal was interrupted
                journal.unlink()
            (folder / PLACING).unlink(missing_ok=True)
            shutil.rmtree(folder / "blocks", ignore_errors=True)
            (folder / "blocks").mkdir(exist_ok=True)
            if not write_whole(folder / PLAN, _encoded(plan), replace=False):
                return cls._begin(folder, plan, shard, overwrite=overwrite)  # another shard was faster
        return cls(folder, plan)

    def todo(self, shard: Shard = WHOLE) -> list[Rectangle]:
        """The blocks of a shard that aren't done, in order; smaller ones after memory didn't suffice."""
        left: list[Rectangle] = []
        for block in blocks_of(self.plan, shard):
            left += self._missing(block, self.plan.side, self.plan.halved)
        return left

    def _missing(self, block: Rectangle, side: int, halvings: int) -> list[Rectangle]:
        if block in self.done:
            return []
        if not halvings and not any(block.holds(part) for part in self._parts):
            return [block]
        return [
            missing
            for quarter in block.quarters(side // 2)
            for missing in self._missing(quarter, side // 2, max(halvings - 1, 0))
        ]

    def smaller(self, *, batch: int | None = None, halve: bool = False) -> None:
        """Remember that batches or blocks must be smaller; other shards may have found so, too."""
        others, plan = self.open(self.folder).plan, self.plan
        self.plan = msgspec.structs.replace(
            plan,
            batch=min(others.batch, plan.batch if batch is None else batch),
            halved=max(others.halved, plan.halved + halve),
        )
        with told(self.folder):
            write_whole(self.folder / PLAN, _encoded(self.plan))

    def add(
        self,
        block: Rectangle,
        layers: Mapping[str, NDArray[Any]],
        counts: NDArray[np.int64],
        shard: Shard = WHOLE,
    ) -> None:
        """``write`` and ``enter``."""
        self.enter({block: self.write(block, layers, counts)}, shard)

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
                # Another process may do the same block: a node of a cluster that was thought lost.
                partial = path.with_name(f"{path.stem}.{socket.gethostname()}-{os.getpid()}.partial")
                profile = block_profile(grid, values.dtype.name, len(values))
                with rasterio.open(fresh(partial), "w", **profile) as file:
                    file.write(values)
                check_blocks(partial)
                sync(partial)
                sizes[layer] = partial.stat().st_size
                partial.replace(path)
        place = (block.row, block.column, block.height, block.width)
        return Done(block=place, counts=[int(n) for n in counts], bytes=sizes)

    def enter(self, done: Mapping[Rectangle, Done], shard: Shard = WHOLE) -> None:
        """Note in the journal of a shard that blocks' files are on the disk: they are done.

        Raises:
            OutputError: The disk is full, or can't be written to.
        """
        with told(self.folder), self._journal(shard).open("ab") as journal:
            journal.write(b"".join(msgspec.json.encode(one) + b"\n" for one in done.values()))
            journal.flush()
            os.fsync(journal.fileno())
        self.done.update(done)

    def move(self, out: Path) -> None:
        """Let results go to where the folder was copied to; what lay beside the map, still does."""
        before = Path(self.plan.outputs[0].path)

        def moved(path: str) -> str:
            inside = Path(path).is_relative_to(before.parent)
            return str(out.parent / Path(path).relative_to(before.parent) if inside else path)

        first, *others = self.plan.outputs
        outputs = [msgspec.structs.replace(one, path=moved(one.path)) for one in others]
        outputs.insert(0, msgspec.structs.replace(first, path=str(out)))
        polygons = self.plan.polygons
        if polygons is not None:
            polygons = msgspec.structs.replace(polygons, path=moved(polygons.path))
        self.plan = msgspec.structs.replace(self.plan, outputs=outputs, polygons=polygons)

    def pieces(self, layer: str) -> list[Piece]:
        """The files of a layer, in order."""
        having = sorted(block for block, done in self.done.items() if layer in done.bytes)
        return [Piece(self._file(block, layer), block) for block in having]

    def placing(self, made: Mapping[Path, Path]) -> None:
        """Remember what is about to be put in place.

        Args:
            made: Where each file is, by where it shall stand.

        Raises:
            OutputError: The disk is full, or can't be written to.
        """
        with told(self.folder):
            Placing(self.folder / PLACING).note(made)

    @property
    def is_placed(self) -> bool:
        """Whether all rasters stand where they shall: blocks aren't needed any more."""
        return all(placed(self.folder, Path(output.path)) for output in self.plan.outputs)

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

    @property
    def _parts(self) -> list[Rectangle]:
        """Blocks that are done and smaller than the plan's: memory didn't suffice."""
        side, grid = self.plan.side, self.plan.grid
        return [
            block
            for block in self.done
            if block.row % side
            or block.column % side
            or block.height < min(side, grid["height"] - block.row)
            or block.width < min(side, grid["width"] - block.column)
        ]

    def _read_journals(self) -> None:
        """A line that was cut short, or whose files aren't there, is of a block that isn't done.

        Once the rasters are in place, files may be gone: the removal was interrupted.
        """
        needed = not self.is_placed
        for journal in sorted(self.folder.glob("journal-*.jsonl")):
            with told(journal):
                lines = journal.read_bytes().splitlines()
            for line in lines:
                with contextlib.suppress(msgspec.MsgspecError, OSError):
                    done = msgspec.json.decode(line, type=Done)
                    block = Rectangle(*done.block)
                    sizes = done.bytes.items() if needed else ()
                    if all(self._file(block, layer).stat().st_size == size for layer, size in sizes):
                        self.done[block] = done
        for part in self._parts:  # one process may have done a block whole, another in parts
            if any(block != part and block.holds(part) for block in self.done):
                del self.done[part]


def placed(folder: Path, path: Path) -> bool:
    """Whether what stands at a path was put there by the run that was interrupted then."""
    return (folder / PLAN).exists() and Placing(folder / PLACING).has(path)


def partial_folder(out: Path) -> Path:
    """``OUT.partial``, beside the map."""
    return out.with_name(out.name + ".partial")


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


def _encoded(plan: Plan) -> bytes:
    return msgspec.json.format(msgspec.json.encode(plan), indent=2)


def _remove(folder: Path) -> None:
    with told(folder):
        # The blocks, which take long, first: killed meanwhile, the same run knows what it has put in place.
        shutil.rmtree(folder / "blocks", ignore_errors=True)
        (folder / PLAN).unlink(missing_ok=True)  # from here on it is no prediction any more
        shutil.rmtree(folder, ignore_errors=True)  # what a virus scanner reads now fails no finished map
