# SPDX-License-Identifier: GPL-3.0-or-later
"""The banner above the pages: how it stands with the backend, and how to mend it."""

from __future__ import annotations

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ..backend.thread import LinkState
from ..compat import label
from ..i18n import tr
from ..timing import slot

STYLE = "QFrame#timoBanner {{ background: rgba({0}, 40); border-bottom: 1px solid rgba({0}, 150); }}"
TROUBLE, CALM = STYLE.format("230, 126, 34"), STYLE.format("127, 127, 127")


class Banner(QFrame):
    """Hidden while the backend is ready."""

    retried = pyqtSignal(str)
    """The program to try, as it stands in the field."""
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
        self.mend = QWidget()
        row = QHBoxLayout(self.mend)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.program, 1)
        row.addWidget(self.retry)
        for widget in (self.message, self.action, self.busy, self.mend):
            layout.addWidget(widget)
        layout.insertWidget(3, self.setup, 0, Qt.AlignmentFlag.AlignLeft)
        self.retry.clicked.connect(self._on_retry)
        self.setup.clicked.connect(self._on_setup)
        self._tell(LinkState())

    def show_state(self, state: LinkState) -> None:
        """Say how it stands; nothing where it is well."""
        self.setVisible(not state.ready)
        self._tell(state)

    def _tell(self, state: LinkState) -> None:
        trouble = state.phase in ("missing", "failed")
        self.setStyleSheet(TROUBLE if trouble else CALM)
        self.message.setText(state.message or tr("The backend is not connected yet."))
        self.action.setText(state.action)
        self.action.setVisible(bool(state.action))
        self.busy.setVisible(not trouble)
        self.mend.setVisible(trouble)
        self.setup.setVisible(trouble)

    @slot
    def _on_setup(self) -> None:
        self.setup_asked.emit()

    @slot
    def _on_retry(self) -> None:
        self.retried.emit(self.program.filePath().strip())
