# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training can start from: encoders of bundles, also of those that map nothing themselves. No Qt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import FrozenSet, Iterable, List, Optional

from .models import CARD, LARGEST, bundle_folders, seen, told_apart


@dataclass(frozen=True)
class Start:
    """A bundle whose encoder can be gone on with.

    Attributes:
        bands: All names that its bands go by, in small letters.
        size: Its variant, such as ``timo_tiny``.
        told: What it was trained on, in a sentence.
    """

    folder: Path
    name: str
    bands: FrozenSet[str]
    size: str
    told: str

    def fits(self, series: Iterable[str]) -> bool:
        """Whether it knows one band of a series at least; so it is taken where bands have no names."""
        named = {band.lower() for band in series if band}
        return not named or bool(named & self.bands)


def find_starts(home: Path, others: Iterable[str]) -> List[Start]:
    """The bundles in these folders; what cannot be read is left out."""
    found = map(read_start, bundle_folders(home, others))
    return told_apart([one for one in found if one is not None])


def read_start(folder: Path) -> Optional[Start]:
    """A bundle as something to start from; None if it cannot be read."""
    path = folder / CARD
    try:
        if path.stat().st_size > LARGEST:
            return None
        card = json.loads(path.read_text(encoding="utf-8"))
        bands = frozenset(
            str(band[key]).lower()
            for band in card["bands"]
            for key in ("key", "name", "role")
            if band.get(key)
        )
        return Start(
            folder,
            str(card.get("name") or folder.name),
            bands,
            str(card["architecture"]["name"]),
            seen(card),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
