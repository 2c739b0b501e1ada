# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of maps of many blocks share."""

import hashlib

import rasterio
import torch

from timo.errors import Cancelled
from timo.inference.blocks import BlockPredictor
from timo.inference.partial import Partial
from timo.tasks.reporter import Reporter

SIDE = 300  # four blocks of 256 pixels and less
# Blocks of a few chips, so that a small scene has many.
SMALL = "from timo.inference import sizing; sizing.LEAST_CHIPS = 1; sizing.BEST_SIDE = sizing.TILE; "


def pixels(path):
    """All bands of a raster."""
    with rasterio.open(path) as source:
        return source.read()


def same(one, other):
    """Whether two maps' class bands are the same to the last byte."""
    return hashlib.sha256(pixels(one)).digest() == hashlib.sha256(pixels(other)).digest()


class Stopping(Reporter):
    """Cancels once so many blocks are done."""

    def __init__(self, folder, blocks):
        self.folder, self.blocks, self.lines = folder, blocks, []

    def check(self):
        if (self.folder / "plan.json").exists() and len(Partial.open(self.folder).done) >= self.blocks:
            raise Cancelled

    def log(self, message, level="info"):
        self.lines.append(message)


class Full:
    """Memory for ``fits`` chips at once, and for blocks up to ``side`` pixels."""

    def __init__(self, fits, side=10**6):
        self.fits, self.side = fits, side

    def patch(self, monkeypatch):
        real = BlockPredictor.predict

        def predict(predictor, block, chips, frames, step):
            if predictor.size.batch > self.fits or max(block.height, block.width) > self.side:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real(predictor, block, chips, frames, step)

        monkeypatch.setattr(BlockPredictor, "predict", predict)
