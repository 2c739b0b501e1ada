# SPDX-License-Identifier: GPL-3.0-or-later
"""Class probabilities of a raster, block by block: memory depends on the block, never on the raster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from timo.inference.blending import Blend
from timo.inference.chips import blocks, chips_of
from timo.models.checks import check_inputs
from timo.series.prepared import PreparedSeries

CHIPS_A_SIDE = 8
BLOCK_BYTES = 512 << 20


@dataclass(frozen=True)
class Block:
    """A rectangle of the result."""

    rows: slice
    columns: slice
    probabilities: NDArray[np.float32]
    """(K, rows, columns), or of every date (T, K, rows, columns)."""
    valid: NDArray[np.bool_]
    """(rows, columns): False where no date has data, or outside the area of interest."""


class BlockPredictor:
    """Runs a segmenter over a series.

    Args:
        model: Takes (B, T, C, chip, chip), None and the dates (B, T) on ``device``, gives logits of each
            pixel, (B, K, chip, chip), or of each pixel on each date, (B, T, K, chip, chip); in eval mode.
        series: The frames, ready for the model.
        chip: Side of the chips, in pixels.
        batch: Chips a step.
        device: Where the model is.
        area: (H, W) bool, where a result is wanted; everywhere when left out.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        series: PreparedSeries,
        *,
        chip: int,
        batch: int,
        device: torch.device,
        area: NDArray[np.bool_] | None = None,
    ) -> None:
        self.model, self.series, self.chip, self.batch, self.device = model, series, chip, batch, device
        self.area = area
        frames = series.series
        self.dates = torch.from_numpy(frames.days)
        self.height, self.width = frames.grid.height, frames.grid.width
        a_pixel = 4 * len(frames.dates) * len(frames.bands)
        fitting = int((BLOCK_BYTES / a_pixel) ** 0.5) // chip - 1
        self.side = chip * max(1, min(CHIPS_A_SIDE, fitting))

    def blocks(self) -> list[tuple[slice, slice]]:
        """The blocks that hold some of the area of interest."""
        every = blocks(self.height, self.width, self.side)
        return [
            (rows, columns) for rows, columns in every if self.area is None or self.area[rows, columns].any()
        ]

    def count_chips(self) -> int:
        """Chips that the model will see, for the progress."""
        return sum(len(self._chips(rows, columns)) for rows, columns in self.blocks())

    @torch.inference_mode()
    def run(self, step: Callable[[int], None]) -> Iterator[Block]:
        """Predict block by block.

        Args:
            step: Called with the number of chips done by each step of the model; may raise to stop.

        Raises:
            ModelError: The model can't take the series' bands or values.
        """
        for rows, columns in self.blocks():
            yield self._block(rows, columns, step)

    def _chips(self, rows: slice, columns: slice) -> list[tuple[int, int]]:
        of_rows = chips_of(rows.start, rows.stop, self.height, self.chip)
        of_columns = chips_of(columns.start, columns.stop, self.width, self.chip)
        return [(row, column) for row in of_rows for column in of_columns]

    def _block(self, rows: slice, columns: slice, step: Callable[[int], None]) -> Block:
        chips = self._chips(rows, columns)
        top, left = chips[0]
        height, width = chips[-1][0] + self.chip - top, chips[-1][1] + self.chip - left
        frames, seen = self.series.read(top, left, height, width)
        blend: Blend | None = None
        for first in range(0, len(chips), self.batch):
            part = chips[first : first + self.batch]
            places = [(row - top, column - left) for row, column in part]
            cut = [frames[..., r : r + self.chip, c : c + self.chip] for r, c in places]
            stack = torch.from_numpy(np.stack(cut))
            dates = self.dates.expand(len(stack), -1)
            check_inputs(self.model, stack, None, dates)
            logits = self.model(stack.to(self.device), None, dates.to(self.device))
            probabilities = logits.float().softmax(-3).cpu().numpy()
            layers = probabilities.shape[1:-2]  # K, or T and K
            probabilities = probabilities.reshape(len(part), -1, self.chip, self.chip)
            if blend is None:
                blend = Blend(probabilities.shape[1], rows, columns, self.chip)
            for (row, column), chip in zip(part, probabilities, strict=True):
                blend.add(row, column, chip)
            step(len(part))
        assert blend is not None  # noqa: S101  # offsets() is never empty
        valid = seen[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        if self.area is not None:
            valid = valid & self.area[rows, columns]
        blended = blend.result()
        return Block(rows, columns, blended.reshape(*layers, *blended.shape[1:]), valid)


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
