# SPDX-License-Identifier: GPL-3.0-or-later
"""The live curves of a training: the loss above, the validation scores below, and the values at an epoch."""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence, Tuple

from qgis.PyQt.QtCore import QEvent, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QContextMenuEvent, QFocusEvent, QFontMetricsF, QKeyEvent, QMouseEvent
from qgis.PyQt.QtGui import QPainter as Painter
from qgis.PyQt.QtWidgets import QMenu, QSizePolicy, QStyle, QStyleOptionFocusRect, QWidget

from ..backend.points import Points
from ..compat import Ink
from ..i18n import tr
from ..timing import slot
from . import curve_export
from . import curve_paint as paint
from .curve_paint import Line
from .curve_scale import best_epoch

LINES = (
    Line("train_loss", tr("Loss"), "#d9822b", False, False),
    Line("val_loss", tr("Validation loss"), "#d9822b", True, False),
    Line("val_miou", tr("Validation mean IoU"), "#2b8ad9", False, True),
    Line("val_accuracy", tr("Validation accuracy"), "#2b8ad9", True, True),
)
BEST = "#2f9e6e"


class CurveWidget(QWidget):
    """Draws the points it was given last; empty, it says what it waits for.

    The mouse over it, or the arrow keys in it, choose an epoch whose values the legend then tells.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._ink = Ink(self)
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Loss and validation scores by epoch"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.title = ""
        """What its pictures and tables are called."""
        self._metrics: Mapping[str, Points] = {}
        self._epochs = 2
        self._best: Optional[int] = None
        self._chosen: Optional[int] = None
        self._panels: List[paint.Panel] = []

    def sizeHint(self) -> QSize:
        """As wide as there is room, and high enough to read."""
        return QSize(320, 13 * self.fontMetrics().height() + 20)

    def minimumSizeHint(self) -> QSize:
        """Two panels with a number at each end."""
        return QSize(220, 9 * self.fontMetrics().height())

    def show_metrics(self, metrics: Mapping[str, Points], epochs: int) -> None:
        """Draw these curves.

        Args:
            metrics: Points (epoch, value) by the metric's name.
            epochs: The last epoch of the scale.
        """
        last = max((points[-1][0] for points in metrics.values() if points), default=1)
        self._metrics, self._epochs = metrics, max(epochs, last, 2)
        self._best = best_epoch(metrics)
        if self._chosen is not None and self._chosen not in self._steps():
            self._chosen = None
        self._describe()
        self.update()

    @property
    def metrics(self) -> Mapping[str, Points]:
        """The curves that are drawn."""
        return self._metrics

    @property
    def chosen(self) -> Optional[int]:
        """The epoch whose values are told; None: the latest."""
        return self._chosen

    def choose(self, step: Optional[int]) -> None:
        """Tell the values of an epoch; None: of the latest."""
        if step != self._chosen:
            self._chosen = step
            self._describe()
            self.update()

    def reading(self) -> str:
        """The values at the chosen epoch, or the latest of each curve, in words."""
        parts = [f"{line.title.lower()} {value:.3f}" for line, value in self._values() if value is not None]
        head = [self._head()] if parts and self._head() else []
        return ", ".join([*head, *parts])

    def _describe(self) -> None:
        self.setAccessibleDescription(self.reading())

    def _head(self) -> str:
        best = self._best
        if self._chosen is not None:
            text = tr("Epoch {epoch}", epoch=self._chosen)
            return tr("{epoch}, the best", epoch=text) if self._chosen == best else text
        return tr("Best: epoch {epoch}", epoch=best) if best is not None else ""

    def _values(self) -> List[Tuple[Line, Optional[float]]]:
        found = []
        for line in LINES:
            points = self._metrics.get(line.metric)
            if points:
                chosen = self._chosen
                found.append((line, points[-1][1] if chosen is None else paint.value_at(points, chosen)))
        return found

    def _steps(self) -> Sequence[int]:
        longest = max((points for points in self._metrics.values()), key=len, default=())
        return [step for step, _ in longest]

    # what the analyst does

    @slot
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Choose the nearest epoch."""
        steps = self._steps()
        if self._panels and steps:
            wanted = self._panels[0].step(event.pos().x())
            self.choose(min(steps, key=lambda step: abs(step - wanted)))

    @slot
    def leaveEvent(self, _event: QEvent) -> None:
        """The latest values again."""
        self.choose(None)

    @slot
    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The latest values again."""
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.choose(None)

    @slot
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left, Right, Home and End choose an epoch, Escape the latest."""
        steps, code = self._steps(), event.key()
        if not steps or code not in _KEYS:
            super().keyPressEvent(event)
            return
        here = steps.index(self._chosen) if self._chosen in steps else len(steps) - 1
        if code == Qt.Key.Key_Escape:
            self.choose(None)
            return
        last = len(steps) - 1
        there = {
            Qt.Key.Key_Left: here - 1,
            Qt.Key.Key_Right: here + 1,
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }[code]
        self.choose(steps[min(max(there, 0), last)])

    @slot
    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Take the picture or the values along."""
        if self._metrics:
            menu = self.menu()
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(event.globalPos())

    def menu(self) -> QMenu:
        """What can be done with the curves."""
        menu = QMenu(self)
        menu.addAction(tr("Copy the picture"), lambda: curve_export.copy_picture(self))
        menu.addAction(tr("Save the picture…"), lambda: curve_export.ask_picture(self, self.title))
        menu.addSeparator()
        menu.addAction(tr("Copy the values"), lambda: curve_export.copy_values(self._metrics))
        menu.addAction(
            tr("Save the values…"), lambda: curve_export.ask_values(self, self.title, self._metrics)
        )
        return menu

    # the picture

    @slot
    def paintEvent(self, _event: object) -> None:
        """Paint axes, curves and legend in the theme's colours."""
        painter = Painter(self)
        painter.setRenderHint(Painter.RenderHint.Antialiasing)
        text = self._ink.color()
        font = painter.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() * 0.85))
        painter.setFont(font)
        entries = [
            paint.Entry(line, f"{line.title} {value:.3f}" if value is not None else f"{line.title} –")
            for line, value in self._values()
        ]
        if not entries:
            self._panels = []
            soft = QColor(text)
            soft.setAlphaF(0.6)
            painter.setPen(soft)
            waits = tr("The curve begins after the first epoch.")
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, waits)
            return
        self._panels = self._lay_out(painter, entries, text)
        self._mark(painter, text)
        if self.hasFocus():
            option = QStyleOptionFocusRect()
            option.initFrom(self)
            self.style().drawPrimitive(QStyle.PrimitiveElement.PE_FrameFocusRect, option, painter, self)

    def _lay_out(self, painter: Painter, entries: Sequence[paint.Entry], text: QColor) -> List[paint.Panel]:
        """Draw legend, grids and curves; the panels."""
        metrics = QFontMetricsF(painter.font())
        height, wide = metrics.height(), metrics.horizontalAdvance("0.0000") + 8
        groups = [[e for e in entries if e.line.score == score] for score in (False, True)]
        groups = [group for group in groups if group]
        rows = [paint.legend_rows(group, metrics, self.width() - 8) for group in groups]
        heads = sum(len(some) for some in rows) * height + 6 * len(rows)
        below = height + 6
        each = (self.height() - heads - below - 6 * (len(groups) - 1)) / len(groups)
        title, top = self._head() or tr("Epoch"), 1.0
        if paint.fits(title, rows[0][0], metrics, self.width() - 8):  # beside the legend, else below
            painter.setPen(text)
            box = QRectF(0, top, self.width() - 8, height)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, title)
            title = ""
        panels: List[paint.Panel] = []
        for number, (group, legend) in enumerate(zip(groups, rows)):
            top = paint.draw_legend(painter, legend, 4, top, text) + 6
            plot = QRectF(wide, top, self.width() - wide - 8, max(each, 10.0))
            curves = [self._metrics[entry.line.metric] for entry in group]
            panel = paint.make_panel(plot, curves, self._epochs, height, score=group[0].line.score)
            last = number == len(groups) - 1
            paint.draw_grid(painter, panel, text, epochs=last, title=title)
            paint.draw_lines(painter, panel, [entry.line for entry in group], self._metrics)
            panels.append(panel)
            top = plot.bottom() + 6
        return panels

    def _mark(self, painter: Painter, text: QColor) -> None:
        if self._best is not None:
            paint.draw_mark(painter, self._panels, self._best, QColor(BEST), dashed=True)
        if self._chosen is None:
            return
        soft = QColor(text)
        soft.setAlphaF(0.5)
        paint.draw_mark(painter, self._panels, self._chosen, soft, dashed=False)
        panels = {False: self._panels[0], True: self._panels[-1]}
        for line, value in self._values():
            if value is not None:
                panel = panels[line.score]
                place = panel.plot.topLeft()
                place.setX(panel.x(self._chosen))
                place.setY(panel.y(value))
                paint.draw_dot(painter, place, line)


_KEYS = (
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
    Qt.Key.Key_Escape,
)
