# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of maps of many blocks share."""

import hashlib

import rasterio

SIDE = 300  # four blocks of 256 pixels and less
# Blocks of a few chips, so that a small scene has many.
SMALL = "from timo.inference import sizing; sizing.LEAST_CHIPS = 1; sizing.BEST_SIDE = sizing.TILE; "


def pixels(path):
    """All bands of a raster."""
    with rasterio.open(path) as source:
        return source.read()


def same(one, other):
    """Whether two maps' class bands are the same to the last byte."""
    return hashlib.sha256(pixels(one)).digest() == hashlib.sha256(pixels(other)).digest()
