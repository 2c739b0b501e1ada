# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up label maps, and what every split of them keeps to."""

import numpy as np
from affine import Affine
from hypothesis import assume
from hypothesis import strategies as st

from timo.series.grid import Grid
from timo.series.labels import NOT_LABELLED, ClassInfo, ClassScheme, Labels


def labels_of(indices, crs="EPSG:32631"):
    """Labels with a given (H, W) map of class indices."""
    indices = np.asarray(indices, np.uint8)
    used = np.unique(indices[indices != NOT_LABELLED])
    classes = int(used.max()) + 1 if len(used) else 0
    counts = np.bincount(indices.ravel(), minlength=256)[:classes]
    scheme = ClassScheme(tuple(ClassInfo(k + 1, f"class {k + 1}", "#112233") for k in range(classes)))
    transform = Affine(10, 0, 500_000, 0, -10, 5_600_000) if crs else Affine.identity()
    grid = Grid(crs, transform, indices.shape[1], indices.shape[0])
    return Labels(indices, scheme, counts, 0, (), grid, "labels.gpkg")


def fields(random, side=100, classes=4, count=40):
    """Square fields, their class by chance."""
    indices = np.full((side, side), NOT_LABELLED, np.uint8)
    for number in range(count):
        row, col = random.integers(0, side - 6, 2)
        indices[row : row + 6, col : col + 6] = number % classes
    return indices


@st.composite
def scenes(draw):
    """Full, sparse and clustered label maps of small scenes, with two to five classes; a chip, a seed."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(3, 60), st.integers(3, 60)))
    classes = draw(st.integers(2, 5))
    kind = draw(st.sampled_from(["full", "fields", "points"]))
    cells = random.integers(0, classes, (12, 12))
    indices = cells.repeat(5, 0).repeat(5, 1)[: shape[0], : shape[1]].astype(np.uint8)
    if kind == "fields":
        used = random.random((10, 10)).repeat(6, 0).repeat(6, 1)[: shape[0], : shape[1]] < 0.4
        indices[~used] = NOT_LABELLED
    elif kind == "points":
        indices[random.random(shape) < 0.97] = NOT_LABELLED
    present = np.unique(indices[indices != NOT_LABELLED])
    assume(len(present) >= 2)
    rank = np.full(256, NOT_LABELLED, np.uint8)
    rank[present] = np.arange(len(present))
    return labels_of(rank[indices]), draw(st.sampled_from([8, 16, 32, 64])), draw(st.integers(0, 99))


def inside(mask, window, chip):
    """The part of a mask that a window holds, which may reach beyond it."""
    row, col = (int(start) for start in window)
    return mask[max(row, 0) : max(row + chip, 0), max(col, 0) : max(col + chip, 0)]


def covered(mask, windows, chip):
    """Where a mask's pixels lie in one of the windows."""
    seen = np.zeros_like(mask)
    for window in windows:
        inside(seen, window, chip)[...] = True
    return seen


def assert_apart(split):
    """No chip of a part holds a label of another, and a part's windows and tiles hold all its labels."""
    used = np.zeros(split.labels.map.shape, np.int64)
    for part in split.parts:
        own = split.mask(part)
        used += own
        other = np.logical_or.reduce([split.mask(name) for name in split.parts if name != part])
        drawn = split.sample(part, 20, np.random.default_rng(1))
        for windows in (split.windows(part), split.tiles(part), drawn):
            for window in windows:
                assert not inside(other, window, split.chip).any()
                assert inside(own, window, split.chip).any()
        assert covered(own, split.windows(part), split.chip)[own].all()
        assert covered(own, split.tiles(part), split.chip)[own].all()
    assert used.max() <= 1
    assert (split.labels.map[used > 0] != NOT_LABELLED).all()
    counts = sum(split.counts(part) for part in split.parts)
    np.testing.assert_array_equal(counts + split.lost, split.labels.counts)
