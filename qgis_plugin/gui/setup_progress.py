# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a set-up is, why it failed or what it ended with, and all that its programs said."""

from __future__ import annotations

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtGui import QFontDatabase
from qgis.PyQt.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from ..backend.installer import Progress
from ..compat import ProgressBar, label
from ..i18n import tr

LINES = 5000


class ProgressBox(QWidget):
    """Hidden until something has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.title = label("", "timoSetupStep")
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.bar = ProgressBar()
        self.bar.setObjectName("timoSetupProgress")
        self.bar.setAccessibleName(tr("Progress of the set-up"))
        self.bar.setRange(0, 1000)
        self.bar.setFormat("%p %")
        self.detail = label("", "timoSetupDetail", muted=True)
        self.log = QPlainTextEdit()
        self.log.setObjectName("timoSetupLog")
        self.log.setAccessibleName(tr("What the programs said"))
        self.log.setReadOnly(True)
        self.log.setMinimumHeight(150)
        self.log.setMaximumBlockCount(LINES)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.details = QgsCollapsibleGroupBox(tr("Details"))
        self.details.setObjectName("timoSetupDetails")
        self.details.setSaveCollapsedState(False)
        self.details.setCollapsed(True)
        inner = QVBoxLayout(self.details)
        inner.addWidget(self.log)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for widget in (self.title, self.bar, self.detail):
            layout.addWidget(widget)
        layout.addWidget(self.details, 10)
        layout.addStretch(1)
        self.setVisible(False)

    def begin(self) -> None:
        """A set-up begins."""
        self.log.clear()
        self.bar.setValue(0)
        self.bar.setVisible(True)
        self.setVisible(True)

    def show_progress(self, progress: Progress) -> None:
        """Say how far it is."""
        self.title.setText(progress.title)
        self.detail.setText(progress.detail)
        self.detail.setVisible(bool(progress.detail))
        self.bar.setValue(round(1000 * progress.fraction))

    def show_trouble(self, why: str) -> None:
        """Say why it has ended."""
        self._end(tr("TiMo is not set up yet"), why)

    def show_done(self, device: str) -> None:
        """Say what it ended with."""
        self._end(
            tr("TiMo is set up"), f"{device} {tr('The backend starts now; this window can be closed.')}"
        )

    def add_line(self, line: str) -> None:
        """Add to the details."""
        self.log.appendPlainText(line)

    def _end(self, title: str, text: str) -> None:
        self.title.setText(title)
        self.detail.setText(text)
        self.detail.setVisible(True)
        self.bar.setVisible(False)
