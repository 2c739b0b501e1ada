# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of ground that no date shows: nothing can be learnt of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from timo.errors import LabelError
from timo.series.labels import NOT_LABELLED, Labels
from timo.series.prepared import PreparedSeries
from timo.series.words import counted


def seen_labels(
    labels: Sequence[Labels], series: Sequence[PreparedSeries], name: str
) -> tuple[list[Labels], list[str]]:
    """The labels that lie where their series has data.

    Args:
        labels: Of each place, of one class scheme.
        series: Of each place.
        name: What the labels are called.

    Returns:
        The labels, and a sentence on how many others there are, if any.

    Raises:
        LabelError: No label is left, or those of one class alone.
    """
    kept = [_seen(one, frames) for one, frames in zip(labels, series, strict=True)]
    lost = sum(int((before.counts - after.counts).sum()) for before, after in zip(labels, kept))
    if not lost:
        return kept, []
    left = np.flatnonzero(np.sum([one.counts for one in kept], axis=0))
    if len(left) < 2:
        only = [f"label but those of class '{labels[0].scheme.classes[i].name}'" for i in left]
        raise LabelError(
            "labels_without_data",
            f"No {only[0] if only else 'label'} of {name} lies where the series has data on any date.",
            "Give labels where the series has data.",
        )
    told = counted(
        lost,
        f"labelled pixel of {name} lies where no date has data: not used.",
        f"labelled pixels of {name} lie where no date has data: not used.",
    )
    return kept, [told]


def _seen(labels: Labels, series: PreparedSeries) -> Labels:
    labelled = labels.map != NOT_LABELLED
    seen = series.seen(labelled)
    if seen[labelled].all():
        return labels
    kept = np.where(seen, labels.map, np.uint8(NOT_LABELLED))
    return replace(
        labels,
        map=kept,
        dated=None if labels.dated is None else np.where(seen, labels.dated, np.uint8(NOT_LABELLED)),
        counts=np.bincount(kept[kept != NOT_LABELLED], minlength=len(labels.scheme)).astype(np.int64),
    )
