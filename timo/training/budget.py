# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a training lasts when nobody said it."""

from __future__ import annotations

import math

from timo.bundle import Architecture
from timo.models.operations import Input, encoder_operations, head_operations
from timo.models.pixels import pixel_operations
from timo.models.registry import VARIANTS
from timo.training.objectives import MOST_PIXELS

# Arithmetic operations: about 4 minutes on 2 cores for timo_tiny. More never hurts but for the time: it is
# the learning rate that ends, not the learning.
OPERATIONS = 5.5e12
BACKWARD = 3  # a step's operations over its forward's
LEAST_EPOCHS, MOST_EPOCHS = 10, 200


def epochs_of(
    architecture: Architecture, *, dates: int, chip: int, batch: int, steps: int, labelled: float
) -> int:
    """As many epochs as a fixed number of operations makes, the same on every machine.

    Args:
        architecture: The model.
        dates: Of a series.
        chip: Side of a chip, in pixels.
        batch: Chips a step.
        steps: Of an epoch.
        labelled: Pixels of a chip that have labels: the others' own series are not computed.
    """
    options = VARIANTS[architecture.name]
    side = chip * architecture.zoom
    size = Input(architecture.in_chans, dates, side, side, batch)
    head = head_operations(size, options["embed_dims"], architecture.head_channels, architecture.num_classes)
    pixels = 0.0
    if architecture.cosines:
        each = pixel_operations(architecture.in_chans, architecture.num_classes, architecture.cosines)
        pixels = batch * min(labelled, MOST_PIXELS) * each
    step = BACKWARD * (encoder_operations(size, **options) + head + pixels)
    return min(max(math.ceil(OPERATIONS / (step * steps)), LEAST_EPOCHS), MOST_EPOCHS)
