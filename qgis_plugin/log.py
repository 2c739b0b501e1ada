# SPDX-License-Identifier: GPL-3.0-or-later
"""One call that writes the log tab "TiMo" and, where asked, the message bar."""

from __future__ import annotations

from typing import Any, Callable, Optional

from qgis.core import Qgis, QgsMessageLog
from qgis.PyQt.QtWidgets import QPushButton

from .compat import plain

TAB = "TiMo"
LEVELS = {
    "info": Qgis.MessageLevel.Info,
    "success": Qgis.MessageLevel.Success,
    "warning": Qgis.MessageLevel.Warning,
    "error": Qgis.MessageLevel.Critical,
}

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
        message: One sentence or more, shown as plain text.
        level: ``info``, ``success``, ``warning`` or ``error``.
        push: Show it in the message bar too.
        button: The text of a button in the message bar.
        pressed: What the button does.
    """
    QgsMessageLog.logMessage(message, TAB, LEVELS[level], False)
    if not push or _bar is None:
        return
    item = _bar.createMessage(TAB, plain(message))
    if button and pressed is not None:
        widget = QPushButton(button, item)
        from .timing import slot  # which writes its errors here

        bar = _bar

        @slot
        def press() -> None:
            bar.popWidget(item)
            if _bar is not None:  # else the plugin, and what the button would do, are gone
                pressed()

        widget.clicked.connect(press)
        item.layout().addWidget(widget)
    _bar.pushWidget(item, LEVELS[level], 0 if level in ("error", "warning") else 12)
