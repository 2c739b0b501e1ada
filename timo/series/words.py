# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, one: str, many: str) -> str:
    """A number and what follows it, which is worded otherwise after a single one."""
    return f"{number} {one if number == 1 else many}"


def sized(size: float) -> str:
    """Bytes in gigabytes (of 2^30), or megabytes where it is less than one."""
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.1f} MB"
