# SPDX-License-Identifier: GPL-3.0-or-later
"""The time line: a mark for each date of a series, to be clicked and stepped through by the keyboard."""

from __future__ import annotations

import datetime as dt
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from qgis.PyQt.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPen
from qgis.PyQt.QtWidgets import QSizePolicy, QToolTip, QWidget

from ..compat import Ink, plain
from ..i18n import tr
from ..timing import slot

COLORS = ("#2b8ad9", "#d9822b", "#3aa655", "#8e5bd0", "#c2a100", "#17a2a2")
"""Of the sensors, in the order of their names; both themes show them."""
FAULTY = "#d63a3a"
EDGE, RADIUS, REACH = 12.0, 4.5, 8.0
"""Pixels: the axis' distance from the borders, a mark's size, and how far a click may miss it."""


class Mark(NamedTuple):
    """A date: whether any of its layers is ticked, whether one is at fault, and what the tool tip says."""

    date: dt.date
    layers: Tuple[str, ...]
    sensor: str
    ticked: bool
    faulty: bool
    text: str


class TimeLine(QWidget):
    """Draws the marks it was given last; ``chosen`` tells the mark that was clicked or stepped to."""

    chosen = pyqtSignal(object)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(tr("Time line of the series"))
        self.setAccessibleDescription(tr("The arrow keys step from date to date and show it on the map."))
        self.marks: List[Mark] = []
        self.current: Optional[dt.date] = None
        self._hovered = -1
        self._ink = Ink(self)
        self._colors: Dict[str, str] = {}

    def sizeHint(self) -> QSize:
        """As wide as there is room; the marks, the axis and the years below each other."""
        return QSize(320, int(self.fontMetrics().height() + 29))

    def show_marks(self, marks: Sequence[Mark]) -> None:
        """Draw these."""
        self.marks = sorted(marks, key=lambda mark: mark.date)
        sensors = sorted({mark.sensor for mark in marks})
        self._colors = {sensor: COLORS[n % len(COLORS)] for n, sensor in enumerate(sensors)}
        self._hovered = -1
        if self.current not in {mark.date for mark in self.marks}:
            self.current = None
        self.setVisible(bool(self.marks))
        self.update()

    def color(self, mark: Mark) -> str:
        """What a mark is drawn in."""
        return FAULTY if mark.faulty else self._colors[mark.sensor]

    def x(self, date: dt.date) -> float:
        """Where a date lies, in pixels from the left."""
        first, last = self.marks[0].date, self.marks[-1].date
        days = (last - first).days
        room = self.width() - 2 * EDGE
        return EDGE + (room * (date - first).days / days if days else room / 2)

    def at(self, x: float) -> int:
        """The number of the mark that is nearest to a place; -1 if none is near."""
        if not self.marks:
            return -1
        near = min(range(len(self.marks)), key=lambda n: abs(self.x(self.marks[n].date) - x))
        return near if abs(self.x(self.marks[near].date) - x) <= REACH else -1

    def choose(self, number: int) -> None:
        """Make a mark the current one and tell it."""
        if 0 <= number < len(self.marks):
            self.current = self.marks[number].date
            self.setAccessibleDescription(self.marks[number].text)
            self.update()
            self.chosen.emit(self.marks[number])

    def show_current(self, date: Optional[dt.date]) -> None:
        """Draw another mark as the current one, without telling it."""
        if date != self.current:
            self.current = date
            self.update()

    # Qt's interface

    @slot
    def event(self, event: QEvent) -> bool:
        """Tell the date under the pointer."""
        if event.type() == QEvent.Type.ToolTip:
            number = self.at(event.pos().x())
            QToolTip.showText(event.globalPos(), plain(self.marks[number].text) if number >= 0 else "", self)
            return True
        return bool(super().event(event))

    @slot
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Draw the mark under the pointer larger."""
        number = self.at(event.pos().x())
        if number != self._hovered:
            self._hovered = number
            self.setCursor(Qt.CursorShape.PointingHandCursor if number >= 0 else Qt.CursorShape.ArrowCursor)
            self.update()

    @slot
    def leaveEvent(self, _event: QEvent) -> None:
        """No mark is under the pointer any more."""
        self._hovered = -1
        self.update()

    @slot
    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the mark under the pointer."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.choose(self.at(event.pos().x()))

    @slot
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Step through the dates."""
        dates = [mark.date for mark in self.marks]
        here = dates.index(self.current) if self.current in dates else -1
        last = len(dates) - 1
        step = {
            Qt.Key.Key_Left: max(here - 1, 0),
            Qt.Key.Key_Right: min(here + 1, last),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }.get(event.key())
        if step is None or not dates:
            super().keyPressEvent(event)
        elif step != here:
            self.choose(step)

    @slot
    def paintEvent(self, _event: object) -> None:
        """Paint the axis with its years or months, and the marks, in the theme's colours."""
        if not self.marks:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self._ink.color()
        font = painter.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() * 0.85))
        painter.setFont(font)
        middle = 14.0
        self._draw_axis(painter, text, QFontMetricsF(font), middle)
        for number, mark in enumerate(self.marks):
            self._draw_mark(painter, mark, middle, number == self._hovered)
        if self.hasFocus():
            pen = QPen(self.palette().color(self.palette().ColorRole.Highlight))
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)

    def _draw_axis(self, painter: QPainter, text: QColor, metrics: QFontMetricsF, middle: float) -> None:
        faint = QColor(text)
        faint.setAlphaF(0.35)
        painter.setPen(QPen(faint, 1))
        painter.drawLine(QPointF(EDGE, middle), QPointF(self.width() - EDGE, middle))
        free = 0.0
        for date, title in ticks(self.marks[0].date, self.marks[-1].date):
            x = self.x(date)
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(x, middle + 7), QPointF(x, middle + 11))
            width = metrics.horizontalAdvance(title)
            left = min(max(x - width / 2, 2.0), self.width() - width - 2)
            if left >= free:
                painter.setPen(text)
                painter.drawText(QPointF(left, middle + 13 + metrics.ascent()), title)
                free = left + width + 8

    def _draw_mark(self, painter: QPainter, mark: Mark, middle: float, hovered: bool) -> None:
        center, radius = QPointF(self.x(mark.date), middle), RADIUS + (1.5 if hovered else 0)
        color = QColor(self.color(mark))
        if mark.date == self.current:
            painter.setPen(QPen(self._ink.color(), 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(center, radius + 3.5, radius + 3.5)
        painter.setPen(QPen(color, 1.6))
        hollow = self.palette().color(self.palette().ColorRole.Window)
        painter.setBrush(color if mark.ticked else hollow)
        painter.drawEllipse(center, radius, radius)


def ticks(first: dt.date, last: dt.date) -> List[Tuple[dt.date, str]]:
    """Titles below the axis: days within weeks, months within two years, else years; the ends where none."""
    days = (last - first).days
    if days > 730:
        years = [dt.date(year, 1, 1) for year in range(first.year + 1, last.year + 1)]
        every = max(1, len(years) // 12)
        return [(day, str(day.year)) for day in years[::every]]
    months = []
    for number in range(first.year * 12 + first.month, last.year * 12 + last.month):
        months.append(dt.date(number // 12, number % 12 + 1, 1))
    if len(months) >= 2:
        every = -(-len(months) // 7)
        return [(day, f"{day:%Y-%m}") for day in months[::every]]
    return [(day, day.isoformat()) for day in sorted({first, last})]
