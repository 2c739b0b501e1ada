# SPDX-License-Identifier: GPL-3.0-or-later
"""What a chosen task sets by itself, and what a series lacks for it, in words."""

from __future__ import annotations

from typing import Any, Collection, Mapping

from .._client.presets import PRESETS
from ..i18n import tr
from ..schema import parameters
from .form import WORDS

ROLES = {role for preset in PRESETS.values() for choices in preset.bands for role in choices}


def preset_words(name: str, values: Mapping[str, Any], bands: Collection[str], dates: int) -> str:
    """A few sentences; empty if there is nothing to tell.

    Args:
        name: Of the preset; empty for none.
        values: What the form sets, which is stronger than the preset.
        bands: Names of the series' bands. Where none of them is a role, such as ``b04``, the backend finds
            the roles out, and nothing is said of them here.
        dates: How many the series has; 0 if there is no series yet.
    """
    preset = PRESETS.get(name)
    if preset is None:
        return ""
    titles = {p.name: p.title for p in parameters("finetune")}
    sets = [
        f"{tr(titles[key])} {WORDS.get(str(value), (str(value), ''))[0].partition(':')[0].lower()}"
        for key, value in preset.settings.items()
        if key not in values
    ]
    said = []
    if sets:
        said.append(tr("It also sets: {settings}; what you change under Advanced counts more.",
                       settings=", ".join(sets)))  # fmt: skip
    if dates:
        known = bands if ROLES & set(bands) else ROLES
        said += preset.doubts(list(known), dates)
    return " ".join(said)
