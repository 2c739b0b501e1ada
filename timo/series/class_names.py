# SPDX-License-Identifier: GPL-3.0-or-later
"""What an analyst says of the labels' classes: their names where the labels hold codes, and their colours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from timo.errors import SpecError
from timo.series.labels import ClassScheme

_LISTED = 5
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


def read_colors(pairs: Sequence[str]) -> dict[str, str]:
    """The colours of classes as #rrggbb, from NAME=#rrggbb.

    Raises:
        SpecError: Naming the pair that is none.
    """
    colors: dict[str, str] = {}
    for pair in pairs:
        name, _, color = pair.rpartition("=")
        if not name or not _COLOR.fullmatch(color):
            raise SpecError(
                "spec_invalid", f"Colour '{pair}' is not of the form NAME=#rrggbb.", "Correct it."
            )
        colors[name] = color.lower()
    return colors


def read_names(pairs: Sequence[str]) -> dict[str, str]:
    """The names of classes, by what the labels hold, from CODE=NAME.

    Raises:
        SpecError: Naming the pair that is none, or the name that two classes would have.
    """
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    for pair in pairs:
        code, _, name = (part.strip() for part in pair.partition("="))
        if not code or not name:
            raise SpecError(
                "spec_invalid", f"Class name '{pair}' is not of the form CODE=NAME.", "Correct it."
            )
        other = owners.setdefault(name, code)
        if other != code:
            raise SpecError(
                "spec_invalid",
                f"Classes '{other}' and '{code}' would both be called '{name}'.",
                "Give each class a name of its own.",
            )
        names[code] = name
    return names


def unknown_classes(
    labels: str, colors: Mapping[str, str], names: Mapping[str, str], scheme: ClassScheme
) -> list[str]:
    """A legend may have more classes than a place: one too many is no fault, but may be a slip."""
    known = [c.name for c in scheme.classes]
    listed = ", ".join(known)
    found = [
        f"'{labels}' has no class '{name}' to give a colour to: its classes are {listed}."
        for name in sorted(set(colors) - set(known))
    ]
    unused = [code for code, name in names.items() if name not in known]
    if unused:
        named = ", ".join(unused[:_LISTED]) + (", ..." if len(unused) > _LISTED else "")
        found.append(f"'{labels}' has no class {named} to give a name to: its classes are {listed}.")
    return found
