# SPDX-License-Identifier: GPL-3.0-or-later
"""Which worker of a cluster does which block."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from timo.inference.chips import Rectangle


class Assignments:
    """Blocks for workers that come and go. Each is told its next block, too, to read it meanwhile.

    Args:
        blocks: To be done, best in this order.
    """

    def __init__(self, blocks: Iterable[Rectangle]) -> None:
        self._left = deque(blocks)
        self._doing: dict[int, Rectangle] = {}  # by worker
        self._next: dict[int, Rectangle] = {}

    @property
    def finished(self) -> bool:
        """Whether all are done."""
        return not (self._left or self._doing or self._next)

    def take(self, worker: int) -> tuple[Rectangle, Rectangle | None] | None:
        """A block for a worker that does none, and the one that it will most likely get next.

        None where nothing is to be done. Where no other is left, a block is taken that waits for another
        worker: nobody is idle while there is work.
        """
        if worker in self._next:
            block = self._next.pop(worker)
        elif self._left:
            block = self._left.popleft()
        elif self._next:
            block = self._next.pop(next(iter(self._next)))
        else:
            return None
        self._doing[worker] = block
        if self._left:
            self._next[worker] = self._left.popleft()
        return block, self._next.get(worker)

    def done(self, worker: int) -> Rectangle:
        """The block that the worker has done."""
        return self._doing.pop(worker)

    def lost(self, worker: int) -> None:
        """The worker is gone: its blocks are for others."""
        for of in (self._next, self._doing):
            if worker in of:
                self._left.appendleft(of.pop(worker))
