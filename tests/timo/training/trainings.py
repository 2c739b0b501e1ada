# SPDX-License-Identifier: GPL-3.0-or-later
"""Small models, batches and reporters that the tests of the training loop share."""

import math

import numpy as np
import torch
from lightning_fabric import Fabric

from timo.errors import Cancelled
from timo.tasks.reporter import Reporter
from timo.training.checkpoint import Checkpoint
from timo.training.data import Batch
from timo.training.engine import Schedule, fit
from timo.training.losses import ClassLoss, class_weights
from timo.training.objectives import ClassObjective

# Training has no label of the third class.
TO_CLASSIFY = ClassObjective(ClassLoss(class_weights(np.array([8, 8, 0]))), ["field", "woods", "water"])


class Pixelwise(torch.nn.Module):
    """A segmenter that sees one pixel of the mean over dates."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 3, 1)
        self.in_chans, self.position = 1, "index"

    def forward(self, series, valid, dates):
        return self.layer(series.mean(1))


class Dropping(torch.nn.Module):
    """A segmenter whose training hangs on torch's random numbers, with running statistics."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.Dropout(0.5),
            torch.nn.Conv2d(8, 3, 1),
        )  # fmt: skip
        self.in_chans, self.position = 1, "index"

    def forward(self, series, valid, dates):
        return self.layers(series.mean(1))


class Drawn:
    """Batches that differ by epoch and step."""

    steps = 3

    def epoch(self, number, first=0, all_labels=False):
        return (self.draw(10 * number + step) for step in range(first, self.steps))

    def validation(self):
        return [self.draw(0)]

    def draw(self, seed):
        random = torch.Generator().manual_seed(seed)
        series = torch.randn(2, 2, 1, 32, 32, generator=random)
        return Batch(series, (series.mean((1, 2)) > 0).long(), torch.tensor([[18000, 18030]] * 2))


class Interrupting(Reporter):
    """Cancels at the n-th check; keeps the curves."""

    def __init__(self, checks=math.inf):
        self.left, self.curves, self.lines = checks, [], []

    def check(self):
        self.left -= 1
        if self.left < 0:
            raise Cancelled

    def metric(self, name, value, step):
        self.curves.append((name, value, step))

    def log(self, message, level="info"):
        self.lines.append(message)


class Satisfied(Interrupting):
    """Wants no more once it was asked so many times whether to go on."""

    def __init__(self, after):
        super().__init__()
        self.asked, self.after = 0, after

    def enough(self):
        self.asked += 1
        return self.asked > self.after


def train(folder, reporter, key="key", **schedule):
    torch.manual_seed(0)
    checkpoint = Checkpoint(folder, key)
    fabric, schedule = Fabric(accelerator="cpu"), Schedule(**{"epochs": 3, "learning_rate": 0.05, **schedule})
    return fit(fabric, Dropping(), TO_CLASSIFY, Drawn(), schedule, reporter, checkpoint)
