# SPDX-License-Identifier: GPL-3.0-or-later
"""What a chosen task sets by itself, and what a series lacks for it, in words."""

from __future__ import annotations

from typing import Any, Collection, Iterator, Mapping

from .._client.presets import PRESETS, Preset
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
        f"{tr(titles[key])} {_small(WORDS.get(str(value), (str(value), ''))[0].partition(':')[0])}"
        for key, value in preset.settings.items()
        if key not in values
    ]
    said = []
    if sets:
        said.append(tr("It also sets: {settings}; what you change under Advanced counts more.",
                       settings=", ".join(sets)))  # fmt: skip
    if dates:
        known = bands if ROLES & set(bands) else ROLES
        said += _doubts(preset, known, dates)
    return " ".join(said)


def fewest_dates(name: str) -> int:
    """The dates without which a task makes no sense: two where change tells it, fewer than advised.

    Args:
        name: Of the preset; empty for none.
    """
    preset = PRESETS.get(name)
    return min(2, preset.dates) if preset is not None else 1


def _doubts(preset: Preset, bands: Collection[str], dates: int) -> Iterator[str]:
    """What ``Preset.doubts`` says on the command line, in the analyst's language."""
    title = tr(preset.title)
    for choices in preset.bands:
        if not set(choices) & set(bands):
            yield tr("{title} is told apart by {wanted}, which the series lacks: the map may be poor.",
                     title=title, wanted=tr(" or ").join(choices))  # fmt: skip
    if dates < preset.dates:
        yield tr("{title} takes at least {least} dates, and the series has {dates}: add dates.",
                 title=title, least=preset.dates, dates=dates)  # fmt: skip


def _small(text: str) -> str:
    """As it stands within a sentence: its first letter small."""
    return text[:1].lower() + text[1:]
