# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the fields of labels hold what a training reads in them: dates, and parts of a split."""

from __future__ import annotations

import datetime as dt
from itertools import islice
from typing import Callable, Collection, List, Optional, Sequence, Set

from .._client.dates import parse_date
from ..i18n import tr
from .label_parts import LabelPart, Naming, readers
from .labels import MOST_COUNTED

PARTS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "test": "test", "testing": "test",
}  # fmt: skip
"""The spellings that the library reads (timo/series/parts.py)."""


def checker(
    parts: Sequence[LabelPart], date_field: str, split_field: str, days: Collection[dt.date]
) -> Callable[[], str]:
    """A function that looks into the fields; it may be called in another thread.

    Args:
        parts: The labels.
        date_field: Holds the date of each; empty where it is not asked for.
        split_field: Holds the part of each; empty where it is not asked for.
        days: The dates of the series.

    Returns:
        The function, which returns a sentence about the first fault, empty if there is none.
    """
    fields = [name for name in (date_field, split_field) if name]
    missing = _missing(parts, fields)
    read = readers(parts, fields, shapes=False)

    def check() -> str:
        if missing:
            return missing
        values: List[Set[str]] = [set() for _ in fields]
        for reader in read:
            for feature, _ in islice(reader.features(Naming()), MOST_COUNTED):
                for found, text in zip(values, reader.others(feature)):
                    if text:
                        found.add(text)
        told = dict(zip(fields, values))
        dated = _of_dates(date_field, told[date_field], days) if date_field else ""
        return dated or (_of_parts(split_field, told[split_field]) if split_field else "")

    return check


def _missing(parts: Sequence[LabelPart], fields: Sequence[str]) -> str:
    """What is said where a further layer lacks a field of the first; empty if none does."""
    for part in parts[1:]:
        for name in fields:
            if part.layer.fields().lookupField(name) < 0:
                return tr(
                    "Layer '{layer}' has no field '{field}', which is read for each label: add it, or untick "
                    "the layer.",
                    layer=part.layer.name(), field=name,
                )  # fmt: skip
    return ""


def _of_dates(field: str, values: Set[str], days: Collection[dt.date]) -> str:
    if not values:
        return tr("Field '{field}' is empty: pick the field that holds the date of each label.", field=field)
    found: List[Optional[dt.date]] = [parse_date(text) for text in values]
    if not any(found):
        return tr(
            "Field '{field}' holds no dates (first '{value}'): pick another, or write them as 2020-08-01.",
            field=field, value=min(values),
        )  # fmt: skip
    if days and not set(found) & set(days):
        return tr(
            "No date in field '{field}' (first {date}) is a date of the series: tick the layers of these "
            "days.",
            field=field, date=min(date for date in found if date),
        )  # fmt: skip
    return ""


def _of_parts(field: str, values: Set[str]) -> str:
    odd = sorted(text for text in values if text.lower() not in PARTS)
    if odd:
        return tr(
            "Field '{field}' has the value '{value}': it must say train, validation or test.",
            field=field, value=odd[0],
        )  # fmt: skip
    missing = [part for part in ("train", "validation") if part not in {PARTS[v.lower()] for v in values}]
    if missing:
        return tr(
            "No label has '{part}' in field '{field}': mark some to learn from as train, some to judge by as "
            "validation.",
            part=missing[0], field=field,
        )  # fmt: skip
    return ""
