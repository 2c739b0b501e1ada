# SPDX-License-Identifier: GPL-3.0-or-later
"""What the comparison of pre-training draws its labels by, and what it calls better."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from benchmarks.accuracy import Score
from benchmarks.pretraining import FIELD, STARTS, few_labels, figures_of


@pytest.fixture
def fields():
    """Four fields of one class, each within a square, a large one of another, a pixel of a third."""
    values = np.full((30, 60), 255, np.uint8)
    for column in (0, 6, 12, 18):
        values[0:5, column : column + 5] = 1
    values[8:28, 0:58] = 2
    values[0, 50] = 3
    return values


@pytest.mark.parametrize("seed", range(5))
def test_a_share_of_each_class_is_kept_and_of_a_rare_one_a_field(fields, seed):
    kept = few_labels(fields, 255, 0.25, seed)
    assert np.isin(kept, [255, *np.unique(fields)]).all()
    assert ((kept == fields) | (kept == 255)).all()
    assert (kept == 1).sum() == 25  # one of the four fields, whole
    assert 0.9 * 0.25 < (kept == 2).sum() / (fields == 2).sum() <= 0.25
    assert (kept == 3).sum() == 1


def test_a_large_field_is_cut_into_squares_that_are_kept_whole(fields):
    kept = few_labels(fields, 255, 0.25, 0)
    for row in range(0, 30, FIELD):
        for column in range(0, 60, FIELD):
            square = np.s_[row : row + FIELD, column : column + FIELD]
            assert (kept[square] == 2).sum() in (0, (fields[square] == 2).sum())


def test_the_same_seed_keeps_the_same_labels_and_another_others(fields):
    first, again, other = (few_labels(fields, 255, 0.25, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(("gain", "better"), [(0.2, True), (0.05, False), (-0.2, False)])
def test_better_is_what_is_better_by_more_than_the_seeds_differ(gain, better):
    plain = [0.5, 0.55, 0.6]  # by seed, both sides the same
    scores = {
        start: [[Score(value + more, value + more, 1)] * 2 for value in plain]
        for start, more in zip(STARTS, (0, gain, 0), strict=True)
    }
    found = {(one.part, one.name): one for one in figures_of(scores)}
    margin = found["What pre-training adds, macro F1", "pre-trained less from random weights"]
    assert margin.value == pytest.approx(gain)
    assert margin.reached is better
