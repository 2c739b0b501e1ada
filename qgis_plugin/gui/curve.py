# SPDX-License-Identifier: GPL-3.0-or-later
"""The live curve of a training: loss on the left scale, validation score on the right."""

from __future__ import annotations

from typing import List, Mapping, NamedTuple, Sequence, Tuple

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ..backend.jobs import Points
from ..timing import slot


class Line(NamedTuple):
    """One curve: the metric's name, what the legend says, its colour, whether it is dashed, and its scale."""

    metric: str
    title: str
    color: str
    dashed: bool
    score: bool


LINES = (
    Line("train_loss", "Loss", "#d9822b", False, False),
    Line("val_loss", "Validation loss", "#d9822b", True, False),
    Line("val_miou", "Validation mean IoU", "#2b8ad9", False, True),
    Line("val_accuracy", "Validation accuracy", "#2b8ad9", True, True),
)


class Axes(NamedTuple):
    """Where the curves lie, the upper end of the loss scale (the score's is 1), and the last epoch."""

    plot: QRectF
    highest: float
    epochs: int


class CurveWidget(QWidget):
    """Draws the points it was given last; empty, it says what it waits for."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Loss and validation score by epoch")
        self._metrics: Mapping[str, Points] = {}
        self._epochs = 2

    def sizeHint(self) -> QSize:
        """As wide as there is room, and high enough to read."""
        return QSize(320, 180)

    def show_metrics(self, metrics: Mapping[str, Points], epochs: int) -> None:
        """Draw these curves.

        Args:
            metrics: Points (epoch, value) by the metric's name.
            epochs: The last epoch of the scale.
        """
        last = max((points[-1][0] for points in metrics.values() if points), default=1)
        self._metrics, self._epochs = metrics, max(epochs, last, 2)
        self.setAccessibleDescription(self._latest())
        self.update()

    def _latest(self) -> str:
        """The last value of each curve, in words, for screen readers."""
        drawn = [
            (line.title.lower(), self._metrics[line.metric]) for line in LINES if line.metric in self._metrics
        ]
        return ", ".join(f"{title} {points[-1][1]:.3f}" for title, points in drawn if points)

    @slot
    def paintEvent(self, _event: object) -> None:
        """Paint axes, curves and legend in the theme's colours."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(self.palette().ColorRole.WindowText)
        font = painter.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() * 0.85))
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        shown = [line for line in LINES if self._metrics.get(line.metric)]
        legend = _legend_rows(shown, metrics, self.width())
        top = metrics.height() * max(len(legend), 1) + 10
        losses = [value for line in shown if not line.score for _, value in self._metrics[line.metric]]
        axes = Axes(
            QRectF(38, top, self.width() - 38 - 34, self.height() - top - metrics.height() - 8),
            max(max(losses, default=1.0) * 1.05, 1e-6),
            self._epochs,
        )
        _draw_grid(painter, axes, text, metrics)
        if not shown:
            text.setAlphaF(0.6)
            painter.setPen(text)
            painter.drawText(
                axes.plot, Qt.AlignmentFlag.AlignCenter, "The curve begins after the first epoch."
            )
            return
        _draw_legend(painter, legend, metrics, text)
        for line in shown:
            _draw_line(painter, axes, line, self._metrics[line.metric])


def _legend_rows(
    lines: Sequence[Line], metrics: QFontMetricsF, width: float
) -> List[List[Tuple[float, Line]]]:
    """Legend entries with their left edge, in as many rows as the width asks for."""
    rows: List[List[Tuple[float, Line]]] = [[]]
    x = 4.0
    for line in lines:
        needed = 26 + metrics.horizontalAdvance(line.title) + 12
        if rows[-1] and x + needed > width:
            rows.append([])
            x = 4.0
        rows[-1].append((x, line))
        x += needed
    return rows


def _draw_legend(
    painter: QPainter, rows: List[List[Tuple[float, Line]]], metrics: QFontMetricsF, text: QColor
) -> None:
    for number, row in enumerate(rows):
        middle = 2 + metrics.height() * (number + 0.5)
        for x, line in row:
            painter.setPen(_pen(line))
            painter.drawLine(QPointF(x, middle), QPointF(x + 20, middle))
            painter.setPen(text)
            painter.drawText(QPointF(x + 26, middle + metrics.ascent() / 2 - 1), line.title)


def _draw_grid(painter: QPainter, axes: Axes, text: QColor, metrics: QFontMetricsF) -> None:
    plot, highest, epochs = axes
    faint, soft = QColor(text), QColor(text)
    faint.setAlphaF(0.15)
    soft.setAlphaF(0.7)
    for step in range(5):
        y = plot.bottom() - plot.height() * step / 4
        painter.setPen(faint)
        painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
        painter.setPen(soft)
        box = QRectF(0, y - 8, plot.left() - 4, 16)
        painter.drawText(
            box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{highest * step / 4:.2g}"
        )
        box = QRectF(plot.right() + 4, y - 8, 30, 16)
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, f"{step / 4:.2g}")
    for share, flag in (
        (0.0, Qt.AlignmentFlag.AlignLeft),
        (0.5, Qt.AlignmentFlag.AlignHCenter),
        (1.0, Qt.AlignmentFlag.AlignRight),
    ):
        epoch = round(1 + share * (epochs - 1))
        if share == 0.5 and epoch in (1, epochs):
            continue  # the same number twice
        title = f"Epoch {epoch}" if share == 0.0 else str(epoch)
        box = QRectF(plot.left(), plot.bottom() + 4, plot.width(), metrics.height())
        painter.drawText(box, flag | Qt.AlignmentFlag.AlignTop, title)


def _draw_line(painter: QPainter, axes: Axes, line: Line, points: Points) -> None:
    plot, highest, epochs = axes
    scale = 1.0 if line.score else highest
    every = max(1, len(points) // max(int(plot.width()), 1))  # no more points than pixels
    polygon = QPolygonF()
    for step, value in points[::every]:
        x = plot.left() + plot.width() * (step - 1) / (epochs - 1)
        y = plot.bottom() - plot.height() * min(max(value / scale, 0.0), 1.0)
        polygon.append(QPointF(x, y))
    painter.setPen(_pen(line))
    if len(points) == 1:
        painter.setBrush(QColor(line.color))
        painter.drawEllipse(polygon[0], 2.5, 2.5)
        painter.setBrush(Qt.BrushStyle.NoBrush)
    else:
        painter.drawPolyline(polygon)


def _pen(line: Line) -> QPen:
    pen = QPen(QColor(line.color), 1.8)
    if line.dashed:
        pen.setStyle(Qt.PenStyle.DashLine)
    return pen
