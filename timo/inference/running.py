# SPDX-License-Identifier: GPL-3.0-or-later
"""A prediction's blocks, one after the other: what is done is kept, too little memory makes them smaller."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from timo.errors import LabelError
from timo.inference.blocks import Block, BlockPredictor
from timo.inference.chips import Rectangle
from timo.inference.cluster import Cluster, Predict
from timo.inference.joining import join
from timo.inference.partial import Partial
from timo.inference.plans import WHOLE, Done, Plan, Shard
from timo.inference.sizing import block_bytes
from timo.memory import Shortage
from timo.models.threads import computing_threads
from timo.series.words import counted, sized
from timo.tasks.reporter import Reporter

MAPPED = 0.95  # of the progress; the rest is joining the blocks


class Layers(Protocol):
    """What the outputs hold of a block."""

    classes: int
    """How many are counted; 1 where there are none: the pixels with data."""

    def of(self, block: Block) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
        """Layers by name, (bands, height, width) each, and pixels of each class."""


@dataclass
class Job:
    """A prediction that is ready to run.

    Attributes:
        predictor: Of its blocks.
        layers: Makes of each block what is kept.
        plan: What it is.
        shard: The part of it to do.
        ray: The cluster to do it on; None for this machine.
        work: What the cluster's workers do, of the folder of blocks: get ready, and give what does a block.
    """

    predictor: BlockPredictor
    layers: Layers
    plan: Plan
    shard: Shard = WHOLE
    ray: str | None = None
    work: Callable[[str], Predict] | None = None
    halved_batch: bool = False
    """Since memory didn't suffice."""

    def resume(self, partial: Partial) -> None:
        """Take blocks and batches as they were when it was begun."""
        self.predictor.size = replace(self.predictor.size, side=partial.plan.side, batch=partial.plan.batch)


def run_job(job: Job, folder: Path, reporter: Reporter, *, overwrite: bool) -> dict[str, Any]:
    """Do all, or a shard; where it was interrupted, the rest.

    Args:
        job: What.
        folder: Of the blocks.
        reporter: Told about progress.
        overwrite: Begin anew where the folder is another prediction's, and replace what stands there.

    Returns:
        What was written, and the share of each class; of a shard, how many blocks are done.

    Raises:
        TimoError: Naming what is wrong. Blocks that are done stay.
    """
    with Partial.begun(folder, job.plan, overwrite=overwrite, shard=job.shard) as partial:
        _do_blocks(job, partial, reporter)
        if job.shard.of > 1:
            return {"partial": str(folder), "shard": str(job.shard), "blocks": len(partial.done)}
        return finish(partial, reporter, overwrite=overwrite)


def finish(partial: Partial, reporter: Reporter, *, overwrite: bool) -> dict[str, Any]:
    """Join the blocks; also what ``timo merge`` does. The folder of blocks is the caller's to remove.

    Returns:
        What was written, and the share of each class.

    Raises:
        OutputError: Blocks are missing, or a raster can't be written.
    """

    def tick(share: float) -> None:
        reporter.check()
        reporter.progress(MAPPED + (1 - MAPPED) * share, "Writing the map")

    plan, counts = partial.plan, partial.counts()
    join(partial, overwrite=overwrite, tick=tick)
    of_dates = [output for output in plan.outputs if output.kind == "maps_per_date"]
    single = [output for output in plan.outputs if output not in of_dates]
    for output in single:
        reporter.artifact(Path(output.path), output.kind)
    if of_dates:
        reporter.artifact(Path(of_dates[0].path).parent, "maps_per_date")
    extra = {} if plan.polygons is None else {"polygons": plan.polygons.path}
    for kind, path in extra.items():
        reporter.artifact(Path(path), kind)
    mapped = int(counts.sum())
    if not mapped:
        reporter.log("The map is empty: no pixel of the series has data in the area.", "warning")
    summary = {
        **{output.kind: output.path for output in single},
        **extra,
        **plan.summary,
        "pixels_mapped": mapped,
    }
    if classes := single[0].classes:
        summary["classes"] = [
            {"value": c.value, "name": c.name, "color": c.color, "pixels": int(n)}
            for c, n in zip(classes, counts, strict=True)
        ]
    return summary


def _do_blocks(job: Job, partial: Partial, reporter: Reporter) -> None:
    """Predict the blocks that aren't done; a thread writes them while the model works on the next."""
    predictor, shard = job.predictor, job.shard
    job.resume(partial)
    todo, chips = _wanted(job, partial)
    if not todo and shard.of == 1 and not any(done.bytes for done in partial.done.values()):
        raise LabelError(
            "area_outside", "No pixel of the area lies on the series.", "Give an area of the same place."
        )
    before = len(partial.done)
    if before and todo:
        reporter.log(f"Going on: {counted(before, 'block is', 'blocks are')} done already.")
    share = before / max(before + len(todo), 1)  # of the blocks, when it was interrupted
    seen = 0

    def step(count: int) -> None:
        nonlocal seen
        reporter.check()
        seen += count
        reporter.progress(MAPPED * (share + (1 - share) * min(seen / chips, 1)), "Mapping")

    if job.ray is not None:
        _do_on_cluster(job, partial, todo, step, reporter)
        return
    with ThreadPoolExecutor(1) as writer:
        writing: Future[None] | None = None

        def settle() -> None:
            if writing is not None:
                writing.result()
                reporter.checkpoint()

        def short(shortage: Shortage) -> Iterable[Rectangle]:
            settle()
            _shrink(job, partial, shortage, reporter)
            return partial.todo(shard)

        @computing_threads(1)
        def made(block: Block) -> tuple[Rectangle, dict[str, NDArray[Any]], NDArray[np.int64]]:
            return block.place, *job.layers.of(block)

        with closing(predictor.make(todo, made, step, short)) as blocks:
            for place, layers, counts in blocks:
                settle()
                writing = writer.submit(partial.add, place, layers, counts, shard)
        settle()


def _do_on_cluster(
    job: Job, partial: Partial, todo: list[Rectangle], step: Callable[[int], None], reporter: Reporter
) -> None:
    """The nodes write the blocks' files; the journal is written here."""
    assert job.ray is not None  # noqa: S101
    assert job.work is not None  # noqa: S101

    def done(block: Rectangle, made: Done) -> None:
        partial.enter({block: made}, job.shard)
        reporter.checkpoint()
        step(len(job.predictor.chips(block)))

    with Cluster(job.ray) as cluster:
        cluster.run(
            todo, functools.partial(job.work, str(partial.folder)), done, reporter.check, reporter.log
        )


def _wanted(job: Job, partial: Partial) -> tuple[list[Rectangle], int]:
    """The shard's blocks that aren't done, and the chips they take; what lies outside the area is done."""
    todo, chips = [], 0
    nothing = np.zeros(job.layers.classes, np.int64)
    outside: dict[Rectangle, Done] = {}
    for block in partial.todo(job.shard):
        count = len(job.predictor.chips(block))
        if count:
            todo.append(block)
            chips += count
        else:
            outside[block] = partial.write(block, {}, nothing)
    if outside:
        partial.enter(outside, job.shard)
    return todo, chips


def _shrink(job: Job, partial: Partial, shortage: Shortage, reporter: Reporter) -> None:
    """Make batches, then blocks smaller; the third time there is nothing left to try.

    Raises:
        ModelError: ``out_of_memory``, with what was needed.
    """
    predictor, plan = job.predictor, partial.plan
    size, side, free = predictor.size, plan.side >> plan.halved, sized(shortage.free())
    if plan.halved:
        needed = block_bytes(side, predictor.chip, predictor.values, plan.depth)
        chips = counted(size.batch, "chip", "chips")
        sentence = f"Blocks of {side} pixels take {sized(needed)}, beside the model with {chips}."
        raise shortage.error(sentence, needed)
    if size.batch > 1 and not job.halved_batch:
        job.halved_batch = True
        predictor.size = replace(size, batch=size.batch // 2)
        partial.smaller(batch=predictor.size.batch)
        now = f"the model now takes {counted(predictor.size.batch, 'chip', 'chips')} at once"
    else:
        partial.smaller(halve=True)
        now = f"blocks now have {side // 2} pixels a side"
    reporter.log(f"The memory of the {shortage.where} was not enough ({free} is free): {now}.", "warning")
