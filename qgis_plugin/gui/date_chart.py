# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves over dates, and shares as bars: painted, in the theme's colours."""

from __future__ import annotations

import datetime as dt
import math
from typing import List, Sequence, Tuple

from qgis.PyQt.QtCore import QPoint, QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QToolTip, QWidget

from ..compat import Ink, plain
from ..i18n import tr
from ..layers.place import Chance, Curve
from ..timing import slot

COLORS = {
    "blue": "#2b8ad9",
    "green": "#2f9e6e",
    "red": "#d9482b",
    "nir": "#9b59b6",
    "swir1": "#b9770e",
    "swir2": "#d9822b",
}
OTHERS = ("#c0397b", "#5b6ee1", "#7f8c8d", "#8e6e53", "#a0a020", "#16a085")


class DateChart(QWidget):
    """Draws the curves it was given last, with a legend; the pointer tells the values of a date.

    Args:
        name: Its object name.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._ink = Ink(self)
        self.setObjectName(name)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(tr("Curve of the series"))
        self._curves: Tuple[Curve, ...] = ()
        self._empty = ""

    def sizeHint(self) -> QSize:
        """High enough to read."""
        return QSize(420, 220)

    def minimumSizeHint(self) -> QSize:
        """As small as it can be read."""
        return QSize(260, 150)

    def show_curves(self, curves: Sequence[Curve], empty: str) -> None:
        """Draw these.

        Args:
            curves: In the order of the legend.
            empty: What is shown if there are none.
        """
        self._curves, self._empty = tuple(curves), empty
        texts = (f"{curve.name}: " + ", ".join(f"{d} {v:.3g}" for d, v in curve.points) for curve in curves)
        self.setAccessibleDescription("; ".join(texts))
        self.update()

    def read_out(self, x: float) -> str:
        """The values of the date that is drawn nearest to a column of pixels, a line each; empty if none."""
        dates = self._dates()
        if not dates:
            return ""
        plot = self._plot()
        nearest = min(dates, key=lambda date: abs(self._x(plot, date) - x))
        values = [(c.name, dict(c.points)[nearest]) for c in self._curves if nearest in dict(c.points)]
        return "\n".join([nearest.isoformat(), *(f"{name}  {value:.4g}" for name, value in values)])

    @slot
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the values below the pointer."""
        lines = self.read_out(event.pos().x())
        text = "<br>".join(plain(line) for line in lines.split("\n"))
        QToolTip.showText(self.mapToGlobal(event.pos() + QPoint(12, 12)), text if lines else "", self)

    @slot
    def paintEvent(self, _event: object) -> None:
        """Paint axes, curves and legend."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self._ink.color()
        dates = self._dates()
        if not dates:
            text.setAlphaF(0.6)
            painter.setPen(text)
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._empty)
            return
        plot, span = self._plot(), self._span()
        self._draw_axes(painter, plot, span, text)
        x = plot.left()
        for curve, color in zip(self._curves, colors(self._curves)):
            width = self.fontMetrics().horizontalAdvance(curve.name)
            if x + width + 26 <= self.width() or x == plot.left():
                painter.setPen(QPen(QColor(color), 2))
                painter.drawLine(QPointF(x, 9), QPointF(x + 16, 9))
                painter.setPen(text)
                painter.drawText(QPointF(x + 20, 13), curve.name)
            x += width + 34
            self._draw_curve(painter, plot, span, curve, QColor(color))

    def _draw_axes(self, painter: QPainter, plot: QRectF, span: Tuple[float, float], text: QColor) -> None:
        faint = QColor(text)
        faint.setAlphaF(0.15)
        step = _step((span[1] - span[0]) / 4)
        for number in range(math.ceil(span[0] / step - 1e-9), math.floor(span[1] / step + 1e-9) + 1):
            value = number * step
            y = plot.bottom() - plot.height() * (value - span[0]) / (span[1] - span[0])
            painter.setPen(faint)
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(text)
            box = QRectF(0, y - 9, plot.left() - 5, 18)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{value:.3g}")
        dates = self._dates()
        below = QRectF(plot.left(), plot.bottom() + 4, plot.width(), 18)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, dates[0].isoformat())
        if len(dates) > 1:
            painter.drawText(below, Qt.AlignmentFlag.AlignRight, dates[-1].isoformat())
        painter.setPen(faint)
        for date in dates:
            x = self._x(plot, date)
            painter.drawLine(QPointF(x, plot.bottom()), QPointF(x, plot.bottom() + 4))

    def _draw_curve(
        self, painter: QPainter, plot: QRectF, span: Tuple[float, float], curve: Curve, color: QColor
    ) -> None:
        line = QPolygonF()
        for date, value in curve.points:
            y = plot.bottom() - plot.height() * (value - span[0]) / (span[1] - span[0])
            line.append(QPointF(self._x(plot, date), y))
        painter.setPen(QPen(color, 1.8))
        painter.drawPolyline(line)
        painter.setBrush(color)
        painter.setPen(Qt.PenStyle.NoPen)
        for number in range(line.count()):
            painter.drawEllipse(line.at(number), 2.5, 2.5)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _plot(self) -> QRectF:
        metrics = QFontMetricsF(self.font())
        left = metrics.horizontalAdvance("-0.0005") + 8
        top, bottom = metrics.height() + 10, metrics.height() + 8
        return QRectF(left, top, self.width() - left - 10, self.height() - top - bottom)

    def _dates(self) -> List[dt.date]:
        return sorted({date for curve in self._curves for date, _ in curve.points})

    def _span(self) -> Tuple[float, float]:
        """The lowest and the highest value of the scale."""
        values = [value for curve in self._curves for _, value in curve.points]
        low, high = min(0.0, *values), max(0.0, *values)
        room = (high - low) * 0.06 or 1.0
        return (low - room if low < 0 else 0.0), high + room

    def _x(self, plot: QRectF, date: dt.date) -> float:
        dates = self._dates()
        days = (dates[-1] - dates[0]).days
        return plot.center().x() if not days else plot.left() + plot.width() * (date - dates[0]).days / days


class Bars(QWidget):
    """A bar for each class, as long as it is probable.

    Args:
        name: Its object name.
    """

    MOST = 8

    def __init__(self, name: str) -> None:
        super().__init__()
        self._ink = Ink(self)
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Probabilities"))
        self._chances: Tuple[Chance, ...] = ()

    def sizeHint(self) -> QSize:
        """A line for each class."""
        return QSize(300, max(1, len(self._chances)) * self._line())

    def minimumSizeHint(self) -> QSize:
        """All lines."""
        return QSize(200, self.sizeHint().height())

    def show_chances(self, chances: Sequence[Chance]) -> None:
        """Draw these, the first ones where there are many."""
        self._chances = tuple(chances[: self.MOST])
        texts = [f"{chance.name} {100 * chance.share:.0f} %" for chance in chances]
        self.setAccessibleDescription(", ".join(texts))
        self.setToolTip(plain(", ".join(texts)))
        self.setVisible(bool(chances))
        self.updateGeometry()
        self.update()

    @slot
    def paintEvent(self, _event: object) -> None:
        """Paint names, bars and percent."""
        painter = QPainter(self)
        text, metrics = self._ink.color(), self.fontMetrics()
        faint = QColor(text)
        faint.setAlphaF(0.12)
        names = self.width() * 0.36
        percent = metrics.horizontalAdvance("100 %") + 8
        room = self.width() - names - percent - 8
        for number, chance in enumerate(self._chances):
            top = number * self._line()
            bar = QRectF(names + 8, top + 4, room, self._line() - 8)
            painter.fillRect(bar, faint)
            painter.fillRect(QRectF(bar.left(), bar.top(), room * min(chance.share, 1), bar.height()),
                             QColor(chance.color))  # fmt: skip
            painter.setPen(text)
            name = metrics.elidedText(chance.name, Qt.TextElideMode.ElideRight, int(names))
            middle = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(0, top, names, self._line()), middle, name)
            right = QRectF(self.width() - percent, top, percent, self._line())
            painter.drawText(right, middle | Qt.AlignmentFlag.AlignRight, f"{100 * chance.share:.0f} %")

    def _line(self) -> int:
        return self.fontMetrics().height() + 8


def _step(about: float) -> float:
    """A step of a scale that reads well: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(about))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= about * 0.999)


def colors(curves: Sequence[Curve]) -> List[str]:
    """A colour for each curve, those of the bands that one knows by theirs."""
    others = iter(OTHERS * (len(curves) // len(OTHERS) + 1))
    return [COLORS.get(curve.name) or next(others) for curve in curves]
