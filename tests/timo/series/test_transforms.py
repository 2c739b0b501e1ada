# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from timo.series.transforms import Orientation, flip_and_rotate, orientations


def test_frames_and_labels_turn_together():
    labels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    frames = np.broadcast_to(labels, (3, 2, 4, 4)).astype(np.float32)
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        turned, turned_labels = flip_and_rotate(frames, labels, random)
        assert (turned == turned_labels).all()
        assert turned.flags.c_contiguous
        assert turned_labels.flags.c_contiguous
        seen.add(turned_labels.tobytes())
    assert len(seen) == 8


def test_the_eight_orientations_differ_and_the_first_changes_nothing():
    square = np.arange(9).reshape(3, 3)
    turned = [one.apply(square).tobytes() for one in orientations()]
    assert len(set(turned)) == 8
    assert turned[0] == square.tobytes()


def test_the_same_seed_gives_the_same_orientation():
    square = np.arange(9).reshape(1, 1, 3, 3)
    one, two = (flip_and_rotate(square, square[0, 0], np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])


def test_a_quarter_turn_of_an_oblong_is_refused():
    with pytest.raises(ValueError, match="2 x 3"):
        Orientation(False, 1).apply(np.zeros((2, 3)))
    assert Orientation(True, 2).apply(np.zeros((2, 3))).shape == (2, 3)
