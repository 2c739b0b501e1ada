# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from timo.inference.chips import blocks
from timo.report.comparison import NOTHING, OVERVIEW_SIDE, RIGHT, WRONG, Comparison, Overview
from timo.report.ground import GroundArea
from timo.series.grid import Grid

CLASSES = 3


def compared(probabilities, valid, labels, learnt, ground, side):
    """The comparison, the errors and their overview, gathered in blocks of a side."""
    comparison, overview = Comparison(CLASSES), Overview(valid.shape)
    errors = np.full(valid.shape, 9, np.uint8)
    for block in blocks(*valid.shape, side):
        here = block.rows, block.columns
        errors[here] = comparison.add(
            probabilities[(slice(None), *here)], valid[here], labels[here], learnt[here]
        )
        comparison.add_mapped(probabilities[(slice(None), *here)], valid[here], ground.of(*here))
        overview.add(errors[here], *here)
    return comparison, errors, overview


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 90), st.sampled_from([8, 32]))
def test_figures_do_not_depend_on_the_blocks(seed, height, width, side):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(CLASSES), (height, width)).transpose(2, 0, 1).astype(np.float32)
    valid, learnt = random.random((2, height, width)) < 0.7
    labels = random.choice(np.array([0, 1, 2, 255], np.uint8), (height, width))
    ground = GroundArea(Grid("EPSG:4326", Affine(0.1, 0, 5, 0, -0.1, 60), width, height))
    found, errors, overview = compared(probabilities, valid, labels, learnt, ground, side)
    whole, at_once, small = compared(probabilities, valid, labels, learnt, ground, 1000)
    np.testing.assert_array_equal(errors, at_once)
    np.testing.assert_array_equal(found.matrix, whole.matrix)
    np.testing.assert_array_equal(found.unlearnt, whole.unlearnt)
    np.testing.assert_allclose(found.mapped, whole.mapped)
    np.testing.assert_array_equal(overview.wrong, small.wrong)
    assert found.no_data == whole.no_data == np.count_nonzero((labels != 255) & ~valid)
    assert found.reliability.figures()["mean_confidence"] == pytest.approx(
        whole.reliability.figures()["mean_confidence"]
    )
    judged = (labels != 255) & valid
    best = probabilities.argmax(0)
    assert found.matrix.sum() == judged.sum()
    assert found.unlearnt.sum() == (judged & ~learnt).sum()
    np.testing.assert_array_equal(errors, np.where(judged, np.where(best == labels, RIGHT, WRONG), NOTHING))


def test_the_overview_of_a_large_raster_shares_its_cells():
    overview = Overview((2 * OVERVIEW_SIDE, OVERVIEW_SIDE))
    errors = np.full((2 * OVERVIEW_SIDE, OVERVIEW_SIDE), NOTHING, np.uint8)
    errors[2:4, 4:6] = [[RIGHT, WRONG], [RIGHT, RIGHT]]
    overview.add(errors, slice(0, errors.shape[0]), slice(0, errors.shape[1]))
    assert overview.wrong.shape == (OVERVIEW_SIDE, OVERVIEW_SIDE // 2)
    assert overview.wrong[1, 2] == 0.25
    assert np.isnan(overview.wrong).sum() == overview.wrong.size - 1
