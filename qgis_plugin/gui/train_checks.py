# SPDX-License-Identifier: GPL-3.0-or-later
"""What is doubtful in the labels, a line each, with the buttons that show and mend it."""

from __future__ import annotations

from typing import Sequence

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStyle, QVBoxLayout, QWidget

from ..compat import label
from ..i18n import tr
from ..layers.label_checks import Finding
from ..timing import slot


class ChecksList(QWidget):
    """Hidden while there is nothing to say.

    Args:
        name: Prefix of the object names: a line's buttons are ``NAMEShow_kind`` and ``NAMEMend_kind``.
    """

    shown = pyqtSignal(object)
    """A Finding whose features shall be seen."""
    mended = pyqtSignal(object)
    """A Finding whose features shall be repaired."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.lines: Sequence[Finding] = ()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self.setVisible(False)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Show these in place of the former ones."""
        if list(findings) == list(self.lines):
            return
        self.lines = list(findings)
        while self._layout.count():
            old = self._layout.takeAt(0).widget()
            old.hide()
            old.setParent(None)
            old.deleteLater()
        for finding in self.lines:
            self._layout.addWidget(self._row(finding))
        self.setVisible(bool(self.lines))

    def _row(self, finding: Finding) -> QWidget:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        sign = QLabel()
        warning = self.style().standardIcon(QStyle.StandardPixmap.SP_MessageBoxWarning)
        sign.setPixmap(warning.pixmap(16, 16))
        line.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(label(finding.text, f"{self.objectName()}_{finding.kind}"), 1)
        if finding.mendable:
            line.addWidget(self._button("Mend", tr("Repair"), finding, tr(
                "Repairs these shapes in an editing session: save the layer, or undo it.")))  # fmt: skip
        if finding.features:
            line.addWidget(
                self._button("Show", tr("Show"), finding, tr("Selects these features on the map."))
            )
        return row

    def _button(self, kind: str, text: str, finding: Finding, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(f"{self.objectName()}{kind}_{finding.kind}")
        button.setToolTip(tip)
        button.setAccessibleName(f"{text}: {finding.text}")
        signal = self.mended if kind == "Mend" else self.shown

        @slot
        def press() -> None:
            signal.emit(finding)

        button.clicked.connect(press)
        return button
