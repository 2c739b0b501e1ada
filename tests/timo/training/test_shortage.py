# SPDX-License-Identifier: GPL-3.0-or-later
"""A training whose memory runs out: smaller parts, and where they are too large, too, an error."""

import itertools
import re

import pytest
import torch
from lightning_fabric import Fabric

from tests.timo.training.trainings import TO_CLASSIFY, Drawn, Dropping, Interrupting
from timo.errors import ModelError
from timo.memory import available
from timo.training.checkpoint import Checkpoint
from timo.training.data import Batch
from timo.training.engine import Schedule, fit

SHORT = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 34359738368 bytes."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 34359738368 bytes."),
    MemoryError(),
]


class Sixteen(Drawn):
    """Batches of so many chips, of all classes."""

    def draw(self, seed):
        random = torch.Generator().manual_seed(seed)
        series = torch.randn(16, 2, 1, 32, 32, generator=random)
        return Batch(series, (series.mean((1, 2)) > 0).long(), torch.tensor([[18000, 18030]] * 16))


class Failing(torch.autograd.Function):
    """Fails on the way back, when the gradients of what comes after it are there."""

    @staticmethod
    def forward(ctx, x, error):
        ctx.error = error
        return x.clone()

    @staticmethod
    def backward(ctx, _):
        raise ctx.error


class Crowded(Dropping):
    """Memory for so many chips at once: with more it fails at their second part, or on the way back.

    BatchNorm has then seen them, random numbers were drawn, and of the first part gradients are there.
    """

    def __init__(self, fits, error, *, backward=False, first=0):
        super().__init__()
        self.fits, self.error, self.backward = fits, error, backward
        self.calls = itertools.count()
        self.tried = []
        self.first = first  # calls that nothing fails in

    def forward(self, series, valid, dates):
        chips = len(series)
        if not self.training or chips <= self.fits or next(self.calls) < self.first:
            return super().forward(series, valid, dates)
        self.tried.append(chips)
        if self.backward:
            halfway = Failing.apply(self.layers[:2](series.mean(1)), self.error)
            return self.layers[2:](halfway)
        out = super().forward(series, valid, dates)
        if self.tried.count(chips) > 1 or chips == 16:
            raise self.error
        return out


def learn(model, reporter=None, *, folder=None, chips=None, **schedule):
    torch.manual_seed(0)
    model.load_state_dict(Dropping().state_dict())
    torch.manual_seed(1)
    seconds = itertools.count(step=1000)  # each step's checkpoint is due
    checkpoint = folder and Checkpoint(folder, "key", clock=lambda: next(seconds))
    settings = Schedule(**{"epochs": 2, "learning_rate": 0.05, **schedule})
    fabric = Fabric(accelerator="cpu")
    return fit(
        fabric, model, TO_CLASSIFY, chips or Sixteen(), settings, reporter or Interrupting(), checkpoint
    )


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, weights in one.items():
        assert weights.equal(other[name]), name


@pytest.mark.parametrize("backward", [False, True], ids=["in the second part", "on the way back"])
@pytest.mark.parametrize("error", SHORT, ids=lambda error: type(error).__name__)
def test_a_step_that_memory_is_too_small_for_is_the_one_in_parts_to_the_last_bit(error, backward):
    model, reporter = Crowded(4, error, backward=backward), Interrupting()
    outcome, parted = learn(model, reporter), learn(Dropping(), parts=4)
    assert set(model.tried) == {16, 8}, "it failed in one part, and in two"
    assert_same(outcome.state, parted.state)
    assert outcome.history == parted.history
    assert [line for line in reporter.lines if "4 parts" in line]


@pytest.mark.parametrize("error", SHORT, ids=lambda error: type(error).__name__)
def test_after_three_halvings_it_says_what_it_needed_and_what_there_was(error):
    model = Crowded(1, error)
    with pytest.raises(ModelError) as caught:
        learn(model)
    assert sorted(set(model.tried), reverse=True) == [16, 8, 4, 2]
    told = caught.value
    assert told.code == "out_of_memory"
    assert re.search(r"\d [GM]B is free\. The model with its gradients and means takes \d", told.message)
    assert "smaller model" in told.action
    learning = sum(one.numel() for one in model.parameters() if one.ndim > 1)
    assert told.detail["needed"] == 5 * 4 * learning
    assert 0 < told.detail["there"] <= 2 * available(torch.device("cpu"))


def test_a_single_chip_is_not_parted_further():
    model = Crowded(0, MemoryError())
    with pytest.raises(ModelError, match="is free"):
        learn(model, chips=Drawn())
    assert set(model.tried) == {2, 1}


def test_an_error_that_is_not_of_memory_stays_what_it_is():
    with pytest.raises(RuntimeError, match="shapes differ"):
        learn(Crowded(4, RuntimeError("shapes differ")))


def test_the_checkpoint_stays_and_a_later_try_ends_as_if_memory_had_sufficed(tmp_path):
    whole = learn(Dropping())
    with pytest.raises(ModelError, match="is free"):
        learn(Crowded(1, MemoryError(), first=4), folder=tmp_path / "m")  # in the fifth of six steps
    again = Interrupting()
    outcome = learn(Dropping(), again, folder=tmp_path / "m")
    assert "Going on" in again.lines[0]
    assert_same(outcome.state, whole.state)
