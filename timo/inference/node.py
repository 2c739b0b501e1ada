# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process of a cluster does: one block after the other, the next one read meanwhile."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timo.inference.blocks import Chip, Frames
from timo.inference.chips import Rectangle
from timo.inference.partial import Partial
from timo.inference.plans import Done
from timo.inference.running import Job
from timo.memory import Shortage

_Reading = tuple[list[Chip], "Future[Frames]"]


class Node:
    """Predicts blocks and writes their files.

    Args:
        job: What to predict.
        partial: The folder of blocks, on storage that all nodes share.
    """

    def __init__(self, job: Job, partial: Partial) -> None:
        job.resume(partial)
        self._predictor, self._layers, self._partial = job.predictor, job.layers, partial
        self._threads = ThreadPoolExecutor(self._predictor.size.threads)
        self._ahead = ThreadPoolExecutor(1)
        self._upcoming: tuple[Rectangle, _Reading] | None = None

    def predict(self, block: Rectangle, upcoming: Rectangle | None) -> Done:
        """One block, written, and not yet in the journal.

        Args:
            block: Which.
            upcoming: The one that most likely comes next.

        Raises:
            TimoError: It can't be read, predicted or written.
        """
        known, reading = self._upcoming or (None, None)
        chips, frames = reading if reading is not None and known == block else self._read(block)
        self._upcoming = None if upcoming is None else (upcoming, self._read(upcoming))
        return self._partial.write(block, *self._made(block, chips, frames))

    def _read(self, block: Rectangle) -> _Reading:
        chips = self._predictor.chips(block)
        return chips, self._ahead.submit(self._predictor.read, chips, self._threads)

    def _made(
        self, block: Rectangle, chips: list[Chip], frames: Future[Frames]
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
        """The block's layers and counts, in smaller batches where memory doesn't suffice; they stay so."""
        predictor = self._predictor
        while True:
            try:
                return self._layers.of(predictor.predict(block, chips, frames.result(), lambda _: None))
            except (MemoryError, RuntimeError) as error:
                shortage = Shortage.of(error, predictor.device)
                if shortage is None:
                    raise
            size = predictor.size
            if size.batch == 1:
                raise shortage.error("It was too little for one chip at a time.")
            predictor.size = replace(size, batch=size.batch // 2)
