# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.classification import MulticlassCalibrationError

from timo.report.calibration import Reliability


def of(confidence, right, bins=10):
    reliability = Reliability(bins)
    for part in np.array_split(np.arange(len(confidence)), 3):  # block by block
        reliability.update(confidence[part], right[part])
    return reliability.figures()


def test_a_map_that_is_as_sure_as_it_is_right_has_no_calibration_error():
    random = np.random.default_rng(1)
    confidence = random.uniform(0.3, 1, 400_000).astype(np.float32)
    figures = of(confidence, random.random(400_000) < confidence)
    assert figures["expected_calibration_error"] < 0.005
    assert figures["mean_confidence"] == pytest.approx(0.65, abs=0.005)


def test_a_map_that_is_too_sure_by_a_fifth_has_that_error():
    random = np.random.default_rng(2)
    confidence = random.uniform(0.5, 1, 400_000).astype(np.float32)
    figures = of(confidence, random.random(400_000) < confidence - 0.2)
    assert figures["expected_calibration_error"] == pytest.approx(0.2, abs=0.005)
    for row in figures["bins"]:
        if row["pixels"]:
            assert row["confidence"] - row["accuracy"] == pytest.approx(0.2, abs=0.02)


@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(2, 6), st.sampled_from([10, 15]))
def test_the_error_is_that_of_torchmetrics(seed, pixels, classes, bins):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(classes), pixels).astype(np.float32)
    labels = random.integers(0, classes, pixels)
    expected = MulticlassCalibrationError(classes, n_bins=bins, norm="l1")
    expected.update(torch.from_numpy(probabilities), torch.from_numpy(labels))
    figures = of(probabilities.max(1), probabilities.argmax(1) == labels, bins)
    assert figures["expected_calibration_error"] == pytest.approx(float(expected.compute()), abs=1e-5)


def test_certainty_falls_into_the_last_bin_even_if_rounded_above_one():
    figures = of(np.array([1.0, 1.0000001, 0.0], np.float32), np.array([True, True, False]))
    assert figures["bins"][-1]["pixels"] == 2
    assert figures["bins"][0]["pixels"] == 1


def test_without_pixels_nothing_is_known():
    assert Reliability().figures()["expected_calibration_error"] is None
