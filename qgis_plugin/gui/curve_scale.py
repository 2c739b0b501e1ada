# SPDX-License-Identifier: GPL-3.0-or-later
"""Scales of a curve: round numbers along an axis, points thinned to pixels, the best epoch. No Qt."""

from __future__ import annotations

from math import ceil, floor, log10
from operator import itemgetter
from typing import List, Mapping, Optional, Sequence, Tuple

from ..backend.points import Points

_step, _value = itemgetter(0), itemgetter(1)


def ticks(low: float, high: float, most: int) -> List[float]:
    """Round numbers that enclose a range, at equal steps of 1, 2 or 5 times a power of ten.

    Args:
        low: Where the range begins.
        high: Where it ends.
        most: How many steps there may be between the first and the last.
    """
    if high <= low:
        low, high = (low - abs(low) * 0.1, low + abs(low) * 0.1) if low else (0.0, 1.0)
    rough = (high - low) / max(most, 1)
    power = 10.0 ** floor(log10(rough))
    for factor in (1, 2, 5, 10, 20):
        step = factor * power
        first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
        if last - first <= max(most, 1):
            break
    return [round(number * step, 12) for number in range(first, last + 1)]


def value_ticks(curves: Sequence[Points], most: int, *, score: bool) -> List[float]:
    """Ticks for the values of some curves.

    Args:
        curves: The points.
        most: As for ``ticks``.
        score: Whether the values are shares of one: the scale ends at 1 then.
    """
    values = [value for points in curves for value in map(_value, points)]
    if not values:
        return [0.0, 0.5, 1.0]
    low, high = min(values), max(values)
    if low >= 0 and low < 0.5 * high:
        low = 0.0
    if score:
        low, high = max(low, 0.0), min(max(high, low + 0.02), 1.0)
        low = min(low, 0.98)
    return [tick for tick in ticks(low, high, most) if not score or tick <= 1.0 + 1e-9]


def thin(points: Points, pixels: int) -> Points:
    """No more points than can be seen: of each pixel's points the first, lowest, highest and last.

    Args:
        points: (step, value), by step.
        pixels: The width that they are drawn on.
    """
    every = len(points) // max(pixels, 1)
    if every < 4:
        return points
    kept: List[Tuple[int, float]] = []
    for start in range(0, len(points), every):
        some = points[start : start + every]
        kept += sorted({some[0], min(some, key=_value), max(some, key=_value), some[-1]}, key=_step)
    return tuple(kept)


def best_epoch(metrics: Mapping[str, Points]) -> Optional[int]:
    """The epoch that a training keeps so far: of the best mean IoU, to a hundredth, that of the lowest loss.

    Returns:
        None where there are no scores, or only those of one epoch.
    """
    scores, losses = metrics.get("val_miou", ()), dict(metrics.get("val_loss", ()))
    if len(scores) > 1:
        return max(scores, key=lambda one: (round(one[1], 2), -losses.get(one[0], 0.0)))[0]
    return min(losses, key=lambda step: losses[step]) if not scores and len(losses) > 1 else None
