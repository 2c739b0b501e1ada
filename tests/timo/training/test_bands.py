# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch that lacks bands is learnt from as by the whole autoencoder, which sees zeros there."""

import copy

import pytest
import torch

from timo.bundle import Architecture
from timo.training.bands import BandsOfBatch

ARCHITECTURE = Architecture(
    name="timo_tiny", in_chans=5, num_classes=0, head_channels=0, zoom=1, position="date", kind="autoencoder"
)
DATES = torch.arange(3).mul(30).expand(2, -1)


@pytest.mark.parametrize("has", [[1, 3], [0, 1, 2, 3, 4]])
def test_loss_gradients_and_statistics_are_those_of_the_whole_model(has):
    torch.manual_seed(0)
    model = BandsOfBatch(ARCHITECTURE).train()
    whole = copy.deepcopy(model.model)
    bands = torch.zeros(2, 5, dtype=torch.bool)
    bands[:, has] = True
    bands[1, has[0]] = False  # one sample has fewer than the other
    series = torch.randn(2, 3, 5, 64, 64) * bands[:, None, :, None, None]
    noise = torch.rand(2, 12)
    mine = model(series, noise, None, DATES, bands)
    theirs = whole(series, noise, None, DATES, bands)
    torch.testing.assert_close(mine.loss, theirs.loss)
    assert mine.prediction.shape == (2, 12, len(has) * 32 * 32)
    mine.loss.backward()
    theirs.loss.backward()
    for (name, one), other in zip(model.model.named_parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
    for one, other in zip(model.model.buffers(), whole.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_it_has_the_weights_of_the_model_alone():
    model = BandsOfBatch(ARCHITECTURE)
    model(torch.zeros(1, 1, 5, 32, 64), None, None, DATES[:1, :1], torch.eye(5, dtype=torch.bool)[:1])
    assert {name.removeprefix("model.") for name in model.state_dict()} == set(model.model.state_dict())
