# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prediction will take: from the first chips, timed."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from timo.errors import LabelError
from timo.inference.blocks import BlockPredictor
from timo.inference.chips import Rectangle
from timo.inference.partial import Partial
from timo.inference.plans import blocks_of
from timo.inference.running import Job
from timo.inference.sizing import block_bytes
from timo.memory import Shortage
from timo.tasks.reporter import Reporter

WARM_UP = 3  # batches: the first starts kernels and fills caches, and doesn't count
OVERVIEWS = 4 / 3  # of the full resolution's bytes


def estimate(job: Job, folder: Path, reporter: Reporter, *, overwrite: bool) -> dict[str, Any]:
    """Read a block, run a few batches of it, and count what is left to do.

    Args:
        job: All of it, or a shard.
        folder: Of its blocks, where it was begun.
        reporter: Told that it measures.
        overwrite: Another map in the folder does not count.

    Returns:
        Blocks, those done already, chips, seconds, bytes of disk (at most: what compresses well takes a
        tenth) and of memory, and what of both is free.

    Raises:
        LabelError: No pixel of the area lies on the series.
        OutputError: The folder holds another map.
    """
    reporter.progress(0.0, "Measuring")
    begun = Partial.going_on(folder, job.plan, overwrite=overwrite)
    if begun is not None:
        job.resume(begun)
    predictor, plan = job.predictor, job.plan if begun is None else begun.plan
    grid, side = predictor.grid, plan.side
    todo = blocks_of(plan, job.shard) if begun is None else begun.todo(job.shard)
    wanted = [(block, count) for block in todo if (count := len(predictor.chips(block)))]
    if not wanted and begun is None:
        raise LabelError(
            "area_outside", "No pixel of the area lies on the series.", "Give an area of the same place."
        )
    chips = sum(count for _, count in wanted)
    a_chip = _seconds_a_chip(predictor, max(wanted, key=lambda one: one[1])[0], reporter) if wanted else 0.0
    pixels = sum(block.pixels for block, _ in wanted)
    a_pixel = sum(np.dtype(output.dtype).itemsize * len(output.bands) for output in plan.outputs)
    whole = grid.height * grid.width
    out = Path(plan.outputs[0].path).parent
    of_blocks = block_bytes(side, predictor.chip, predictor.values, plan.depth)
    return {
        "blocks": len(wanted),
        "blocks_done": 0 if begun is None else len(begun.done),
        "block_side": side,
        "chips": chips,
        "batch": predictor.size.batch,
        "seconds": round(a_chip * chips, 1),
        "disk_bytes": int(pixels * a_pixel + whole * a_pixel * OVERVIEWS),
        "disk_free_bytes": shutil.disk_usage(out).free,
        "memory_bytes": psutil.Process().memory_info().rss + of_blocks,
        "memory_free_bytes": int(psutil.virtual_memory().available),
    }


def _seconds_a_chip(predictor: BlockPredictor, block: Rectangle, reporter: Reporter) -> float:
    """Of some of a block: reading and the model run side by side, so the slower of the two counts."""
    chips = predictor.chips(block)
    batch = predictor.size.batch
    times: list[float] = [time.perf_counter()]

    def step(_: int) -> None:
        reporter.check()
        times.append(time.perf_counter())

    some = chips[: batch * WARM_UP]
    started = time.perf_counter()
    try:
        with ThreadPoolExecutor(predictor.size.threads) as threads:
            read = predictor.read(chips, threads)
        reading = (time.perf_counter() - started) / len(chips)
        times[0] = time.perf_counter()
        predictor.predict(block, some, read, step)
    except (MemoryError, RuntimeError) as error:
        if (shortage := Shortage.of(error, predictor.device)) is None:
            raise
        raise shortage.error(f"A block of {block.height} x {block.width} pixels is too large.") from error
    warm = len(some) > batch
    model = (times[-1] - times[warm]) / (len(some) - batch * warm)
    return max(reading, model)
