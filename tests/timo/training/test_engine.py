# SPDX-License-Identifier: GPL-3.0-or-later
import math

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from timo.errors import ModelError
from timo.tasks.reporter import Reporter
from timo.training.engine import Schedule, fit, validate
from timo.training.losses import segmentation_loss


class Pixelwise(torch.nn.Module):
    """A segmenter that sees one pixel of the mean over dates."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 3, 1)
        self.in_chans, self.position = 1, "index"

    def forward(self, series):
        return self.layer(series.mean(1))


class Given:
    """The same few chips each epoch."""

    steps = 1

    def __init__(self, value=0.5, classes=(0, 1)):
        self.batches = [
            (torch.full((1, 2, 1, 32, 32), value), torch.full((1, 32, 32), k, dtype=torch.int64))
            for k in classes
        ]

    def epoch(self, number):
        return self.batches[:1]

    def validation(self):
        return self.batches


LOSS = segmentation_loss(np.array([8, 8, 0]))  # training has no label of the third class
NAMES = ["field", "woods", "water"]


def test_a_training_that_goes_astray_is_an_error_and_no_model():
    with pytest.raises(ModelError, match="epoch 1") as caught:
        fit(Fabric(accelerator="cpu"), Pixelwise(), LOSS, Given(3e38), NAMES, Schedule(8, 0.3), Reporter())
    assert caught.value.code == "training_diverged"
    assert "0.3" in caught.value.action


def test_a_class_that_training_lacks_leaves_the_validation_loss_a_number():
    fabric, model = Fabric(accelerator="cpu"), Pixelwise()
    without, _ = validate(fabric, model, LOSS, Given(classes=(0, 1)), NAMES, Reporter())
    loss, figures = validate(fabric, model, LOSS, Given(classes=(0, 1, 2)), NAMES, Reporter())
    assert loss == pytest.approx(without)
    assert figures["per_class"][2]["pixels"] == 32 * 32


@pytest.mark.parametrize("run", [fit, validate])
def test_a_frame_that_is_no_number_is_named_and_nothing_is_learnt_from_it(run):
    last = (Schedule(8, 0.3),) if run is fit else ()
    with pytest.raises(ModelError, match="Date 0 of sample 0 of the batch holds NaN"):
        run(Fabric(accelerator="cpu"), Pixelwise(), LOSS, Given(math.nan), NAMES, *last, Reporter())
