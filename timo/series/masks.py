# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers that tell clouds, shadows, snow and saturation: they decide what is valid, and are no bands.

What hides the ground is masked, snow too: it is a state of some days, that a map of crops, forest or floods
isn't about (as FORCE's default screening and openEO's SCL mask have it). Water never is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOWEST, _HIGHEST = -2, 256  # the numbers that hold all codes of all schemes, and one more at each end


@dataclass(frozen=True)
class Scheme:
    """How a mask's numbers are read.

    Attributes:
        title: What the layer is called.
        hides: What it masks, in words.
        clear: The codes under which the ground is seen; empty where bits tell.
        codes: All codes that the scheme knows.
        bits: A pixel is hidden if any of these bits is set.
        fields: (shift, ones, value) of bits that hide together.
        marks: It marks what is hidden and has nothing elsewhere; other masks tell of each pixel, and hide
            where they have nothing.
    """

    title: str
    hides: str
    clear: frozenset[int] = frozenset()
    codes: frozenset[int] = frozenset()
    bits: int = 0
    fields: tuple[tuple[int, int, int], ...] = ()
    marks: bool = False

    def is_clear(self, raw: NDArray[Any]) -> NDArray[np.bool_]:
        """Where the ground is seen; of the shape of ``raw``."""
        numbers = _whole(raw)
        if self.codes:
            return np.asarray(self._table[np.clip(numbers, _LOWEST, _HIGHEST) - _LOWEST, 0])
        clear = (numbers & self.bits) == 0
        for shift, ones, value in self.fields:
            clear &= ((numbers >> shift) & ones) != value
        return np.asarray(clear)

    def unknown(self, raw: NDArray[Any]) -> NDArray[np.int64]:
        """(N,) the numbers that are no code of this scheme; bits are all known."""
        numbers = _whole(raw).ravel()
        if not self.codes:
            return numbers[:0]
        return np.asarray(numbers[~self._table[np.clip(numbers, _LOWEST, _HIGHEST) - _LOWEST, 1]])

    @cached_property
    def _table(self) -> NDArray[np.bool_]:
        """(numbers from the lowest to the highest, 2): which are clear, which are codes."""
        table = np.zeros((_HIGHEST - _LOWEST + 1, 2), np.bool_)
        table[[code - _LOWEST for code in self.clear], 0] = True
        table[[code - _LOWEST for code in self.codes], 1] = True
        return table


def _whole(raw: NDArray[Any]) -> NDArray[np.int64]:
    if raw.dtype.kind == "f":
        raw = np.nan_to_num(raw, nan=0.0, posinf=0.0, neginf=0.0)
    return raw.astype(np.int64)


_ALL = "clouds, shadows, snow and saturated pixels"
SCHEMES: dict[str, Scheme] = {
    # ESA Sen2Cor: 0 none, 1 saturated, 2 dark, 3 shadow, 4 vegetation, 5 bare, 6 water, 7 unclassified,
    # 8 and 9 cloud, 10 cirrus, 11 snow.
    "scl": Scheme("SCL", _ALL, frozenset({2, 4, 5, 6, 7}), frozenset(range(12))),
    # Zhu and Woodcock's Fmask: 0 land, 1 water, 2 shadow, 3 snow, 4 cloud, 255 none.
    "fmask": Scheme("Fmask", "clouds, shadows and snow", frozenset({0, 1}), frozenset({0, 1, 2, 3, 4, 255})),
    # HLS 2.0: bit 1 cloud, 2 beside cloud or shadow, 3 shadow, 4 snow, 5 water, 6 and 7 aerosol; 255 none.
    "fmask_hls": Scheme("Fmask (HLS)", "clouds and what is beside them, shadows and snow", bits=0b11110),
    # USGS Landsat Collection 2: 0 fill, 1 dilated cloud, 2 cirrus, 3 cloud, 4 shadow, 5 snow.
    "qa_pixel": Scheme("QA_PIXEL", "clouds, shadows and snow", bits=0b111111),
    # USGS Landsat Collection 2: a bit for each saturated band, 9 a dropped pixel.
    "qa_radsat": Scheme("QA_RADSAT", "saturated pixels", bits=0b1011_1111_1111, marks=True),
    # USGS Landsat Collection 1 Level 2: 0 fill, 3 shadow, 4 snow, 5 cloud.
    "pixel_qa": Scheme("pixel_qa", "clouds, shadows and snow", bits=0b111001),
    # USGS Landsat Collection 1 Level 1: 0 fill, 4 cloud; high confidence of shadow, snow, cirrus.
    "bqa": Scheme("BQA", "clouds, shadows and snow", bits=0b10001, fields=((7, 3, 3), (9, 3, 3), (11, 3, 3))),
    # Sentinel Hub's s2cloudless: 0 clear, 1 cloud, 255 none.
    "clm": Scheme("CLM", "clouds", frozenset({0}), frozenset({0, 1, 255}), marks=True),
    # Earth Engine's Sentinel-2 QA60: bit 10 cloud, 11 cirrus.
    "qa60": Scheme("QA60", "clouds", bits=0b1100_0000_0000, marks=True),
    # MODIS MOD13: 0 good, 1 marginal, 2 snow, 3 cloud, -1 or 255 none.
    "reliability": Scheme(
        "pixel reliability", "clouds and snow", frozenset({0, 1}), frozenset({-1, 0, 1, 2, 3, 255})
    ),
    # MODIS MOD09: bits 0 and 1 cloudy (1) or mixed (2), 2 shadow, 12 snow.
    "state": Scheme(
        "state QA", "clouds, shadows and snow", bits=0b1_0000_0000_0100, fields=((0, 3, 1), (0, 3, 2))
    ),
}
