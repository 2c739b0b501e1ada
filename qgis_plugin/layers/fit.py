# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a series fits a model, by the backend's own rules: ``timo.bundle.fit_series``. No Qt.

Where the project does not tell enough, nothing is said: the job will.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from functools import lru_cache
from typing import Dict, List, Optional, Sequence, Tuple

from ..i18n import tr, trn
from ..models import Model
from .frames import Row, backend_keys, dates, ticked
from .pixels import in_degrees, side
from .raster_facts import is_mask

Names = Tuple[str, ...]
Frames = Dict[dt.date, List[Row]]

MOST_RATIO = 3.0
"""Of pixels' sides: beyond, the backend refuses. A test compares it with the backend's."""
ALIKE = (0.75, 1.33)
"""Within, the backend has no doubt."""


def judge(model: Model, rows: Sequence[Row]) -> Tuple[str, List[str]]:
    """Why the backend would refuse, and what lets the map be worse than the model's figures promise.

    Args:
        model: That shall map the series.
        rows: Of the series, checked, with those that are not ticked.

    Returns:
        A sentence that says what to do, empty if the backend is not known to refuse; and each doubt, if it
        does not.
    """
    frames = _frames(rows)
    sides = _sides(model, frames)
    told = {"side": f"{sides[0]:.3g}", "own": f"{sides[1]:.3g}"} if sides is not None else {}
    ratio = sides[0] / sides[1] if sides is not None else 1.0
    if not 1 / MOST_RATIO <= ratio <= MOST_RATIO:
        return tr(
            "The series has pixels of {side} m, and the model was trained on {own} m: tick layers of about "
            "its resolution, or train a model on these.", **told), []  # fmt: skip
    missing = _why_not_bands(model, frames)
    if missing:
        return missing, []
    doubts, count = [], len(dates(rows))
    if model.date_count and count != model.date_count:
        doubts.append(tr(
            "The series has {dates} dates, and the model was trained on {count}: "
            "it can be used, but the map may be poorer than the model's accuracy says.",
            dates=count, count=model.date_count))  # fmt: skip
    if not ALIKE[0] < ratio < ALIKE[1]:
        doubts.append(tr(
            "The series has pixels of {side} m, and the model was trained on {own} m: "
            "it can be used, but the map may be poorer than the model's accuracy says.", **told))  # fmt: skip
    return "", doubts


def _sides(model: Model, frames: Frames) -> Optional[Tuple[float, float]]:
    """Sides of pixels in metres, the series' and the model's; None where one of them has none.

    The series' are those of the finest raster, of the dates that have its usual bands.
    """
    if not (model.pixel and model.pixel_height and frames) or in_degrees(model.crs):
        return None
    keys = {
        date: frozenset().union(*(backend_keys(row.bands, row.roles) for row in same))
        for date, same in frames.items()
    }
    kinds = Counter(keys.values())
    usual = max(kinds, key=lambda one: len(one) * sum(kinds[other] for other in kinds if one <= other))
    sizes = [row.pixel for date, same in frames.items() if usual <= keys[date] for row in same]
    own = side(model.crs, model.pixel, model.pixel_height)
    known = [size for size in sizes if size]
    return (min(known), own) if own and len(known) == len(sizes) else None


def _why_not_bands(model: Model, frames: Frames) -> str:
    if not frames or not all(_known(row.bands, row.roles) for same in frames.values() for row in same):
        return ""
    wanted = list(dict.fromkeys(band.lower() for band in model.bands))
    there = {
        date: frozenset().union(*(one for row in same for one in (row.bands, row.roles)))
        for date, same in frames.items()
    }
    date, most = max(there.items(), key=lambda entry: sum(band in entry[1] for band in wanted))
    anywhere = frozenset().union(*there.values())
    nowhere = [band for band in wanted if band not in anywhere]
    if nowhere:
        return trn(
            "The model needs the band {names}, which the series does not have: tick other layers, or "
            "say on the page Series what their bands measure.",
            "The model needs the bands {names}, which the series does not have: tick other layers, or "
            "say on the page Series what their bands measure.",
            len(nowhere), names=", ".join(nowhere))  # fmt: skip
    missing = [band for band in wanted if band not in most]
    if missing:
        return tr(
            "No date of the series has all bands that the model needs, and {date} lacks {names}: tick the "
            "other layers of that date, or say on the page Series what their bands measure.",
            date=date.isoformat(), names=", ".join(missing))  # fmt: skip
    return ""


def _frames(rows: Sequence[Row]) -> Frames:
    """The files of each date; those of a search are not known yet, and masks are no images."""
    found: Frames = {}
    for row in ticked(rows):
        if row.date is not None and row.path is not None and not row.mask:
            found.setdefault(row.date, []).append(row)
    return found


# Files of a series have the same few bands.


@lru_cache(maxsize=256)
def _known(bands: Names, roles: Names) -> bool:
    """Whether it is known of all bands of a file what they measure."""
    return bool(bands) and all(role or is_mask(name) for name, role in zip(bands, roles))
