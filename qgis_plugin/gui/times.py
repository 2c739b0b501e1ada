# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments and sizes as the analyst's country writes them."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import QDate, QDateTime, QLocale


def when(seconds: Optional[float], *, brief: bool = False) -> str:
    """A time in the short form of the analyst's country.

    Args:
        seconds: Since 1970-01-01 UTC.
        brief: Leave out the date where it is today, and the time where it is not.
    """
    if not seconds:
        return ""
    moment, locale = QDateTime.fromSecsSinceEpoch(int(seconds)), QLocale()
    if not brief:
        return locale.toString(moment, QLocale.FormatType.ShortFormat)
    if moment.date() == QDate.currentDate():
        return locale.toString(moment.time(), QLocale.FormatType.ShortFormat)
    return locale.toString(moment.date(), QLocale.FormatType.ShortFormat)


def size(count: int) -> str:
    """A number of bytes in a unit that suits it."""
    return QLocale().formattedDataSize(count, 1)
