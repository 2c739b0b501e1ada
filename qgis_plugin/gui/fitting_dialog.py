# SPDX-License-Identifier: GPL-3.0-or-later
"""A dialog that grows with the sentences in it."""

from __future__ import annotations

from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import QDialog

from ..timing import slot


class FittingDialog(QDialog):
    """Keeps room for all the lines that its texts take at its width, which Qt does only when it is shown."""

    def resizeEvent(self, event: QResizeEvent) -> None:
        """It may be narrower, and its texts longer."""
        super().resizeEvent(event)
        self._fit()

    @slot
    def fit_soon(self) -> None:
        """Grow if a text that was just set needs it."""
        QTimer.singleShot(0, self._fit)  # when the texts have been laid out

    @slot
    def _fit(self) -> None:
        layout = self.layout()
        if layout is not None and layout.totalHeightForWidth(self.width()) > self.height():
            self.resize(self.width(), layout.totalHeightForWidth(self.width()))
