# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares as an analyst reads them. No Qt."""

from __future__ import annotations


def percent(share: float, digits: int = 0) -> str:
    """A share of 0 to 1 in percent, without the sign: 100 is all of it, 0 is none, and nothing else is.

    Args:
        share: The share.
        digits: Behind the point.
    """
    step = 10.0**-digits
    if 0 < share < 1 and 100 * share < step / 2:
        return f"< {step:.{digits}f}"
    most = 100 - step if share < 1 else 100.0
    return f"{min(100 * share, most):.{digits}f}"
