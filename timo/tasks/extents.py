# SPDX-License-Identifier: GPL-3.0-or-later
"""An area given by four numbers. No library: the backend reads it, too."""

from __future__ import annotations


def read_extent(text: str) -> tuple[float, float, float, float] | None:
    """Left, bottom, right and top of ``left,bottom,right,top``; None of anything else, such as a path."""
    parts = text.split(",")
    if len(parts) != 4:
        return None
    try:
        left, bottom, right, top = map(float, parts)
    except ValueError:
        return None
    return left, bottom, right, top
