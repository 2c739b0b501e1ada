# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a series or with labels, a line each, with the buttons that show and mend it."""

from __future__ import annotations

from typing import List, Sequence

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..compat import label, plain
from ..i18n import tr
from ..layers.finding import Finding
from ..timing import slot_of


class FindingList(QWidget):
    """Empty and hidden while there is nothing to say.

    Args:
        name: Its object name; a line's parts are ``NAME_kind``, ``NAMEFix_kind`` and ``NAMEShow_kind``.
        on_map: Whether findings are about features, which can be shown.
    """

    mended = pyqtSignal(object)
    """The finding whose button that mends it was pressed."""
    shown = pyqtSignal(object)
    """The finding whose features shall be seen."""

    def __init__(self, name: str, *, on_map: bool = False) -> None:
        super().__init__()
        self.setObjectName(name)
        self.findings: List[Finding] = []
        self._on_map = on_map
        self._lines = QVBoxLayout(self)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(4)
        self.hide()

    def text(self) -> str:
        """All sentences, a line each."""
        return "\n".join(finding.text for finding in self.findings)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Show these in place of the former ones."""
        if list(findings) == self.findings:
            return
        self.findings = list(findings)
        while self._lines.count():
            old = self._lines.takeAt(0).widget()
            old.hide()
            old.setParent(None)
            old.deleteLater()
        for finding in self.findings:
            self._lines.addWidget(self._row(finding))
        self.setVisible(bool(self.findings))

    def _row(self, finding: Finding) -> QWidget:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        sign = QLabel()
        side = self.fontMetrics().height()
        picture = "/mIconWarning.svg" if finding.serious else "/mIconInfo.svg"
        sign.setPixmap(QgsApplication.getThemeIcon(picture).pixmap(side, side))
        line.addWidget(sign, 0, Qt.AlignmentFlag.AlignVCenter)
        line.addWidget(label(finding.text, f"{self.objectName()}_{finding.kind}"), 1)
        if finding.fix:
            mend = self._button("Fix", finding.fix, finding, finding.tip)
            mend.clicked.connect(slot_of(self.mended.emit, finding))
            line.addWidget(mend)
        if self._on_map and finding.about:
            tip = tr("Brings these features into view, and selects them unless only selected ones are used.")
            show = self._button("Show", tr("Show"), finding, tip)
            show.clicked.connect(slot_of(self.shown.emit, finding))
            line.addWidget(show)
        return row

    def _button(self, kind: str, text: str, finding: Finding, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(f"{self.objectName()}{kind}_{finding.kind}")
        button.setToolTip(plain(tip))
        button.setAccessibleName(f"{text}: {finding.text}")
        return button
