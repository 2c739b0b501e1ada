# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a map is as sure of itself as it is right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10


class Reliability:
    """Gathers confidences, and tells how often the map is right at each.

    Args:
        bins: Of equal width, from 0 to 1.
    """

    def __init__(self, bins: int = BINS) -> None:
        self._pixels = np.zeros(bins, np.int64)
        self._confidence = np.zeros(bins)
        self._right = np.zeros(bins, np.int64)

    def update(self, confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> None:
        """Add the probability of the mapped class (0 to 1), and whether it is the right one."""
        bins = len(self._pixels)
        which = np.clip((confidence.ravel() * bins).astype(np.int64), 0, bins - 1)
        self._pixels += np.bincount(which, minlength=bins)
        self._confidence += np.bincount(which, confidence.ravel().astype(np.float64), bins)
        self._right += np.bincount(which[right.ravel()], minlength=bins)

    def figures(self) -> dict[str, Any]:
        """The diagram's bins, mean confidence, and expected calibration error (None without pixels).

        The error is the mean over pixels of the distance between a bin's mean confidence and its share of
        right pixels.
        """
        bins, total = len(self._pixels), int(self._pixels.sum())
        rows: list[dict[str, Any]] = []
        for k in range(bins):
            pixels = int(self._pixels[k])
            rows.append(
                {
                    "from": k / bins,
                    "to": (k + 1) / bins,
                    "pixels": pixels,
                    "confidence": float(self._confidence[k]) / pixels if pixels else None,
                    "accuracy": int(self._right[k]) / pixels if pixels else None,
                }
            )
        apart = float(np.abs(self._confidence - self._right).sum())
        return {
            "expected_calibration_error": apart / total if total else None,
            "mean_confidence": float(self._confidence.sum()) / total if total else None,
            "bins": rows,
        }
