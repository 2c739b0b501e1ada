# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a field before the analyst's eyes, wherever in the interface it stands."""

from __future__ import annotations

from qgis.gui import QgsCollapsibleGroupBox, QgsDockWidget
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QScrollArea, QTabWidget, QWidget

from ..timing import slot

SOON = 100
"""Milliseconds, after which what was unfolded has its size."""


def reveal(widget: QWidget) -> None:
    """Turn to a widget's page, unfold what it is folded into, scroll to it, and give it the keyboard."""
    above = widget.parentWidget()
    while above is not None:
        if isinstance(above, QgsCollapsibleGroupBox):
            above.setCollapsed(False)
        elif isinstance(above, QTabWidget):
            pages = (above.widget(number) for number in range(above.count()))
            above.setCurrentWidget(next(page for page in pages if page.isAncestorOf(widget)))
        elif isinstance(above, QgsDockWidget):
            above.setUserVisible(True)
        above = above.parentWidget()
    widget.window().raise_()
    widget.window().activateWindow()
    widget.setFocus()
    scroll_to(widget)


def scroll_to(widget: QWidget) -> None:
    """Bring a widget into sight in all that scrolls around it, once it has its size; the keyboard stays."""

    @slot
    def scroll() -> None:
        if sip.isdeleted(widget):
            return
        above = widget.parentWidget()
        while above is not None:
            if isinstance(above, QScrollArea):
                above.ensureWidgetVisible(widget, 0, 20)
            above = above.parentWidget()

    QTimer.singleShot(SOON, scroll)
