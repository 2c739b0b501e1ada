# SPDX-License-Identifier: GPL-3.0-or-later
"""Flips and quarter turns of a chip together with its labels: a satellite's view has no up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a square: mirrored left to right or not, then turned by quarters."""

    mirrored: bool
    quarters: int

    @classmethod
    def draw(cls, random: np.random.Generator) -> Orientation:
        """Any of the eight, equally likely."""
        number = int(random.integers(8))
        return cls(number >= 4, number % 4)

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array with its last two axes (H, W) mirrored and turned; contiguous, as torch needs it.

        Raises:
            ValueError: A quarter turn would change the shape, since H and W differ.
        """
        if self.quarters % 2 and array.shape[-1] != array.shape[-2]:
            raise ValueError(f"a quarter turn needs squares, not {array.shape[-2]} x {array.shape[-1]}")
        turned = np.flip(array, -1) if self.mirrored else array
        return np.ascontiguousarray(np.rot90(turned, self.quarters, axes=(-2, -1)))


def flip_and_rotate(
    frames: NDArray[Any], labels: NDArray[Any], random: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """One drawn orientation for both.

    Args:
        frames: (T, C, H, W), or any leading axes.
        labels: (H, W), or any leading axes; validity masks may be passed likewise.
        random: Where the draw comes from: the same state gives the same orientation.
    """
    orientation = Orientation.draw(random)
    return orientation.apply(frames), orientation.apply(labels)


def orientations() -> Iterator[Orientation]:
    """All eight, the unchanged one first."""
    for number in range(8):
        yield Orientation(number >= 4, number % 4)
