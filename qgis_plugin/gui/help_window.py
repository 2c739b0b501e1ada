# SPDX-License-Identifier: GPL-3.0-or-later
"""The user guide in a window of its own: the pages that the zip carries, with links and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.PyQt.QtCore import QSize, Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QKeySequence
from qgis.PyQt.QtWidgets import QHBoxLayout, QShortcut, QTextBrowser, QToolButton, QVBoxLayout, QWidget

from ..i18n import tr
from ..timing import inside_qgis, slot

GUIDE = Path(__file__).resolve().parents[1] / "guide"
FIRST = "index.md"


class HelpWindow(QWidget):
    """Shows one page; links to other pages open here, addresses in the browser.

    Args:
        parent: The window it belongs to.
    """

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setObjectName("timoHelp")
        self.setWindowTitle(tr("TiMo user guide"))
        self.view = QTextBrowser()
        self.view.setObjectName("timoHelpView")
        self.view.setOpenLinks(False)
        self.view.setSearchPaths([str(GUIDE)])
        self.view.document().setDocumentMargin(16)
        self.back = QToolButton()
        self.back.setObjectName("timoHelpBack")
        self.back.setText(tr("Back"))
        self.home = QToolButton()
        self.home.setObjectName("timoHelpHome")
        self.home.setText(tr("Contents"))
        row = QHBoxLayout()
        row.addWidget(self.back)
        row.addWidget(self.home)
        row.addStretch(1)
        whole = QVBoxLayout(self)
        whole.addLayout(row)
        whole.addWidget(self.view, 1)
        self.view.anchorClicked.connect(self._on_link)
        self.view.backwardAvailable.connect(self.back.setEnabled)
        self.back.setEnabled(False)
        self.back.clicked.connect(self.view.backward)
        self.home.clicked.connect(self._on_home)
        QShortcut(QKeySequence(Qt.Key.Key_Escape), self, self.close)

    def sizeHint(self) -> QSize:
        """Wide enough for a screenshot of the dock beside a map."""
        return QSize(820, 720)

    def show_page(self, name: str) -> None:
        """Show a page of the guide.

        Args:
            name: Its file without the ending, such as ``series``; what is not there shows the contents.
        """
        path = GUIDE / f"{name}.md"
        self._open(QUrl(path.name if path.is_file() else FIRST))
        self.show()
        self.raise_()
        self.activateWindow()

    @slot
    def _on_home(self) -> None:
        self._open(QUrl(FIRST))

    @slot
    def _on_link(self, link: QUrl) -> None:
        if link.scheme() in ("http", "https", "mailto"):
            with inside_qgis():
                QDesktopServices.openUrl(link)
        else:
            self._open(link)

    def _open(self, link: QUrl) -> None:
        with inside_qgis():
            self.view.setSource(link)
