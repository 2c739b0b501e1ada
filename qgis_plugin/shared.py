# SPDX-License-Identifier: GPL-3.0-or-later
"""What all pages share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .backend.link import Backend
from .background import Background
from .settings import Settings


@dataclass(frozen=True)
class Shared:
    """Handed to each page.

    Attributes:
        iface: QGIS's interface.
    """

    iface: Any
    settings: Settings
    backend: Backend
    background: Background
