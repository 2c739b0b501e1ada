# SPDX-License-Identifier: GPL-3.0-or-later
"""The banner above the pages: how it stands with the backend, and how to mend it."""

from __future__ import annotations

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ..backend.link_state import LinkState
from ..compat import label
from ..i18n import tr
from ..timing import slot

STYLE = "QFrame#timoBanner {{ background: rgba({0}, 40); border-bottom: 1px solid rgba({0}, 150); }}"
TROUBLE, CALM = STYLE.format("230, 126, 34"), STYLE.format("127, 127, 127")


class Banner(QFrame):
    """Hidden while the backend is ready."""

    retried = pyqtSignal(str, bool)
    """The program to try, as it stands in the field; whether the one that runs makes room for it."""
    setup_asked = pyqtSignal()
    """The backend shall be set up."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self.setObjectName("timoBanner")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.setSpacing(6)
        self.message = label("", "timoBannerMessage")
        font = self.message.font()
        font.setBold(True)
        self.message.setFont(font)
        self.action = label("", "timoBannerAction")
        self.busy = QProgressBar()
        self.busy.setObjectName("timoBannerBusy")
        self.busy.setRange(0, 0)
        self.busy.setTextVisible(False)
        self.busy.setMaximumHeight(6)
        self.program = QgsFileWidget()
        self.program.setObjectName("timoBannerProgram")
        self.program.setDialogTitle(tr("The program timo-backend"))
        self.program.setFilePath(program)
        self.program.lineEdit().setPlaceholderText(tr("Path of the program timo-backend"))
        self.retry = QPushButton(tr("Retry"))
        self.retry.setObjectName("timoBannerRetry")
        self.setup = QPushButton(tr("Set up TiMo…"))
        self.setup.setObjectName("timoBannerSetup")
        self.setup.setToolTip(tr("Installs the backend on this computer, or finds one that is there"))
        self.replace = QPushButton(tr("Replace it"))
        self.replace.setObjectName("timoBannerReplace")
        self.replace.setToolTip(tr("Ends the backend that runs, and starts the program below in its place"))
        self.mend = QWidget()
        row = QHBoxLayout(self.mend)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.program, 1)
        row.addWidget(self.retry)
        for widget in (self.message, self.action, self.busy, self.mend):
            layout.addWidget(widget)
        buttons = QHBoxLayout()
        for button in (self.replace, self.setup):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout.insertLayout(3, buttons)
        self.retry.clicked.connect(self._on_retry)
        self.setup.clicked.connect(self._on_setup)
        self.replace.clicked.connect(self._on_replace)
        self._tell(LinkState())

    def show_state(self, state: LinkState) -> None:
        """Say how it stands; nothing where it is well."""
        self.setVisible(not state.ready)
        self._tell(state)

    def _tell(self, state: LinkState) -> None:
        trouble = state.troubled
        self.setStyleSheet(TROUBLE if trouble else CALM)
        self.message.setText(state.message or tr("The backend is not connected yet."))
        self.action.setText(state.action)
        self.action.setVisible(bool(state.action))
        self.busy.setVisible(not trouble)
        self.mend.setVisible(trouble)
        self.setup.setVisible(trouble)
        self.replace.setVisible(state.phase == "unsupported")

    @slot
    def _on_setup(self) -> None:
        self.setup_asked.emit()

    @slot
    def _on_replace(self) -> None:
        self.retried.emit(self.program.filePath().strip(), True)

    @slot
    def _on_retry(self) -> None:
        self.retried.emit(self.program.filePath().strip(), False)
