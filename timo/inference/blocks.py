# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model tells of a raster, block by block: memory depends on the block, never on the raster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from timo.inference.area import Area
from timo.inference.blending import Blend
from timo.inference.chips import Rectangle, chips_of
from timo.inference.sizing import Size
from timo.memory import Shortage
from timo.models.checks import check_inputs
from timo.models.threads import computing_threads
from timo.series.prepared import PreparedSeries

R = TypeVar("R")
Chip = tuple[int, int]
"""First row and column."""


@dataclass(frozen=True)
class Block:
    """A rectangle of the result."""

    place: Rectangle
    probabilities: torch.Tensor
    """(K, height, width), or of every date (T, K, height, width); of an encoder its features. On the
    model's device."""
    valid: torch.Tensor
    """(height, width) bool: False where no date has data, or outside the area of interest; on the device."""


@dataclass(frozen=True)
class Frames:
    """What a block's chips are cut from."""

    top: int
    left: int
    values: NDArray[np.float32]
    """(T, C, h, w)."""
    seen: NDArray[np.bool_]
    """(h, w)."""


_Reading = tuple[Rectangle, list[Chip], "Future[Frames]"]


class BlockPredictor:
    """Runs a segmenter, or an encoder, over a series.

    Args:
        model: Takes (B, T, C, chip, chip), None and the dates (B, T) on ``device``, gives logits of each
            pixel, (B, K, chip, chip), or of each pixel on each date, (B, T, K, chip, chip); in eval mode.
            With a ``stride``, features (B, D, chip / stride, chip / stride), taken as they are.
        series: The frames, ready for the model.
        chip: Side of the chips, in pixels of the series.
        size: Of blocks and batches.
        device: Where the model is.
        area: Where a result is wanted; everywhere when left out.
        autocast: Makes the context that the model computes in, for lower precision.
        stride: Pixels of the series, along each side, for a pixel of the result; left out, it is a map of
            the series' pixels. Then blocks, area and ``grid`` are of the result.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        series: PreparedSeries,
        *,
        chip: int,
        size: Size,
        device: torch.device,
        area: Area | None = None,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        stride: int | None = None,
    ) -> None:
        self.model, self.series, self.size, self.device = model, series, size, device
        self.features, self.stride = stride is not None, stride or 1
        self.chip = chip // self.stride
        self.area, self.autocast = area, autocast
        self.dates = torch.from_numpy(series.series.days)
        self.grid = series.series.grid.coarser(self.stride)
        self._threads = torch.get_num_threads()  # of the model
        self.values = len(series.series.dates) * len(series.series.bands)

    def chips(self, block: Rectangle) -> list[Chip]:
        """Those that the block's wanted pixels lie in; none if it has no such pixels."""
        rows = chips_of(block.row, block.row + block.height, self.grid.height, self.chip)
        columns = chips_of(block.column, block.column + block.width, self.grid.width, self.chip)
        wanted = None if self.area is None else self.area.mask(block)
        if wanted is not None and not wanted.any():
            return []
        if wanted is None or wanted.all():
            return [(row, column) for row in rows for column in columns]

        def meets(row: int, column: int) -> bool:
            top, left = max(row - block.row, 0), max(column - block.column, 0)
            bottom, right = row + self.chip - block.row, column + self.chip - block.column
            return bool(wanted[top:bottom, left:right].any())

        return [(row, column) for row in rows for column in columns if meets(row, column)]

    def run(self, blocks: Iterable[Rectangle], step: Callable[[int], None]) -> Generator[Block, None, None]:
        """Predict block by block: ``make`` with nothing made of them."""
        return self.make(blocks, lambda block: block, step)

    def make(
        self,
        blocks: Iterable[Rectangle],
        then: Callable[[Block], R],
        step: Callable[[int], None],
        short: Callable[[Shortage], Iterable[Rectangle]] | None = None,
    ) -> Generator[R, None, None]:
        """Predict block by block; while the model works on one, the next is read.

        Args:
            blocks: Which, in this order; those without a wanted pixel are left out.
            then: Made of each block before the next, on the device: it may run out of memory, too.
            step: Called with the number of chips done by each step of the model; may raise to stop.
            short: Called where memory doesn't suffice for a block: it makes ``size`` smaller and returns what
                takes the place of the blocks that are left; without it, or if it raises, that ends the run.

        Raises:
            ModelError: The model can't take the series' bands or values, or memory doesn't suffice.
            SeriesError: A file can't be read any more.
        """
        left = deque(blocks)
        with ThreadPoolExecutor(self.size.threads) as threads, ThreadPoolExecutor(1) as ahead:

            def start() -> _Reading | None:
                while left:
                    block = left.popleft()
                    if chips := self.chips(block):
                        return block, chips, ahead.submit(self.read, chips, threads)
                return None

            reading = start()
            while reading is not None:
                block, chips, frames = reading
                reading = start()
                try:
                    result = then(self.predict(block, chips, frames.result(), step))
                except (MemoryError, RuntimeError) as error:
                    shortage = Shortage.of(error, self.device)
                    if shortage is None:
                        raise
                    if reading is not None:
                        wait([reading[2]])
                    reading = None
                else:
                    del frames  # only the block being worked on and the next are held
                    yield result
                    continue
                del frames
                if short is None:
                    raise shortage.error(f"{self.size.batch} chips at once are too many.")
                left = deque(short(shortage))
                reading = start()

    def read(self, chips: list[Chip], threads: ThreadPoolExecutor | None = None) -> Frames:
        """What chips are cut from."""
        rows, columns = zip(*chips, strict=True)
        top, left, s = min(rows), min(columns), self.stride
        height, width = max(rows) + self.chip - top, max(columns) + self.chip - left
        return Frames(top, left, *self.series.read(top * s, left * s, height * s, width * s, threads))

    @computing_threads(1)
    @torch.inference_mode()
    def predict(
        self, block: Rectangle, chips: list[Chip], frames: Frames, step: Callable[[int], None]
    ) -> Block:
        """One block from its chips; see ``run``."""
        values, s, side = torch.from_numpy(frames.values), self.stride, self.chip * self.stride
        blend: Blend | None = None
        layers: torch.Size | None = None
        for first in range(0, len(chips), self.size.batch):
            part = chips[first : first + self.size.batch]
            places = [((row - frames.top) * s, (column - frames.left) * s) for row, column in part]
            stack = _cut(values, places, side)
            dates = self.dates.expand(len(stack), -1)
            if not first:  # frames are finite, and all chips of one shape
                check_inputs(self.model, stack, None, dates)
            with computing_threads(self._threads), self.autocast():
                logits = self.model(stack.to(self.device), None, dates.to(self.device))
            probabilities = logits.float() if self.features else logits.float().softmax(-3)
            layers = probabilities.shape[1:-2]  # K, or T and K
            probabilities = probabilities.flatten(1, -3)
            if blend is None:
                blend = Blend(probabilities.shape[1], block, self.chip, self.device)
            blend.add(part, probabilities)
            step(len(part))
        assert blend is not None  # noqa: S101  # there is a chip
        assert layers is not None  # noqa: S101
        valid = self._valid(block, frames)
        return Block(
            block,
            blend.result().reshape(*layers, block.height, block.width),
            torch.from_numpy(valid).to(self.device),
        )

    def _valid(self, block: Rectangle, frames: Frames) -> NDArray[np.bool_]:
        """(height, width): seen on some date, and wanted. Where no chip was read, no pixel is wanted."""
        seen = np.zeros((block.height, block.width), np.bool_)
        known = _coarser(frames.seen, self.stride)
        top, left = max(block.row, frames.top), max(block.column, frames.left)
        bottom = min(block.row + block.height, frames.top + known.shape[0])
        right = min(block.column + block.width, frames.left + known.shape[1])
        seen[top - block.row : bottom - block.row, left - block.column : right - block.column] = known[
            top - frames.top : bottom - frames.top, left - frames.left : right - frames.left
        ]
        return seen if self.area is None else seen & self.area.mask(block)


def _cut(values: torch.Tensor, places: Sequence[Chip], side: int) -> torch.Tensor:
    """Chips (n, T, C, side, side) of frames (T, C, h, w); where they lie evenly in a row, nothing is copied.

    What a model does first copies anyway, and on the model's device.
    """
    row, column = places[0]
    step = places[1][1] - column if len(places) > 1 else 0
    if all(place == (row, column + n * step) for n, place in enumerate(places)):
        first = values[..., row:, column:]
        shape, strides = (len(places), *values.shape[:2], side, side), (step, *values.stride())
        return values.as_strided(shape, strides, first.storage_offset())
    return torch.stack([values[..., r : r + side, c : c + side] for r, c in places])


def _coarser(seen: NDArray[np.bool_], stride: int) -> NDArray[np.bool_]:
    """Whether any of ``stride`` x ``stride`` pixels is seen."""
    if stride == 1:
        return seen
    rows, columns = seen.shape[0] // stride, seen.shape[1] // stride
    return np.asarray(seen.reshape(rows, stride, columns, stride).any((1, 3)))


class OverChips(torch.nn.Module):
    """A classifier as a segmenter: every pixel of a chip gets the chip's scores.

    Chips overlap, and are blended: the map is as fine as a chip's centre.

    Args:
        classifier: Gives (B, K) or (B, T, K).
    """

    def __init__(self, classifier: torch.nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    @property
    def encoder(self) -> torch.nn.Module:
        """The classifier's."""
        return self.classifier.encoder  # type: ignore[return-value]

    def forward(
        self, series: torch.Tensor, valid: torch.Tensor | None = None, dates: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(B, T, C, H, W) -> (B, K, H, W), or (B, T, K, H, W)."""
        scores: torch.Tensor = self.classifier(series, valid, dates)
        return scores[..., None, None].expand(*scores.shape, *series.shape[-2:])
