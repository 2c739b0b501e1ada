# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels of a series, and how holes in them are filled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass
class Frames:
    """All dates of a window.

    Attributes:
        values: (T, C, H, W) float32 in physical units; 0 where invalid.
        band_valid: (T, C, H, W) bool; False where a source has nodata, NaN or a mask, or doesn't reach.
        days: (T,) int64 days since 1970-01-01, rising.
    """

    values: NDArray[np.float32]
    band_valid: NDArray[np.bool_]
    days: NDArray[np.int64]

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """(T, H, W) bool: valid in all bands."""
        return np.asarray(self.band_valid.all(axis=1))

    def filled(self, fill: float = 0.0) -> NDArray[np.float32]:
        """``values`` with the invalid ones filled in time: see ``fill_in_time``."""
        return fill_in_time(self.values, self.band_valid, self.days, fill)


def fill_in_time(
    values: NDArray[np.float32],
    band_valid: NDArray[np.bool_],
    days: NDArray[np.int64],
    fill: float = 0.0,
) -> NDArray[np.float32]:
    """Fill invalid values from the same pixel and band at other dates.

    Linear in real time between the nearest valid dates before and after; before the first and after the last
    valid date that date's value. What is valid stays as it is.

    Args:
        values: (T, ...) float32.
        band_valid: Of the same shape; what counts.
        days: (T,) days, strictly rising.
        fill: What a pixel and band becomes that is valid at no date.

    Returns:
        A new array of the shape of ``values``.
    """
    steps = len(days)
    series = np.where(band_valid, values, np.float32(fill)).reshape(steps, -1)
    valid = np.ascontiguousarray(band_valid).reshape(steps, -1)
    gaps = [t for t in range(steps) if not valid[t].all()]
    if not gaps or not valid.any():
        return series.reshape(values.shape)
    # Index of the valid date at or before, at or after: -1 and `steps` where there is none.
    index = np.arange(steps, dtype=np.int32)[:, None]
    before = np.maximum.accumulate(np.where(valid, index, np.int32(-1)), axis=0)
    after = np.minimum.accumulate(np.where(valid, index, np.int32(steps))[::-1], axis=0)[::-1]
    for t in gaps:
        columns = np.flatnonzero(~valid[t])
        previous, following = before[t, columns], after[t, columns]
        known = (previous >= 0) | (following < steps)
        columns, previous, following = columns[known], previous[known], following[known]
        previous, following = (
            np.where(previous < 0, following, previous),
            np.where(following == steps, previous, following),
        )
        span = days[following] - days[previous]
        weight = np.where(span > 0, (days[t] - days[previous]) / np.maximum(span, 1), 0.0).astype(np.float32)
        series[t, columns] = series[previous, columns] * (1 - weight) + series[following, columns] * weight
    return series.reshape(values.shape)
