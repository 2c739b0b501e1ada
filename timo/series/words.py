# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, one: str, many: str) -> str:
    """A number and what follows it, which is worded otherwise after a single one."""
    return f"{number} {one if number == 1 else many}"
