# SPDX-License-Identifier: GPL-3.0-or-later
"""The list below the table: what is wrong with the series, each with the button that mends it."""

from __future__ import annotations

from typing import List, Sequence

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QWidget

from ..compat import label
from ..layers.checks import Finding
from ..timing import slot_of


class CheckList(QWidget):
    """Empty and hidden while there is nothing to say."""

    asked = pyqtSignal(object)
    """The finding whose button was pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("timoSeriesProblems")
        self.findings: List[Finding] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        self.hide()

    def text(self) -> str:
        """All sentences, a line each."""
        return "\n".join(finding.text for finding in self.findings)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Show these."""
        if list(findings) == self.findings:
            return
        self.findings = list(findings)
        while self._grid.count():
            widget = self._grid.takeAt(0).widget()
            widget.hide()
            widget.deleteLater()
        for row, finding in enumerate(self.findings):
            self._add(row, finding)
        self.setVisible(bool(self.findings))

    def _add(self, row: int, finding: Finding) -> None:
        sign = QLabel()
        side = self.fontMetrics().height()
        picture = "/mIconWarning.svg" if finding.serious else "/mIconInfo.svg"
        sign.setPixmap(QgsApplication.getThemeIcon(picture).pixmap(side, side))
        text = label(finding.text, f"timoSeriesFinding_{finding.kind}")
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)  # it wraps
        text.setSizePolicy(policy)
        self._grid.addWidget(sign, row, 0, Qt.AlignmentFlag.AlignVCenter)
        self._grid.addWidget(text, row, 1)
        if finding.fix:
            button = QPushButton(finding.fix)
            button.setObjectName(f"timoSeriesFix_{finding.kind}")
            button.setAccessibleName(f"{finding.fix} {finding.text}")
            button.clicked.connect(slot_of(self.asked.emit, finding))
            self._grid.addWidget(button, row, 2, Qt.AlignmentFlag.AlignVCenter)
