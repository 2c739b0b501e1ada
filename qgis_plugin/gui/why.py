# SPDX-License-Identifier: GPL-3.0-or-later
"""Why something cannot be done now: a sentence, and a button that helps."""

from __future__ import annotations

from typing import Any, Callable, Optional, Tuple

from qgis.PyQt.QtWidgets import QPushButton

from ..i18n import tr
from ..timing import slot

Remedy = Tuple[str, Callable[[], Any]]
"""A button's text, and what a press of it does."""


class Why(str):
    """A sentence as any other, with what helps."""

    remedy: Optional[Remedy] = None


def helped(sentence: str, text: str, act: Callable[[], Any]) -> str:
    """A sentence with a button that helps.

    Args:
        sentence: Why it cannot be done; an empty one needs no help, and one that has help keeps it.
        text: The button's text.
        act: What a press of it does.
    """
    if remedy_of(sentence) is not None:
        return sentence
    why = Why(sentence)
    if sentence:
        why.remedy = text, act
    return why


def remedy_of(sentence: str) -> Optional[Remedy]:
    """What helps where this is so; None if nothing is known."""
    return sentence.remedy if isinstance(sentence, Why) else None


class RemedyButton(QPushButton):
    """The button below a sentence; hidden while nothing is known that helps.

    Args:
        name: The object name.
    """

    def __init__(self, name: str) -> None:
        super().__init__(tr("What helps"))  # until the text of a remedy comes
        self.setObjectName(name)
        self._remedy: Optional[Remedy] = None
        self.clicked.connect(self._on_press)
        self.hide()

    def offer(self, remedy: Optional[Remedy]) -> None:
        """Offer this, in place of what was offered before."""
        self._remedy = remedy
        self.setVisible(remedy is not None)
        if remedy is not None and self.text() != remedy[0]:
            self.setText(remedy[0])

    @slot
    def _on_press(self) -> None:
        if self._remedy is not None:
            self._remedy[1]()
