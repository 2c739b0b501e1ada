# SPDX-License-Identifier: GPL-3.0-or-later
"""The points of a curve: appended by the thread that hears of them, drawn by the interface's."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Iterable, Iterator, Sequence, Tuple, Union, overload

Point = Tuple[int, float]
Points = Sequence[Point]


class CurvePoints(Sequence[Point]):
    """Points (step, value) by step, as they were when it was made; it costs nothing to make.

    Tens of thousands of tuples, in a new one at each change, would keep Python looking for garbage, which
    holds up all threads. It does not look at numbers in an array.
    """

    __slots__ = ("_count", "_steps", "_values")

    def __init__(self, steps: array[int], values: array[float], count: int) -> None:
        self._steps, self._values, self._count = steps, values, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Point]:
        return zip(self._steps[: self._count], self._values[: self._count])

    @overload
    def __getitem__(self, place: int) -> Point: ...

    @overload
    def __getitem__(self, place: slice) -> CurvePoints: ...

    def __getitem__(self, place: Union[int, slice]) -> Union[Point, CurvePoints]:
        if isinstance(place, slice):
            steps = self._steps[: self._count][place]
            return CurvePoints(steps, self._values[: self._count][place], len(steps))
        number = range(self._count)[place]
        return self._steps[number], self._values[number]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (CurvePoints, tuple)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"CurvePoints({list(self)})"


class Curve:
    """A curve that grows."""

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self._steps, self._values = array("q"), array("d")
        for step, value in points:
            self._steps.append(step)
            self._values.append(value)

    def add(self, step: int, value: float) -> None:
        """Append a point, in place of those from its step on: a job goes on from a checkpoint."""
        kept = bisect_left(self._steps, step)
        if kept < len(self._steps):  # what shows the old ones keeps them
            self._steps, self._values = self._steps[:kept], self._values[:kept]
        self._steps.append(step)
        self._values.append(value)

    def points(self) -> CurvePoints:
        """The points that there are now."""
        return CurvePoints(self._steps, self._values, len(self._steps))
