# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a bundle's description makes sense: a number that is wrong there would spoil every map unseen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from timo.series.words import counted

if TYPE_CHECKING:
    from timo.bundle import Card

CHIP_STEP = 32  # pixels: the network halves its input five times
ZOOMS = range(1, 5)


def faults(card: Card) -> Iterator[str]:
    """What can't be so, each as the end of a sentence that begins with the file."""
    network, bands, classes = card.architecture, card.bands, card.classes
    if card.chip <= 0 or card.chip % CHIP_STEP:
        yield f"has a chip of {card.chip} pixels, which is no multiple of {CHIP_STEP}"
    if network.zoom not in ZOOMS:
        yield f"has a zoom of {network.zoom}, which is not {ZOOMS[0]} to {ZOOMS[-1]}"
    if network.in_chans != len(bands) or not bands:
        yield f"describes {counted(len(bands), 'band', 'bands')}, and a network of {network.in_chans}"
    # A model without classes is told apart where it is used.
    if classes and network.num_classes != len(classes):
        yield f"describes {counted(len(classes), 'class', 'classes')}, and a network of {network.num_classes}"
    if twice := _twice([band.key for band in bands]):
        yield f"has the band '{twice}' twice"
    if twice := _twice([one.value for one in classes]):
        yield f"has the class value {twice} twice"
    if card.nodata in [one.value for one in classes]:
        yield f"has the value {card.nodata} for a class and for no data"
    for band in bands:
        yield from _of_numbers(f"the band '{band.name}'", mean=band.mean, offset=band.offset)
        yield from _of_numbers(f"the band '{band.name}'", above_0=True, std=band.std)
        if not math.isfinite(band.scale) or not band.scale:
            yield f"gives the band '{band.name}' a scale of {band.scale:g}"
    if len(card.ground_sample_distance) != 2:
        yield "doesn't give a pixel's width and height in ground_sample_distance"
    for size in card.ground_sample_distance:
        yield from _of_numbers("a pixel", above_0=True, size=size)
    if not 1 <= card.dates.minimum <= card.dates.count:
        yield f"has {card.dates.count} as the dates of training, and {card.dates.minimum} as the fewest"


def _of_numbers(what: str, *, above_0: bool = False, **numbers: float) -> Iterator[str]:
    for name, number in numbers.items():
        if not math.isfinite(number) or (above_0 and number <= 0):
            yield f"gives {what} a {name} of {number:g}"


def _twice(values: Sequence[str | int]) -> str:
    """The first value that stands there a second time; empty if there is none."""
    return next((str(value) for i, value in enumerate(values) if value in values[:i]), "")
