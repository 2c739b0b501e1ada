# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch

from timo.series.labels import NOT_LABELLED
from timo.training.losses import ClassLoss, class_weights


def random_batch():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 8, 8, generator=random, requires_grad=True)
    labels = torch.randint(0, 3, (4, 8, 8), generator=random)
    labels[0, :4] = NOT_LABELLED
    return logits, labels


def test_weights_of_the_labelled_pixels_have_a_mean_of_one_and_rare_classes_weigh_more():
    counts = np.array([900, 100, 0])
    weights = class_weights(counts).numpy()
    assert (weights * counts).sum() == pytest.approx(counts.sum())
    assert weights[1] == pytest.approx(3 * weights[0])
    assert weights[2] == 0


def test_classes_may_count_alike_however_rare_they_are_or_each_label_the_same():
    counts = np.array([900, 100, 0])
    weights = class_weights(counts, "full").numpy()
    assert weights[0] * 900 == pytest.approx(weights[1] * 100) == pytest.approx(500)
    assert class_weights(counts, "none").tolist() == [1, 1, 0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_parts_of_a_batch_by_their_mass_are_the_whole(smoothing):
    loss = ClassLoss(class_weights(np.array([100, 50, 10])), smoothing)
    logits, labels = random_batch()
    whole = loss(logits, labels)
    whole.backward()
    expected = logits.grad.clone()
    logits.grad = None
    total = loss.mass(labels)
    parts = [
        loss(part, some) * (loss.mass(some) / total) for part, some in zip(logits.chunk(3), labels.chunk(3))
    ]
    sum(parts).backward()
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)
    torch.testing.assert_close(logits.grad, expected)


def test_what_is_not_labelled_does_not_count():
    loss = ClassLoss(torch.ones(3))
    logits, labels = random_batch()
    changed = logits.detach().clone()
    changed[0, :, :4] = 100 * torch.randn(3, 4, 8)
    assert loss(changed, labels).equal(loss(logits, labels).detach())
