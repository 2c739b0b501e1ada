# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from timo.models.pixels import WithPixels
from timo.training.data import Batch
from timo.training.losses import ClassLoss, class_weights
from timo.training.objectives import ClassObjective, at_most

GOAL = ClassObjective(ClassLoss(class_weights(np.array([8, 8]))), ["field", "woods"])
LABELS = torch.arange(2).repeat(512).view(1, 32, 32)
BATCH = Batch(torch.zeros(1, 2, 1, 32, 32), LABELS, torch.tensor([[18000, 18030]]))


class Saying(torch.nn.Module):
    """Gives every pixel the scores of a class: its own where it is right, else the other."""

    def __init__(self, right, sure=5.0):
        super().__init__()
        told = LABELS if right else 1 - LABELS
        self.scores = sure * torch.nn.functional.one_hot(told, 2).permute(0, 3, 1, 2).float()

    def forward(self, series, valid=None, dates=None, wanted=None):
        return self.scores


@pytest.mark.parametrize(
    ("around", "alone", "share"),
    [
        (Saying(False), Saying(True), 0.75),
        (Saying(True), Saying(False), 0.0),
        # The one that is wrong is the surer one: a half would follow it.
        (Saying(False, 12.0), Saying(True), 0.75),
    ],
)
def test_held_out_labels_tell_whether_a_pixel_or_its_surroundings_is_to_be_trusted(around, alone, share):
    judged = GOAL.judge(WithPixels(around, alone).eval(), [BATCH])
    assert judged.figures["pixel_share"] == share
    assert judged.row["val_accuracy"] == 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_model_whose_share_is_settled_is_judged_as_it_maps(share):
    judged = GOAL.judge(WithPixels(Saying(False), Saying(True), share).eval(), [BATCH])
    assert judged.row["val_accuracy"] == share
    assert "pixel_share" not in judged.figures


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 70), st.integers(0, 2**16))
def test_of_many_labels_some_are_drawn_and_of_few_all(count, seed):
    torch.manual_seed(seed)
    mask = torch.rand(3, 8, 8) < torch.tensor([0.0, 0.2, 0.9])[:, None, None]
    drawn = at_most(mask, count)
    assert not (drawn & ~mask).any()
    assert drawn.flatten(1).sum(1).tolist() == mask.flatten(1).sum(1).clamp(max=count).tolist()
