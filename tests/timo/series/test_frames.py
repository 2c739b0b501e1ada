# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timo.series.frames import Frames, fill_in_time


@st.composite
def stacks(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    steps = draw(st.integers(1, 9))
    shape = (steps, draw(st.integers(1, 3)), 4, 5)
    values = random.normal(size=shape).astype(np.float32)
    valid = random.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.7, 1.0]))
    days = np.cumsum(random.integers(1, 90, steps)).astype(np.int64) + 18_000
    return values, valid, days


@settings(deadline=None)
@given(stacks())
def test_each_pixel_and_band_is_interpolated_as_numpy_would(stack):
    values, valid, days = stack
    filled = fill_in_time(values, valid, days, fill=-7.0)
    for band, row, col in np.ndindex(values.shape[1:]):
        known = valid[:, band, row, col]
        expected = (
            np.interp(days, days[known], values[known, band, row, col])
            if known.any()
            else np.full(len(days), -7.0)
        )
        np.testing.assert_allclose(filled[:, band, row, col], expected, rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(stacks())
def test_what_is_valid_stays_to_the_bit(stack):
    values, valid, days = stack
    before = values.copy()
    filled = fill_in_time(values, valid, days)
    np.testing.assert_array_equal(filled[valid], values[valid])
    np.testing.assert_array_equal(values, before)


def test_time_is_real_not_counted_in_dates():
    values = np.float32([0, 0, 10]).reshape(3, 1, 1, 1)
    valid = np.array([True, False, True]).reshape(3, 1, 1, 1)
    assert fill_in_time(values, valid, np.array([0, 9, 10]))[1, 0, 0, 0] == pytest.approx(9)


def test_frames_are_valid_where_all_bands_are():
    band_valid = np.ones((2, 3, 1, 2), bool)
    band_valid[0, 1, 0, 1] = False
    frames = Frames(np.ones(band_valid.shape, np.float32), band_valid, np.array([0, 10]))
    np.testing.assert_array_equal(frames.valid[:, 0], [[True, False], [True, True]])
    assert (frames.filled() == 1).all()
