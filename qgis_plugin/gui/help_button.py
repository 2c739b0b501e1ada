# SPDX-License-Identifier: GPL-3.0-or-later
"""The button of a dialog that opens the user guide, and F1."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import QShortcut, QToolButton, QWidget

from ..compat import icon
from ..i18n import tr
from ..timing import slot
from .help_window import HelpWindow


class HelpButton(QToolButton):
    """Opens the guide above the window that it stands in: a modal one would block a window that is no child.

    Args:
        page: The guide's page that tells of the window, such as ``series``.
        window: The window; F1 in it opens the page too.
        key: The key, where the window is not one that takes its own.
    """

    def __init__(self, page: str, window: QWidget, key: str = "F1") -> None:
        super().__init__()
        self.page = page
        self._guide: Optional[HelpWindow] = None
        self.setObjectName("timoHelpButton")
        self.setIcon(icon("help"))
        self.setAutoRaise(True)
        self.setToolTip(tr("User guide (F1)"))
        self.setAccessibleName(tr("User guide"))
        self.clicked.connect(self.show_guide)
        if key:
            QShortcut(QKeySequence(key), window, self.show_guide)

    @slot
    def show_guide(self) -> None:
        """Open the guide at the page."""
        if self._guide is None:
            self._guide = HelpWindow(self.window())
        self._guide.show_page(self.page)
