# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of pages of the user guide, for places where QGIS opens an address: Processing's button Help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from qgis.PyQt.QtCore import QObject, QUrl, pyqtSlot
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QWidget

from .timing import slot

if TYPE_CHECKING:
    from .gui.help_window import HelpWindow

SCHEME = "timo-guide"


def address(page: str) -> str:
    """The address of a page, such as ``processing``."""
    return f"{SCHEME}:{page}"


class GuideLinks(QObject):
    """Opens the guide when QGIS is asked to open such an address.

    Args:
        window: QGIS's main window.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._guide: Optional[HelpWindow] = None
        QDesktopServices.setUrlHandler(SCHEME, self, "open_page")

    def close(self) -> None:
        """Leave nothing behind."""
        QDesktopServices.unsetUrlHandler(SCHEME)
        if self._guide is not None:
            self._guide.close()
            self._guide.deleteLater()
        self.deleteLater()

    @pyqtSlot(QUrl)  # Qt calls it by its name
    @slot
    def open_page(self, link: QUrl) -> None:
        """Show the page that an address names."""
        from .gui.help_window import HelpWindow

        if self._guide is None:
            self._guide = HelpWindow(self._window)
        self._guide.show_page(link.path())
