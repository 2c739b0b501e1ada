# SPDX-License-Identifier: GPL-3.0-or-later
"""Why something cannot be done now: a sentence, and a button that helps."""

from __future__ import annotations

from typing import Any, Callable, Optional, Tuple

Remedy = Tuple[str, Callable[[], Any]]
"""A button's text, and what a press of it does."""


class Why(str):
    """A sentence as any other, with what helps."""

    remedy: Optional[Remedy] = None


def helped(sentence: str, text: str, act: Callable[[], Any]) -> str:
    """A sentence with a button that helps.

    Args:
        sentence: Why it cannot be done; an empty one needs no help.
        text: The button's text.
        act: What a press of it does.
    """
    why = Why(sentence)
    if sentence:
        why.remedy = text, act
    return why
