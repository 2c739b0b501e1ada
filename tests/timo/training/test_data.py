# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch

from tests.timo.series.test_sampling import labels_of
from timo.series.labels import NOT_LABELLED
from timo.series.place_splits import split_places
from timo.series.transforms import Augmentation
from timo.training.data import LabelledChips

SIDE, CHIP = 64, 32


class Held:
    """A prepared series in memory: its pixels tell their place, date, row and column."""

    def __init__(self, place, dates):
        rows, columns = np.indices((SIDE, SIDE))
        tell = [np.full((SIDE, SIDE), place), rows, columns]
        self.values = np.stack([np.stack([*tell, np.full((SIDE, SIDE), t)]) for t in range(dates)]).astype(
            np.float32
        )
        self.series = self  # its days
        self.days = 18000 + 10 * np.arange(dates) + place

    def read(self, row, column, height, width):
        beyond = ((0, 0), (0, 0), (CHIP, CHIP), (CHIP, CHIP))
        values = np.pad(self.values, beyond, mode="reflect")
        return values[..., row + CHIP : row + CHIP + height, column + CHIP : column + CHIP + width], None


def chips_of(dates, **options):
    random = np.random.default_rng(0)
    maps = [random.integers(0, 3, (8, 8)).astype(np.uint8).repeat(8, 0).repeat(8, 1) for _ in dates]
    labels = [labels_of(one) for one in maps]
    split = split_places(labels, chip=CHIP, fraction=0.3, seed=0, names=[str(i) for i in range(len(maps))])
    series = [Held(place, count) for place, count in enumerate(dates)]
    return maps, split, LabelledChips(series, split, batch=3, seed=5, **options)


def pixels(batch):
    """(place, row, column) and label of every labelled pixel of a batch."""
    for sample, labels in zip(batch.series, batch.labels, strict=True):
        known = labels != NOT_LABELLED
        yield from zip(sample[0, :3, known].T.long().tolist(), labels[known].tolist(), strict=True)


@pytest.mark.parametrize("dates", [[3], [3, 3, 3, 3]])
def test_every_label_stands_on_its_own_pixel_and_parts_stay_apart(dates):
    maps, split, chips = chips_of(dates)
    seen = {"train": set(), "validation": set()}
    for part, batches in (("train", chips.epoch(1)), ("validation", chips.validation())):
        for batch in batches:
            for (place, row, column), label in pixels(batch):
                assert maps[place][row, column] == label
                seen[part].add((place, row, column))
    assert not seen["train"] & seen["validation"]
    assert len(seen["validation"]) == split.counts("validation").sum()


def test_an_epoch_is_the_same_whether_its_first_batches_were_made_or_not():
    _, _, chips = chips_of([3, 3, 3], augmentation=Augmentation(noise=0.1, gain=0.1))
    whole, rest = list(chips.epoch(4)), list(chips.epoch(4, 5))
    assert len(whole) == chips.steps
    assert len(rest) == chips.steps - 5
    for one, two in zip(whole[5:], rest, strict=True):
        assert one.series.equal(two.series)
        assert one.labels.equal(two.labels)
    assert not whole[0].series.equal(next(iter(chips.epoch(5))).series)


def test_series_of_fewer_dates_are_filled_up_with_dates_that_are_not_valid():
    _, _, chips = chips_of([2, 4, 3, 4])
    mixed = [batch for batch in chips.epoch(1) if batch.valid is not None]
    assert mixed
    for batch in mixed:
        for sample in range(len(batch.series)):
            place = int(batch.series[sample, 0, 0, 0, 0])
            count = (2, 4, 3, 4)[place]
            assert batch.valid[sample, :count].all()
            assert not batch.valid[sample, count:].any()
            assert batch.dates[sample, :count].tolist() == [18000 + 10 * t + place for t in range(count)]


def test_a_batch_is_split_with_all_that_belongs_to_it():
    _, _, chips = chips_of([2, 4, 3, 4])
    batch = next(batch for batch in chips.epoch(1) if batch.valid is not None)
    parts = batch.split(2)
    assert [len(part.series) for part in parts] == [2, 1]
    for whole, *pieces in zip(batch, *parts):
        assert whole.equal(torch.cat(pieces))
    assert next(iter(chips_of([3])[2].epoch(1))).split(2)[0].valid is None


def test_the_richest_chip_has_the_most_labels_of_the_most_classes():
    _, _, chips = chips_of([3, 3, 3])

    def worth(labels):
        return sum((labels == value).sum().item() ** 0.5 for value in range(3))

    every = [worth(labels) for batch in chips.validation() for labels in batch.labels]
    piece = chips.richest("validation")
    assert worth(piece.batch.labels) == max(every) > min(every)
    rows, columns = piece.batch.series[0, 0, 1, :, 0], piece.batch.series[0, 0, 2, 0]
    assert piece.row in rows.tolist() and piece.column in columns.tolist(), "it lies where it says"
    assert chips.richest("test") is None


def test_an_epoch_may_be_left_early():
    _, _, chips = chips_of([3])
    batches = chips.epoch(1)
    next(batches)
    batches.close()


def test_all_labels_are_those_of_training_and_validation_and_none_of_the_test():
    random = np.random.default_rng(0)
    maps = [random.integers(0, 3, (8, 8)).astype(np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(8)]
    names = [str(i) for i in range(len(maps))]
    labels = [labels_of(one) for one in maps]
    split = split_places(labels, chip=CHIP, fraction=0.3, seed=0, names=names, test=0.3)
    chips = LabelledChips([Held(place, 3) for place in range(8)], split, batch=3, seed=5)
    seen = {place for number in range(1, 9) for batch in chips.epoch(number, all_labels=True)
            for (place, _, _), _ in pixels(batch)}  # fmt: skip
    parts = {
        name: {i for i, one in enumerate(split.splits) if one.mask(name).any()}
        for name in ("train", "validation", "test")
    }
    assert all(parts.values())
    assert seen == parts["train"] | parts["validation"]
    assert chips.counts.sum() == len(seen) * SIDE * SIDE


def test_all_labels_of_one_place_are_those_of_both_parts_and_of_the_buffer():
    maps, _, chips = chips_of([3])
    assert chips.counts.sum() == SIDE * SIDE
    for batch in chips.epoch(1, all_labels=True):
        for (_, row, column), label in pixels(batch):
            assert maps[0][row, column] == label
