# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from timo.inference.blending import Blend
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


@given(st.integers(1, 150), st.integers(1, 150), st.just(32), st.integers(10, 150))
@settings(max_examples=20)
def test_blending_gives_the_same_in_any_block(height, width, chip, side):
    random = torch.Generator().manual_seed(0)
    chips = {
        (r, c): torch.rand(2, chip, chip, generator=random)
        for r in offsets(height, chip)
        for c in offsets(width, chip)
    }

    def blended(side):
        result = np.zeros((2, height, width), np.float32)
        for block in blocks(height, width, side):
            blend = Blend(2, block, chip)
            for r in chips_of(block.row, block.row + block.height, height, chip):
                for c in chips_of(block.column, block.column + block.width, width, chip):
                    blend.add(r, c, chips[r, c])
            result[:, block.rows, block.columns] = blend.result()
        return result

    np.testing.assert_allclose(blended(side), blended(10_000), atol=1e-5)


def test_blending_equal_chips_shows_no_seam():
    blend = Blend(1, Rectangle(0, 0, 100, 80), 32)
    for r in offsets(100, 32):
        for c in offsets(80, 32):
            blend.add(r, c, torch.full((1, 32, 32), 0.7))
    np.testing.assert_allclose(blend.result(), 0.7, atol=1e-6)
