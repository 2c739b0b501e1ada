# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the versions of Qt and QGIS, and small helpers on top of them."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from qgis.core import NULL
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QLabel, QWidget

RESOURCES = Path(__file__).resolve().parent / "resources"


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


def icon(name: str) -> QIcon:
    """An icon of ours."""
    return QIcon(str(RESOURCES / "icons" / f"{name}.svg"))
