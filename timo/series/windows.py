# SPDX-License-Identifier: GPL-3.0-or-later
"""Where chips may lie so that they hold labels of one part and none of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_OVERHANGS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of a chip; tried one after another


def cell_side(shape: tuple[int, int], chip: int, most: int) -> int:
    """Side in pixels of the cells that windows are aligned to: a power of two that divides the chip.

    Below ``most`` pixels it is 1, so that windows may lie anywhere; larger rasters get coarser cells, but at
    least four a chip.
    """
    side = 1
    while -(-shape[0] // side) * -(-shape[1] // side) > most and chip % (side * 2) == 0 and chip >= side * 8:
        side *= 2
    return side


def any_in_cells(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """(H, W) to cells of ``side`` x ``side`` pixels: whether any pixel is set."""
    if side == 1:
        return mask
    rows, cols = -(-mask.shape[0] // side), -(-mask.shape[1] // side)
    padded = np.zeros((rows * side, cols * side), np.bool_)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(padded.reshape(rows, side, cols, side).any(axis=(1, 3)))


def pixels_of_cells(cells: NDArray[np.bool_], side: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Cells back to (H, W) pixels."""
    if side == 1:
        return cells
    return np.asarray(cells.repeat(side, 0).repeat(side, 1)[: shape[0], : shape[1]])


def box_sums(mask: NDArray[np.bool_], side: int) -> NDArray[np.int32]:
    """Set elements in every ``side`` x ``side`` box that lies in the mask: (H - side + 1, W - side + 1)."""
    table = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int32)
    np.cumsum(np.cumsum(mask, 0, dtype=np.int32), 1, out=table[1:, 1:])
    return np.asarray(
        table[side:, side:] - table[:-side, side:] - table[side:, :-side] + table[:-side, :-side], np.int32
    )


@dataclass
class ChipPlaces:
    """The windows that may be drawn for one part of a split.

    A window holds a labelled pixel of the part and none of another. It lies in the grid where it can;
    beyond its edges reach only windows that hold a labelled pixel which no window within the grid holds, and
    no farther than that needs.

    Args:
        own: Labelled cells of the part.
        other: Labelled cells of the other parts.
        chip: Side of a chip, in cells.
    """

    own: NDArray[np.bool_]
    other: NDArray[np.bool_]
    chip: int

    def __post_init__(self) -> None:
        # Cells beyond the edges, so that windows may start left of and above the grid.
        self.margin = self.chip - 1
        own = np.pad(self.own, self.margin)
        allowed = (box_sums(own, self.chip) > 0) & (box_sums(np.pad(self.other, self.margin), self.chip) == 0)
        rows, cols = (_overhang(size, self.chip) for size in self.own.shape)
        beyond = np.maximum(rows[:, None], cols[None, :])
        self.allowed = np.zeros_like(allowed)
        missing = own
        for share in _OVERHANGS:
            if not missing.any():
                break
            new = allowed & ~self.allowed & (beyond <= share * self.margin)
            if share:
                new &= box_sums(missing, self.chip) > 0
            self.allowed |= new
            missing = own & ~self._covered()
        self.padded = own & ~missing
        """Own cells that some window holds, with the margin around them."""

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Own cells that some window holds; the others are lost to the buffer."""
        margin = self.margin
        rows, cols = self.own.shape
        return self.padded[margin : margin + rows, margin : margin + cols]

    def offsets(self) -> NDArray[np.int32]:
        """(N, 2) rows and columns of all windows' first cells; negative beyond the grid."""
        return np.argwhere(self.allowed).astype(np.int32) - np.int32(self.margin)

    def tiles(self) -> NDArray[np.int32]:
        """(N, 2) first cells of a small set of windows that holds every covered cell; always the same."""
        left = self.padded.copy()
        found = []
        position = 0
        flat = left.reshape(-1)
        while True:
            step = int(flat[position:].argmax()) if position < flat.size else 0
            if position >= flat.size or not flat[position + step]:
                break
            position += step
            row, col = divmod(position, left.shape[1])
            top, first, gain = self._around(row, col, left)
            best = int(gain.argmax())
            place = top + best // gain.shape[1], first + best % gain.shape[1]
            left[place[0] : place[0] + self.chip, place[1] : place[1] + self.chip] = False
            found.append(place)
        return np.array(found, np.int32).reshape(-1, 2) - np.int32(self.margin)

    def cover(self, most: int | None, random: np.random.Generator) -> list[tuple[int, int]]:
        """Windows drawn at random until they hold every covered cell, at most ``most`` of them."""
        left = self.padded.copy()
        flat = left.reshape(-1)
        order = random.permutation(np.flatnonzero(flat))
        found: list[tuple[int, int]] = []
        for first in range(0, len(order), 4096):
            part = order[first : first + 4096]
            while True:
                part = part[flat[part]]
                if not len(part) or (most is not None and len(found) >= most):
                    break
                row, col = divmod(int(part[0]), left.shape[1])
                top, start, gain = self._around(row, col, left)
                # Nearly the window with the most new cells: another one at each draw.
                best = int((gain * random.uniform(0.6, 1.0, gain.shape)).argmax())
                place = top + best // gain.shape[1], start + best % gain.shape[1]
                left[place[0] : place[0] + self.chip, place[1] : place[1] + self.chip] = False
                found.append((place[0] - self.margin, place[1] - self.margin))
        return found

    def draw(self, row: int, col: int, random: np.random.Generator) -> tuple[int, int]:
        """The first cell of any window that holds a covered cell, all equally likely."""
        row, col = row + self.margin, col + self.margin
        top, first = max(row - self.margin, 0), max(col - self.margin, 0)
        places = np.argwhere(self.allowed[top : row + 1, first : col + 1])
        place = places[random.integers(len(places))]
        return int(place[0]) + top - self.margin, int(place[1]) + first - self.margin

    def _covered(self) -> NDArray[np.bool_]:
        return box_sums(np.pad(self.allowed, self.margin), self.chip) > 0

    def _around(self, row: int, col: int, left: NDArray[np.bool_]) -> tuple[int, int, NDArray[np.int32]]:
        """The first place whose window may hold a (padded) cell, and the cells left that each place gains."""
        top, first = max(row - self.margin, 0), max(col - self.margin, 0)
        allowed = self.allowed[top : row + 1, first : col + 1]
        seen = left[
            top : top + allowed.shape[0] + self.margin, first : first + allowed.shape[1] + self.margin
        ]
        return top, first, np.where(allowed, box_sums(seen, self.chip), np.int32(0))


def others_of(parts: Sequence[NDArray[np.bool_]], index: int) -> NDArray[np.bool_]:
    """Cells of all parts but one."""
    return np.asarray(np.logical_or.reduce([part for i, part in enumerate(parts) if i != index]))


def covered_parts(parts: Sequence[NDArray[np.bool_]], chip: int) -> list[NDArray[np.bool_]]:
    """Of each part's labelled cells those which a chip holds that has none of another part.

    Args:
        parts: Labelled cells of each part, at least two.
        chip: Side of a chip, in cells.
    """
    return [ChipPlaces(own, others_of(parts, i), chip).covered for i, own in enumerate(parts)]


def chip_windows(own: NDArray[np.bool_], other: NDArray[np.bool_], chip: int) -> NDArray[np.int32]:
    """(N, 2) first rows and columns of all ``chip`` x ``chip`` windows for one part.

    Args:
        own: (H, W) labelled pixels of the part.
        other: (H, W) labelled pixels of the other part: no window holds one.
        chip: Side of a chip, in pixels.
    """
    return ChipPlaces(own, other, chip).offsets()


def _overhang(size: int, chip: int) -> NDArray[np.int32]:
    """How far windows reach beyond an axis of ``size`` cells, by their place from ``1 - chip`` on.

    A chip larger than the axis reaches beyond it in any case; only what is avoidable counts.
    """
    first = np.arange(1 - chip, size)
    beyond = np.maximum(-first, 0) + np.maximum(first + chip - size, 0)
    return np.asarray(beyond - max(chip - size, 0), np.int32)
