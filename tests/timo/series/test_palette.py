# SPDX-License-Identifier: GPL-3.0-or-later
import re

import numpy as np

from timo.series.palette import palette


def channels(color):
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])


def test_every_class_has_a_colour_of_its_own():
    colors = palette(254)
    assert len(set(colors)) == 254
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors)


def test_colours_do_not_hang_on_how_many_there_are():
    assert palette(5) == palette(30)[:5]


def test_the_first_twenty_four_are_far_apart_and_neither_black_nor_white():
    colors = [channels(color) for color in palette(24)]
    for i, one in enumerate(colors):
        assert one.max() > 60
        assert one.min() < 235
        for other in colors[:i]:
            assert np.abs(one - other).max() >= 40
