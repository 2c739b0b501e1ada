# SPDX-License-Identifier: GPL-3.0-or-later
"""Class colours that stay apart, also for colour-blind eyes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Okabe and Ito, "Color Universal Design" (2008), without black: the first colours of every palette.
_FIRST = ("#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#f0e442", "#0072b2", "#d55e00")
_MOST = 254

# Linear RGB to cone responses of Björn Ottosson's Oklab, and cone responses to Oklab.
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# Machado, Oliveira and Fernandes (2009, doi 10.1109/TVCG.2009.113), severity 1, on linear RGB.
_PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
_DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)


def palette(count: int) -> list[str]:
    """The first ``count`` colours, "#rrggbb", always the same; at most 254.

    After a well-known set of seven, each is the one of a fixed lattice of colours that is farthest from all
    before it, for normal sight and for the two common kinds of colour blindness.
    """
    return list(_all_colors()[:count])


@lru_cache(maxsize=1)
def _all_colors() -> tuple[str, ...]:
    steps = np.linspace(0.08, 0.96, 10)
    lattice = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    lightness = _appearance(lattice)[:, 0]
    lattice = lattice[(lightness > 0.35) & (lightness < 0.92)]  # neither black nor white: these mean no data
    lattice = np.round(lattice * 255) / 255
    chosen = [np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for color in _FIRST]
    seen = _appearance(lattice)
    distance = np.full(len(lattice), np.inf)
    for color in chosen:
        distance = np.minimum(distance, _distance(seen, _appearance(color[None])))
    while len(chosen) < _MOST:
        best = int(distance.argmax())
        chosen.append(lattice[best])
        distance = np.minimum(distance, _distance(seen, seen[best : best + 1]))
    return tuple("#" + "".join(f"{round(part * 255):02x}" for part in color) for color in chosen)


def _appearance(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Oklab of (N, 3) sRGB for normal sight, protanopia and deuteranopia side by side: (N, 9)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = [linear, linear @ _PROTANOPIA.T, linear @ _DEUTERANOPIA.T]
    return np.concatenate([np.cbrt(np.clip(one, 0, 1) @ _TO_LMS.T) @ _TO_OKLAB.T for one in seen], axis=1)


def _distance(seen: NDArray[np.float64], one: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance for normal sight, and half as much weight for the worse of the colour-blind ones."""
    parts = np.linalg.norm((seen - one).reshape(len(seen), 3, 3), axis=2)
    return np.asarray(np.minimum(parts[:, 0], 1.5 * parts[:, 1:].min(axis=1)))
