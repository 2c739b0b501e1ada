# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dock's pages have in common: an introduction, a body that scrolls, a footer that stays."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ..compat import icon, label
from ..shared import Shared
from .why import RemedyButton, remedy_of

MARGIN = 10
SPACING = 8


class Page(QWidget):
    """One page of the dock.

    Args:
        shared: What all pages share.
        name: The prefix of the object names of its widgets.
        intro: One or two sentences at its top.
    """

    def __init__(self, shared: Shared, name: str, intro: str) -> None:
        super().__init__()
        self.shared = shared
        self.prefix = name
        self.setObjectName(f"{name}Page")
        inner = QWidget()
        self.body = QVBoxLayout(inner)
        self.body.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        self.body.setSpacing(SPACING)
        self.body.addWidget(label(intro, f"{name}Intro", muted=True))
        scroll = QScrollArea()
        scroll.setObjectName(f"{name}Scroll")
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        scroll.viewport().setAutoFillBackground(False)
        inner.setAutoFillBackground(False)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(scroll, 1)
        self.footer = QVBoxLayout()
        self.footer.setContentsMargins(MARGIN, 6, MARGIN, MARGIN)
        self.footer.setSpacing(6)
        whole.addLayout(self.footer)
        self.scroller = scroll

    def minimumSizeHint(self) -> QSize:
        """Narrow enough for a dock beside a map, wide enough that nothing is cut off."""
        inner = self.scroller.widget().minimumSizeHint().width()
        bar = self.scroller.verticalScrollBar().sizeHint().width()
        return QSize(max(300, inner + bar), 240)


class RunFooter(QWidget):
    """A page's main button, and beside it why it cannot be pressed now.

    Args:
        name: Prefix of the object names.
        text: The button's text.
        picture: The name of its icon.
    """

    def __init__(self, name: str, text: str, picture: str) -> None:
        super().__init__()
        self.trouble = ""
        """What went wrong with the last press; shown until the analyst changes something."""
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACING)
        self.reason = label("", f"{name}Reason", muted=True)
        self.reason.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.button = QPushButton(icon(picture), text)
        self.button.setObjectName(f"{name}Run")
        self.button.setMinimumHeight(32)
        self.button.setMinimumWidth(110)
        self.remedy = RemedyButton(f"{name}Remedy")
        told = QVBoxLayout()
        told.setSpacing(4)
        told.addWidget(self.reason, 1)
        told.addWidget(self.remedy, 0, Qt.AlignmentFlag.AlignLeft)
        row.addLayout(told, 1)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignBottom)

    def show_reason(self, why_not: str) -> None:
        """Enable the button if nothing speaks against it.

        Args:
            why_not: Why it cannot be pressed, perhaps with what helps; empty if it can.
        """
        self.button.setEnabled(not why_not)
        text = why_not or self.trouble
        if self.reason.text() != text:
            self.reason.setText(text)
        self.remedy.offer(remedy_of(text))
