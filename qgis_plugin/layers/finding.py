# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing that is wrong with a series or with labels, or worth knowing. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Tuple


@dataclass(frozen=True)
class Finding:
    """A sentence, and what can be done about it.

    Attributes:
        kind: A word for what it is about.
        text: The sentence.
        fix: What the button that mends it says; empty where nothing can be mended at once.
        about: Ids of the layers, or of the features, at fault.
        serious: Whether it may spoil the result, so that it is drawn as a warning.
        tip: What the button does.
    """

    kind: str
    text: str
    fix: str = ""
    about: Tuple[Any, ...] = ()
    serious: bool = True
    tip: str = ""
