# SPDX-License-Identifier: GPL-3.0-or-later
"""One call that writes the log tab "TiMo" and, where asked, the message bar."""

from __future__ import annotations

import re
from typing import Any, Callable, Optional

from qgis.core import Qgis, QgsMessageLog
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QMessageBox, QPushButton

from .compat import plain
from .i18n import tr

TAB = "TiMo"
LEVELS = {
    "info": Qgis.MessageLevel.Info,
    "success": Qgis.MessageLevel.Success,
    "warning": Qgis.MessageLevel.Warning,
    "error": Qgis.MessageLevel.Critical,
}
SIGNS, GAP, LEAST = 170, 8, 160
"""Pixels: the bar's icons and margins, those between buttons, and the least of a message."""
FOLDERS = re.compile(r"(?:[A-Za-z]:)?(?:[/\\\\][^/\\\\\s:'\"]+){2,}[/\\\\](?=[^/\\\\\s])")
"""Of a file with more than one folder above it."""

_bar: Any = None


def attach(bar: Any) -> None:
    """Name the message bar to write to; None when the plugin is unloaded."""
    global _bar  # noqa: PLW0603  the one message bar of the application
    _bar = bar


def log(
    message: str,
    level: str = "info",
    *,
    push: bool = False,
    button: str = "",
    pressed: Optional[Callable[[], None]] = None,
) -> None:
    """Write a line to the log tab.

    Args:
        message: One sentence or more, shown as plain text; the message bar has a line of it.
        level: ``info``, ``success``, ``warning`` or ``error``.
        push: Show it in the message bar too.
        button: The text of a button in the message bar.
        pressed: What the button does.
    """
    QgsMessageLog.logMessage(message, TAB, LEVELS[level], False)
    if not push or _bar is None:
        return
    item = _bar.createMessage(TAB, "")
    room = _bar.parentWidget().width() - SIGNS - _bar.fontMetrics().horizontalAdvance(f"{TAB}:")
    if button and pressed is not None:  # which leads to where all is said
        room -= _add(item, button, pressed, "timoMessageButton")
    elif _bar.fontMetrics().horizontalAdvance(message) > room:
        room -= _add(item, tr("More…"), lambda: _show_all(message), "timoMessageMore", stays=True)
    item.setText(plain(_brief(message, max(room, LEAST))))
    _bar.pushWidget(item, LEVELS[level], 0 if level in ("error", "warning") else 12)


def _brief(message: str, room: int) -> str:
    """What one line has room for: folders give way first, then the end."""
    metrics = _bar.fontMetrics()
    if metrics.horizontalAdvance(message) <= room:
        return message
    return str(metrics.elidedText(FOLDERS.sub("…/", message), Qt.TextElideMode.ElideRight, room))


def _add(item: Any, text: str, pressed: Callable[[], None], name: str, stays: bool = False) -> int:
    """Add a button; unless the message stays, it ends it. Gives its width."""
    from .timing import slot  # which writes its errors here

    widget, bar = QPushButton(text, item), _bar
    widget.setObjectName(name)

    @slot
    def press() -> None:
        if not stays:
            bar.popWidget(item)
        if _bar is not None:  # else the plugin, and what the button would do, are gone
            pressed()

    widget.clicked.connect(press)
    item.layout().addWidget(widget)
    return widget.sizeHint().width() + GAP


def _show_all(message: str) -> None:
    box = QMessageBox(_bar.window())
    box.setObjectName("timoMessage")
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle(TAB)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(message)
    box.open()
