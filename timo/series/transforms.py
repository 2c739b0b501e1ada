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


@dataclass(frozen=True)
class Augmentation:
    """Changes to a chip's values and dates that leave its labels true, as often and as large as given.

    Values are standardised: 1 is a band's standard deviation. Nothing is changed by default.

    Attributes:
        gain: Standard deviation of a factor for each band, around 1: another sun, another atmosphere.
        offset: Standard deviation of what is added to each band.
        date_offset: Standard deviation of what is added to each band of each date: haze, and its correction.
        noise: Standard deviation of what is added to each value.
        drop_dates: Chance of each date to be left out; two at least stay, or all where there are fewer.
        shift_days: Greatest number of days by which all dates of a chip are moved together.
        gaps: Chance of each date to have a cloud: a blob that takes its values from the date before or after.
    """

    gain: float = 0.0
    offset: float = 0.0
    date_offset: float = 0.0
    noise: float = 0.0
    drop_dates: float = 0.0
    shift_days: int = 0
    gaps: float = 0.0

    def choose_dates(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of the dates that stay, rising."""
        kept = random.random(count) >= self.drop_dates
        if kept.sum() < min(2, count):
            kept[random.choice(count, min(2, count), replace=False)] = True
        return np.flatnonzero(kept)

    def apply(
        self, frames: NDArray[np.float32], dates: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Frames (T, C, H, W) and their dates (T,), changed; the arguments stay as they are.

        Dates are left out by ``choose_dates`` alone: what belongs to them must go too.
        """
        T, C, H, W = frames.shape

        def normal(spread: float, *shape: int) -> NDArray[np.float32]:
            return random.standard_normal(shape, np.float32) * np.float32(spread)

        if self.gaps:
            frames = self._clouded(frames, random)
        if self.gain:
            frames = frames * (1 + normal(self.gain, 1, C, 1, 1))
        if self.offset:
            frames = frames + normal(self.offset, 1, C, 1, 1)
        if self.date_offset:
            frames = frames + normal(self.date_offset, T, C, 1, 1)
        if self.noise:
            frames = frames + normal(self.noise, T, C, H, W)
        if self.shift_days:
            dates = dates + int(random.integers(-self.shift_days, self.shift_days + 1))
        return np.ascontiguousarray(frames), dates

    def _clouded(self, frames: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        T, _, H, W = frames.shape
        if T < 2:
            return frames
        changed = frames.copy()
        rows, columns = np.arange(H)[:, None], np.arange(W)[None]
        for t in np.flatnonzero(random.random(T) < self.gaps).tolist():
            center, radius = random.random(2) * (H, W), random.uniform(0.1, 0.6) * max(H, W)
            cloud = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2
            changed[t][:, cloud] = frames[t - 1 if t else 1][:, cloud]
        return changed
