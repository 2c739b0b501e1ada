# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws one panel of curves: its axes, its lines, and a mark at an epoch; in the theme's colours."""

from __future__ import annotations

from bisect import bisect_left
from typing import List, Mapping, NamedTuple, Optional, Sequence

from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF

from ..backend.points import Points
from .curve_scale import thin, ticks, value_ticks


class Line(NamedTuple):
    """One curve: the metric's name, what the legend says, its colour, whether it is dashed, and its scale."""

    metric: str
    title: str
    color: str
    dashed: bool
    score: bool


class Panel(NamedTuple):
    """Where curves lie, the round numbers beside them, and the steps at its left and right edges."""

    plot: QRectF
    marks: Sequence[float]
    first: int
    last: int

    def x(self, step: float) -> float:
        """The pixel of a step."""
        return self.plot.left() + self.plot.width() * (step - self.first) / max(self.last - self.first, 1)

    def y(self, value: float) -> float:
        """The pixel of a value."""
        low, high = self.marks[0], self.marks[-1]
        share = (value - low) / ((high - low) or 1.0)
        return self.plot.bottom() - self.plot.height() * min(max(share, 0.0), 1.0)

    def step(self, x: float) -> int:
        """The step at a pixel."""
        share = (x - self.plot.left()) / max(self.plot.width(), 1.0)
        return round(self.first + min(max(share, 0.0), 1.0) * (self.last - self.first))


def make_panel(plot: QRectF, curves: Sequence[Points], last: int, height: float, *, score: bool) -> Panel:
    """A panel whose scale fits some curves.

    Args:
        plot: Where they lie.
        curves: Their points.
        last: The last step of the scale, which begins with 1.
        height: Of a line of text.
        score: Whether the values are shares of one.
    """
    most = max(1, min(4, int(plot.height() / (1.6 * height))))
    return Panel(plot, value_ticks(curves, most, score=score), 1, max(last, 2))


def value_at(points: Points, step: int) -> Optional[float]:
    """The value of a curve at a step; None where it has none."""
    number = bisect_left(points, (step, float("-inf")))
    return points[number][1] if number < len(points) and points[number][0] == step else None


def draw_grid(painter: QPainter, panel: Panel, text: QColor, *, epochs: bool, title: str) -> None:
    """The values' lines and numbers; below the last panel the epochs'."""
    metrics = QFontMetricsF(painter.font())
    faint, soft = QColor(text), QColor(text)
    faint.setAlphaF(0.15)
    soft.setAlphaF(0.7)
    plot, height = panel.plot, metrics.height()
    for mark in panel.marks:
        y = panel.y(mark)
        painter.setPen(faint)
        painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
        painter.setPen(soft)
        box = QRectF(0, y - height / 2, plot.left() - 5, height)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{mark:.5g}")
    if not epochs:
        return
    most = max(1, int(plot.width() / (2.2 * metrics.horizontalAdvance("0000"))))
    word = metrics.horizontalAdvance(title) + 10 if title else -1.0
    for mark in [1.0, *ticks(1, panel.last, most)]:
        step = round(mark)
        if not panel.first <= step <= panel.last or step != mark:
            continue
        if step > 1 and panel.x(step) - panel.x(1) < 3 * metrics.horizontalAdvance("0"):
            continue
        painter.setPen(faint)
        painter.drawLine(QPointF(panel.x(step), plot.bottom()), QPointF(panel.x(step), plot.bottom() + 3))
        number = str(step)
        wide = metrics.horizontalAdvance(number)
        left = min(panel.x(step) - wide / 2, plot.right() - wide)
        painter.setPen(soft)
        if left + wide < plot.right() - word or step == panel.last == 2:
            painter.drawText(QPointF(left, plot.bottom() + 4 + metrics.ascent()), number)
    painter.setPen(soft)
    painter.drawText(
        QRectF(plot.left(), plot.bottom() + 4, plot.width(), height),
        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop,
        title,
    )


def draw_lines(painter: QPainter, panel: Panel, lines: Sequence[Line], curves: Mapping[str, Points]) -> None:
    """The curves, with no more points than pixels."""
    for line in lines:
        points = curves.get(line.metric, ())
        polygon = QPolygonF()
        for step, value in thin(points, int(panel.plot.width())):
            polygon.append(QPointF(panel.x(step), panel.y(value)))
        painter.setPen(pen(line))
        if len(points) == 1:
            draw_dot(painter, polygon[0], line)
        else:
            painter.drawPolyline(polygon)


def draw_dot(painter: QPainter, place: QPointF, line: Line) -> None:
    """A curve's point."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(line.color))
    painter.drawEllipse(place, 3.0, 3.0)
    painter.setBrush(Qt.BrushStyle.NoBrush)


def draw_mark(painter: QPainter, panels: Sequence[Panel], step: int, color: QColor, *, dashed: bool) -> None:
    """A line through all panels at a step."""
    line = QPen(color, 1.0)
    if dashed:
        line.setStyle(Qt.PenStyle.DashLine)
    painter.setPen(line)
    for panel in panels:
        x = int(panel.x(step)) + 0.5  # one sharp column of pixels
        painter.drawLine(QPointF(x, panel.plot.top()), QPointF(x, panel.plot.bottom()))


def pen(line: Line) -> QPen:
    """The pen of a curve."""
    drawn = QPen(QColor(line.color), 1.8)
    if line.dashed:
        drawn.setStyle(Qt.PenStyle.DashLine)
    return drawn


class Entry(NamedTuple):
    """A line of the legend, and the value beside it."""

    line: Line
    text: str


def legend_rows(entries: Sequence[Entry], metrics: QFontMetricsF, width: float) -> List[List[Entry]]:
    """Legend entries in as many rows as the width asks for."""
    rows: List[List[Entry]] = [[]]
    x = 0.0
    for entry in entries:
        needed = 26 + metrics.horizontalAdvance(entry.text) + 12
        if rows[-1] and x + needed > width:
            rows.append([])
            x = 0.0
        rows[-1].append(entry)
        x += needed
    return rows


def fits(title: str, row: Sequence[Entry], metrics: QFontMetricsF, width: float) -> bool:
    """Whether there is room for a title to the right of a legend's row."""
    used = sum(26 + metrics.horizontalAdvance(entry.text) + 12 for entry in row)
    return used + metrics.horizontalAdvance(title) <= width


def draw_legend(
    painter: QPainter, rows: Sequence[Sequence[Entry]], left: float, top: float, text: QColor
) -> float:
    """The legend; where it ends."""
    metrics = QFontMetricsF(painter.font())
    for number, row in enumerate(rows):
        middle, x = top + metrics.height() * (number + 0.5), left
        for entry in row:
            painter.setPen(pen(entry.line))
            painter.drawLine(QPointF(x, middle), QPointF(x + 20, middle))
            painter.setPen(text)
            painter.drawText(QPointF(x + 26, middle + metrics.ascent() / 2 - 1), entry.text)
            x += 26 + metrics.horizontalAdvance(entry.text) + 12
    return top + metrics.height() * len(rows)
