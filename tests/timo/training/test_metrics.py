# SPDX-License-Identifier: GPL-3.0-or-later
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from timo.training.metrics import Accuracy, figures_of


def close(found, expected):
    return found is None if expected is None or np.isnan(expected) else found == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(2, 6), st.floats(0, 1))
def test_figures_are_those_of_scikit_learn(seed, pixels, classes, share):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, pixels)
    mapped = np.where(random.random(pixels) < share, labels, random.integers(0, classes, pixels))
    accuracy = Accuracy([str(k) for k in range(classes)])
    for part in np.array_split(np.arange(pixels), 2):
        accuracy.update(torch.from_numpy(mapped[part]), torch.from_numpy(labels[part]))
    found = accuracy.figures()
    every, present = list(range(classes)), sorted(set(labels.tolist()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kappa = metrics.cohen_kappa_score(labels, mapped, labels=every)
        f1 = metrics.f1_score(labels, mapped, labels=every, average=None, zero_division=np.nan)
    np.testing.assert_array_equal(
        found["confusion_matrix"], metrics.confusion_matrix(labels, mapped, labels=every)
    )
    assert close(found["overall_accuracy"], metrics.accuracy_score(labels, mapped))
    assert close(found["kappa"], kappa)
    assert close(
        found["macro_f1"], metrics.f1_score(labels, mapped, labels=present, average="macro", zero_division=0)
    )
    assert close(
        found["mean_iou"],
        metrics.jaccard_score(labels, mapped, labels=present, average="macro", zero_division=0),
    )
    for row, expected in zip(found["per_class"], f1, strict=True):
        assert close(row["f1"], expected)


def test_a_figure_that_is_not_defined_is_none():
    figures = figures_of([[5, 0, 0], [0, 0, 0], [0, 0, 0]], ["a", "b", "c"])
    assert figures["kappa"] is None  # one class alone: any map agrees by chance
    assert figures["per_class"][1]["f1"] is None
    assert figures["macro_f1"] == 1


def test_counts_of_a_continent_do_not_overflow():
    many = 4_000_000_000
    figures = figures_of([[many, 0], [0, many]], ["a", "b"])
    assert figures["kappa"] == 1
    assert figures["pixels"] == 2 * many
