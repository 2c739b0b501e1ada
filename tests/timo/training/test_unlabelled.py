# SPDX-License-Identifier: GPL-3.0-or-later
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from timo.training.unlabelled import JUDGED, UnlabelledChips


class Made:
    """A prepared series whose values are its own number."""

    def __init__(self, number, dates, side):
        self.number, self.days = number, np.arange(dates, dtype=np.int64) * 10
        grid = SimpleNamespace(width=side, height=side)
        self.series = type("Of", (), {"grid": grid, "days": self.days, "__len__": lambda _: dates})()

    def read(self, row, column, height, width):
        frames = np.full((len(self.days), 1, height, width), self.number, np.float32)
        return frames, np.ones((height, width), bool)


def chips(*sizes, sources=None, dates=4):
    series = [Made(k + 1, count, side) for k, (count, side) in enumerate(sizes)]
    return UnlabelledChips(
        series, sources or range(len(series)), [[k] for k in range(len(series))],
        count=len(series), dates=dates, chip=32, batch=2, seed=0,
    )  # fmt: skip


def places(batches):
    """The place of each batch, by the band that it has."""
    return [int(batch.series.abs().sum((0, 1, 3, 4)).argmax()) for batch in batches]


def test_a_batch_is_of_one_place_and_0_in_the_bands_it_lacks():
    for batch in chips((3, 64), (9, 64)).epoch(1):
        (band,) = batch.series.abs().sum((0, 1, 3, 4)).nonzero().flatten().tolist()
        assert batch.series.shape == (2, (3, 4)[band], 2, 32, 32)
        assert batch.dates.shape == batch.series.shape[:2]
        assert (batch.dates.diff() > 0).all()


def test_the_same_epoch_has_the_same_chips_and_can_be_begun_in_its_midst():
    made = chips((3, 64), (9, 64))
    first, again = list(made.epoch(2)), list(made.epoch(2, 30))
    for one, other in zip(first[30:], again, strict=True):
        torch.testing.assert_close(one.series, other.series, rtol=0, atol=0)


@pytest.mark.parametrize("cut", [1, 8])
def test_a_source_of_many_places_is_seen_no_more_often_than_one_of_as_many_pixels(cut):
    side = int(64 / np.sqrt(cut))
    made = chips(*[(4, side)] * cut, (4, 64), sources=[0] * cut + [1])
    drawn = [place for number in range(1, 21) for place in places(made.epoch(number))]
    assert np.mean(np.array(drawn) < cut) == pytest.approx(0.5, abs=0.08)


def test_a_source_of_many_pixels_is_seen_by_their_root():
    made = chips((4, 128), (4, 32))
    drawn = [place for number in range(1, 21) for place in places(made.epoch(number))]
    assert np.mean(np.array(drawn) == 0) == pytest.approx(0.8, abs=0.06)


def test_examples_are_of_different_places_the_longest_first():
    made = chips((1, 64), (9, 64), (3, 64))
    found = made.examples(3)
    assert [place for place, _ in found] == [1, 2, 0]
    assert [tuple(batch.series.shape[:2]) for _, batch in found] == [(1, 4), (1, 3), (1, 1)]
    again = made.examples(3)
    assert all(torch.equal(one[1].series, other[1].series) for one, other in zip(found, again, strict=True))


def test_one_place_has_several_examples():
    found = chips((2, 64)).examples(3)
    assert [place for place, _ in found] == [0, 0, 0]
    assert len(chips((2, 64)).examples(99)) == JUDGED
