# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from timo.inference.blending import Blend, side_weights
from timo.inference.chips import Rectangle, blocks, chips_of, offsets

sides = st.integers(1, 400)
chip_sizes = st.sampled_from([32, 64, 96])


@given(sides, chip_sizes)
def test_chips_cover_every_pixel_and_stay_on_the_raster(length, chip):
    first = offsets(length, chip)
    covered = np.zeros(max(length, chip), int)
    for offset in first:
        assert offset == 0 or offset + chip <= length
        covered[offset : offset + chip] += 1
    assert covered[:length].min() >= 1
    assert first == sorted(set(first))


@given(sides, chip_sizes, st.data())
def test_a_block_gets_every_chip_that_meets_it(length, chip, data):
    start = data.draw(st.integers(0, length - 1))
    stop = data.draw(st.integers(start + 1, length))
    chosen = set(chips_of(start, stop, length, chip))
    for offset in offsets(length, chip):
        meets = bool(set(range(start, stop)) & set(range(offset, offset + chip)))
        assert (offset in chosen) == meets


@given(sides, sides, st.integers(1, 150))
def test_blocks_tile_the_raster_once(height, width, side):
    times = np.zeros((height, width), int)
    for block in blocks(height, width, side):
        times[block.rows, block.columns] += 1
    assert (times == 1).all()


@given(
    st.integers(1, 150),
    st.integers(1, 150),
    st.sampled_from([1, 7, 32]),
    st.integers(10, 150),
    st.integers(1, 20),
)
@settings(max_examples=20)
def test_blending_gives_the_same_to_the_last_bit_in_any_block_and_batch(height, width, chip, side, batch):
    random = torch.Generator().manual_seed(0)
    chips = {
        (r, c): torch.rand(2, chip, chip, generator=random)
        for r in offsets(height, chip)
        for c in offsets(width, chip)
    }

    def blended(side, batch):
        result = np.zeros((2, height, width), np.float32)
        for block in blocks(height, width, side):
            blend = Blend(2, block, chip)
            rows = chips_of(block.row, block.row + block.height, height, chip)
            columns = chips_of(block.column, block.column + block.width, width, chip)
            places = [(r, c) for r in rows for c in columns]
            for first in range(0, len(places), batch):
                part = places[first : first + batch]
                blend.add(part, torch.stack([chips[place] for place in part]))
            result[:, block.rows, block.columns] = blend.result()
        return result

    np.testing.assert_array_equal(blended(side, batch), blended(10_000, 1))


def test_blending_equal_chips_shows_no_seam():
    blend = Blend(1, Rectangle(0, 0, 100, 80), 32)
    for r in offsets(100, 32):
        for c in offsets(80, 32):
            blend.add([(r, c)], torch.full((1, 1, 32, 32), 0.7))
    np.testing.assert_allclose(blend.result(), 0.7, atol=1e-6)


@given(st.sets(st.tuples(st.integers(0, 29), st.integers(0, 40)), min_size=1, max_size=6), st.integers(1, 9))
@settings(max_examples=20)
def test_in_an_area_a_pixel_is_the_weighted_mean_of_its_chips(wanted, batch):
    chip, height, width = 8, 30, 41
    places = [
        (r, c)
        for r in offsets(height, chip)
        for c in offsets(width, chip)
        if any(r <= row < r + chip and c <= column < c + chip for row, column in wanted)
    ]
    values = torch.rand(len(places), 2, chip, chip, generator=torch.Generator().manual_seed(1))
    blend = Blend(2, Rectangle(0, 0, height, width), chip)
    for first in range(0, len(places), batch):
        blend.add(places[first : first + batch], values[first : first + batch])
    result, side = blend.result(), side_weights(chip)
    for row, column in wanted:
        total, weights = torch.zeros(2), torch.zeros(())
        for (r, c), one in zip(places, values, strict=True):
            if r <= row < r + chip and c <= column < c + chip:
                weight = side[row - r] * side[column - c]
                total, weights = total + weight * one[:, row - r, column - c], weights + weight
        torch.testing.assert_close(result[:, row, column], total / weights)
