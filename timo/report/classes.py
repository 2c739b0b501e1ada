# SPDX-License-Identifier: GPL-3.0-or-later
"""Which class of the labels is which of a model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from timo.errors import LabelError
from timo.series.labels import NOT_LABELLED, ClassInfo

if TYPE_CHECKING:
    from timo.bundle import ClassCard


@dataclass(frozen=True)
class Match:
    """The labels' classes among the model's.

    Attributes:
        index: (256,) uint8, the model's index of each class of the labels; 255 for none.
        unknown: Indices of the labels' classes that the model doesn't have.
        notes: What an analyst should know, one sentence each.
    """

    index: NDArray[np.uint8]
    unknown: tuple[int, ...]
    notes: tuple[str, ...]


def match_classes(
    labels: Sequence[ClassInfo],
    model: Sequence[ClassCard],
    *,
    values_count: bool,
    labels_name: str,
    name: str,
) -> Match:
    """Match classes by name, and by value where one of the two has no name of its own.

    Args:
        labels: Classes of the labels.
        model: Classes of the model.
        values_count: Whether the labels' values mean something: those of polygons whose classes are texts are
            only numbered.
        labels_name: What the labels are called.
        name: What the model is called.

    Raises:
        LabelError: None of the classes is one of the model's.
    """
    by_name = {c.name: k for k, c in enumerate(model)}
    by_plain_name = {_plain(c.name): k for k, c in reversed(list(enumerate(model)))}
    by_value = {c.value: k for k, c in enumerate(model)}
    found: dict[int, int] = {}
    notes = []
    exact = [by_name.get(info.name) for info in labels]
    alike = [by_plain_name.get(_plain(info.name)) for info in labels]
    for same in (exact, alike):  # a name that is merely alike takes no exact one's place
        for i, k in enumerate(same):
            if i not in found and k is not None and k not in found.values():
                found[i] = k
    for i, k in sorted(found.items()):
        info = labels[i]
        if values_count and info.value != model[k].value and not _unnamed(info):
            notes.append(
                f"Class '{info.name}' has the value {info.value} in {labels_name} and {model[k].value} in "
                f"model '{name}': it was matched by its name."
            )
    for i, info in enumerate(labels):
        k = by_value.get(info.value)
        if i in found or k is None or k in found.values():
            continue
        if values_count and (_unnamed(info) or _unnamed(model[k])):
            found[i] = k
            notes.append(
                f"Class '{info.name}' of {labels_name} was taken as '{model[k].name}' of model '{name}': "
                f"both have the value {info.value}."
            )
    if not found:
        raise LabelError(
            "classes_unknown",
            f"{labels_name} has the classes {_listed(labels)}, and model '{name}' maps {_listed(model)}: "
            "none is the same.",
            "Give labels of the model's classes, named as the model names them.",
        )
    index = np.full(NOT_LABELLED + 1, NOT_LABELLED, np.uint8)
    index[list(found)] = list(found.values())
    unknown = tuple(i for i in range(len(labels)) if i not in found)
    return Match(index, unknown, tuple(notes))


def _plain(name: str) -> str:
    return name.strip().casefold()


def _unnamed(info: ClassInfo | ClassCard) -> bool:
    """Whether its name is only its value."""
    return info.name == str(info.value)


def _listed(classes: Sequence[ClassInfo] | Sequence[ClassCard]) -> str:
    names = [c.name for c in classes]
    return ", ".join(names if len(names) <= 12 else [*names[:12], "..."])
