# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the versions of Qt and QGIS, and small helpers on top of them."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from qgis.core import NULL
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QColor, QIcon
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QFormLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QStyle,
    QStyleOptionProgressBar,
    QStylePainter,
    QTableView,
    QWidget,
)

from .i18n import tr

RESOURCES = Path(__file__).resolve().parent / "resources"


def flags_number(flags: Any) -> int:
    """Flags of Qt as the number that tables and painters take: in Qt 6 they are none themselves."""
    return int(getattr(flags, "value", flags))


LEFT = flags_number(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
RIGHT = flags_number(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
CENTER = flags_number(Qt.AlignmentFlag.AlignCenter)


def is_null(value: Any) -> bool:
    """Whether an attribute's value is NULL, as either QGIS generation gives it."""
    return value is None or value == NULL


def plain(text: str) -> str:
    """Text for places that guess whether they are given HTML: it is shown letter by letter, and wrapped."""
    return f"<span>{html.escape(text)}</span>" if text else ""


def label(text: str = "", name: str = "", parent: QWidget | None = None, *, muted: bool = False) -> QLabel:
    """A label that wraps, never reads its text as HTML, and lets it be selected.

    Args:
        text: What it shows.
        name: Its object name.
        parent: Its parent.
        muted: Whether it is a help text, drawn paler.
    """
    widget = QLabel(text, parent)
    widget.setTextFormat(Qt.TextFormat.PlainText)
    widget.setWordWrap(True)
    widget.setObjectName(name)
    if muted:
        mute(widget)
    return widget


def mute(widget: QWidget) -> None:
    """Draw a widget's text paler, in any theme."""
    palette = widget.palette()
    color = palette.color(palette.ColorRole.WindowText)
    color.setAlphaF(0.65)
    palette.setColor(palette.ColorRole.WindowText, color)
    widget.setPalette(palette)


class Ink(QLabel):
    """Knows what text on a widget is written in, for widgets that paint.

    QGIS's themes are style sheets, which give labels a colour that the palette of other widgets lacks.

    Args:
        widget: Where it is painted.
    """

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.setObjectName("timoInk")
        self.hide()

    def color(self) -> QColor:
        """The colour."""
        self.ensurePolished()
        return QColor(self.palette().color(self.palette().ColorRole.WindowText))


class ProgressBar(QProgressBar):
    """A bar whose text is written in the ink of its theme; the palette's is lost on a dark style sheet."""

    def __init__(self) -> None:
        super().__init__()
        self._ink = Ink(self)

    def paintEvent(self, _event: object) -> None:
        """Paint it as the style does."""
        option = QStyleOptionProgressBar()
        self.initStyleOption(option)
        option.palette.setColor(option.palette.ColorRole.Text, self._ink.color())
        painter = QStylePainter(self)
        painter.drawControl(QStyle.ControlElement.CE_ProgressBar, option)


def menu_button(button: QAbstractButton) -> None:
    """Give a button with a menu the room that its arrow takes: style sheets leave it out."""
    button.ensurePolished()
    words = button.fontMetrics().horizontalAdvance(button.text())
    picture = 0 if button.icon().isNull() else button.iconSize().width()
    button.setMinimumWidth(words + picture + round(2.5 * button.fontMetrics().height()))


def plain_table(table: QTableView) -> None:
    """How our tables look: close rows, no grid, headers that cost no look at rows that nobody sees."""
    table.setAlternatingRowColors(True)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 8)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setStretchLastSection(False)
    header.setMinimumSectionSize(40)
    header.setResizeContentsPrecision(0)  # what can be seen decides, however many rows there are
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)


def form_layout(parent: QWidget | None = None) -> QFormLayout:
    """A form whose fields fill the room beside their captions."""
    form = QFormLayout(parent) if parent else QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
    form.setVerticalSpacing(6)
    return form


def caption(text: str, top: bool = False) -> QLabel:
    """The text before a form's field, as wide as in all other forms; ``top`` beside several lines."""
    widget = QLabel(text)
    widget.setTextFormat(Qt.TextFormat.PlainText)
    widget.setMinimumWidth(widget.fontMetrics().horizontalAdvance(tr("Validation share")) + 4)
    widget.setAlignment(Qt.AlignmentFlag.AlignTop if top else Qt.AlignmentFlag.AlignVCenter)
    return widget


def icon(name: str) -> QIcon:
    """An icon of ours; it keeps its colours in a selected row."""
    made, file = QIcon(), str(RESOURCES / "icons" / f"{name}.svg")
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):
        made.addFile(file, QSize(), mode)  # drawn when it is shown
    return made
