# SPDX-License-Identifier: GPL-3.0-or-later
"""What a masked autoencoder makes of what it can't see, on a few chips, as a section of its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from timo.report import figures as plots
from timo.report.page import Html, image, paragraph, section
from timo.report.words import joined, plural

MOST_DATES = 3
"""Of a chip, that are shown."""
COLORS = ("red", "green", "blue")


@dataclass(frozen=True)
class Example:
    """A chip, and what a model filled in.

    Attributes:
        place: Its place's name.
        bands: (C,) names of the bands, by which those that are shown are chosen.
        dates: (T,) as they are to be read.
        there: (T, C, H, W) standardised values.
        seen: (T, H, W) bool, what of them the model saw.
        filled: (T, C, H, W) what it makes of all of them.
        loss: Mean squared error of the hidden pixels of all dates and bands.
    """

    place: str
    bands: Sequence[str]
    dates: Sequence[str]
    there: NDArray[np.float32]
    seen: NDArray[np.bool_]
    filled: NDArray[np.float32]
    loss: float


def reconstruction_section(examples: Sequence[Example], *, hidden: float, loss: float) -> Html:
    """Pictures of the examples, and what they show; nothing where there is no example.

    Args:
        examples: A few.
        hidden: Share of the units that the model doesn't see, 0 to 1.
        loss: Mean over all chips that judged it.
    """
    if not examples:
        return Html("")
    about = (
        f"In pre-training {hidden * 100:.0f} % of every chip are hidden, in squares, and the model fills "
        f"them in from the rest and from the other dates. Its mean loss is {loss:.2f}: the squared error of "
        "what was hidden, in units of each band's variance. Always telling a band's mean would have a loss "
        "of 1, telling all rightly one of 0."
    )
    return section("What it fills in", paragraph(about), *map(_shown, examples))


def shown_bands(bands: Sequence[str]) -> list[int]:
    """Numbers of the bands that are shown as red, green and blue, or of the one that is shown as grey."""
    if all(color in bands for color in COLORS):
        return [bands.index(color) for color in COLORS]
    return list(range(3)) if len(bands) >= 3 else [0]


def _shown(example: Example) -> Html:
    bands = shown_bands(example.bands)
    T = len(example.dates)
    dates = np.unique(np.linspace(0, T - 1, min(T, MOST_DATES)).round().astype(int)).tolist()
    uri = plots.reconstruction(
        example.there[dates][:, bands],
        example.seen[dates],
        example.filled[dates][:, bands],
        [example.dates[t] for t in dates],
    )
    names = joined([example.bands[i] for i in bands])
    if tuple(example.bands[i] for i in bands) == COLORS:
        how = "in natural colours"
    else:
        how = f"with {names} as {'red, green and blue' if len(bands) == 3 else 'grey'}"
    which = f"{len(dates)} of {T} dates" if len(dates) < T else plural(T, "date", "dates")
    caption = (
        f"{example.place}: {which}, {how}. Above what is there; in the middle what the model saw of it, the "
        "rest grey; below what it filled in beside what it saw. "
        f"Loss of this chip: {example.loss:.2f}."
    )
    return image(uri, f"Reconstruction of a chip of {example.place}", caption)
