# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures as an analyst reads them."""

from __future__ import annotations

from collections.abc import Sequence

THIN = "\u202f"
"""A narrow space that no line breaks at: parts thousands."""


def of_hundred(share: float) -> str:
    """A share of 0 to 1 as so many of a hundred, never rounded to all or none."""
    if share >= 1:
        return "all"
    if share <= 0:
        return "none"
    if share > 0.995:
        return "more than 99"
    return "less than 1" if share < 0.005 else f"{share * 100:.0f}"


def percent(share: float | None) -> str:
    """A share of 0 to 1 in percent, never rounded to all or none; a dash if it isn't defined."""
    if share is None:
        return "–"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{min(share * 100, 99.9 if share < 1 else 100):.1f} %"


def plus_minus(share: float | None, interval: float | None) -> str:
    """A share and its interval in percent."""
    return percent(share) if interval is None else f"{percent(share)[:-2]} ± {interval * 100:.1f} %"


def number(value: float | None, digits: int = 2) -> str:
    """A figure between -1 and 1."""
    return "–" if value is None else f"{value:.{digits}f}"


def count(value: int) -> str:
    """A whole number, its thousands apart."""
    return f"{value:,}".replace(",", THIN)


def amount(value: float | None) -> str:
    """An area, with digits enough for its size."""
    return "–" if value is None else _grouped(value, _digits(value))


def interval(value: float | None, estimate: float | None) -> str:
    """What is added to and taken from an estimate, with the digits of both."""
    if value is None or estimate is None:
        return "–"
    digits = _digits(estimate)
    return f"± {_grouped(value, digits if round(value, digits) or not value else _digits(value))}"


def _digits(value: float) -> int:
    size = abs(value)
    return 0 if size >= 100 or not size else 1 if size >= 10 else 2 if size >= 1 else 3


def _grouped(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}".replace(",", THIN)


def joined(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def plural(value: int, one: str, many: str) -> str:
    """A number with its word."""
    return f"{count(value)} {one if value == 1 else many}"
