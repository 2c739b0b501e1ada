# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from timo.series.transforms import Augmentation, Orientation, flip_and_rotate, orientations


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


CHANGES = {
    "gain": Augmentation(gain=0.2), "offset": Augmentation(offset=0.2),
    "date_offset": Augmentation(date_offset=0.2),
    "noise": Augmentation(noise=0.2),
    "shift_days": Augmentation(shift_days=30), "gaps": Augmentation(gaps=0.9),
}  # fmt: skip
FRAMES = np.random.default_rng(1).normal(size=(6, 3, 16, 16)).astype(np.float32)
DAYS = np.arange(18000, 18060, 10)


def test_nothing_is_changed_by_default():
    frames, dates = Augmentation().apply(FRAMES, DAYS, np.random.default_rng(0))
    np.testing.assert_array_equal(frames, FRAMES)
    np.testing.assert_array_equal(dates, DAYS)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_the_same_for_the_same_seed_and_leaves_the_original_alone(name):
    before = FRAMES.copy(), DAYS.copy()
    one, two, other = (CHANGES[name].apply(FRAMES, DAYS, np.random.default_rng(seed)) for seed in (0, 0, 1))
    for left, right in zip(one, two):
        np.testing.assert_array_equal(left, right)
    assert any(left.shape != right.shape or (left != right).any() for left, right in zip(one, other))
    for now, was in zip((FRAMES, DAYS), before):
        np.testing.assert_array_equal(now, was)
    assert one[0].dtype == np.float32
    assert one[0].flags.c_contiguous


def test_gain_and_offset_are_the_same_at_all_dates_and_pixels_of_a_band():
    frames, _ = Augmentation(offset=0.5).apply(FRAMES, DAYS, np.random.default_rng(0))
    added = frames - FRAMES
    np.testing.assert_allclose(added, np.broadcast_to(added[:1, :, :1, :1], added.shape), atol=1e-5)
    assert len(np.unique(added[0, :, 0, 0].round(4))) == 3


@pytest.mark.parametrize("dates", [1, 2, 6])
def test_two_dates_at_least_stay_in_their_order(dates):
    for seed in range(30):
        kept = Augmentation(drop_dates=0.95).choose_dates(dates, np.random.default_rng(seed))
        assert len(set(kept)) == len(kept) >= min(2, dates)
        assert sorted(kept) == list(kept)
    assert list(Augmentation().choose_dates(dates, np.random.default_rng(0))) == list(range(dates))


def test_a_gap_takes_the_values_of_another_date():
    frames, _ = Augmentation(gaps=0.5).apply(FRAMES, DAYS, np.random.default_rng(3))
    changed = (frames != FRAMES).any(axis=1)
    assert changed.any()
    for t, row, column in np.argwhere(changed):
        assert any((frames[t, :, row, column] == FRAMES[other, :, row, column]).all() for other in range(6))


def test_a_shift_moves_all_dates_together():
    _, dates = Augmentation(shift_days=30).apply(FRAMES, DAYS, np.random.default_rng(5))
    assert len(set(dates - DAYS)) == 1
    assert dates[0] != DAYS[0]
