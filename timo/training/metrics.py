# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy figures of maps, from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torchmetrics.classification import MulticlassConfusionMatrix

from timo.series.labels import NOT_LABELLED


class Accuracy:
    """Gathers predictions, and tells overall and per-class figures.

    Args:
        classes: The classes' names, in the order of their indices.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)
        self._matrix = MulticlassConfusionMatrix(len(classes), ignore_index=NOT_LABELLED)

    def update(self, predicted: torch.Tensor, labels: torch.Tensor) -> None:
        """Add class indices of the same shape; labels of 255 do not count."""
        self._matrix.update(predicted.cpu(), labels.cpu())

    def figures(self) -> dict[str, Any]:
        """What ``figures_of`` tells of all that was added."""
        return figures_of(self._matrix.compute().to(torch.int64).tolist(), self.classes)


def figures_of(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> dict[str, Any]:
    """Overall and per-class figures of a confusion matrix.

    Args:
        matrix: (K, K) pixels; rows are the reference, columns the map.
        classes: (K,) names.

    Returns:
        ``pixels``, ``overall_accuracy``, ``kappa`` (Cohen's), ``mean_iou`` and ``macro_f1`` over the classes
        that occur in the reference, ``per_class`` figures, and ``confusion_matrix``. A figure that is not
        defined (a class that does not occur) is None.
    """
    reference = [sum(row) for row in matrix]
    mapped = [sum(column) for column in zip(*matrix, strict=True)]
    right = [row[k] for k, row in enumerate(matrix)]
    total = sum(reference)
    per_class: list[dict[str, Any]] = [
        {
            "name": name,
            "pixels": reference[k],
            "producers_accuracy": _ratio(right[k], reference[k]),
            "users_accuracy": _ratio(right[k], mapped[k]),
            "f1": _ratio(2 * right[k], reference[k] + mapped[k]),
            "iou": _ratio(right[k], reference[k] + mapped[k] - right[k]),
        }
        for k, name in enumerate(classes)
    ]
    occurring = [row for row in per_class if row["pixels"] > 0]
    by_chance = sum(one * other for one, other in zip(reference, mapped, strict=True))
    return {
        "pixels": total,
        "overall_accuracy": _ratio(sum(right), total),
        "mean_iou": _mean([row["iou"] for row in occurring]),
        "macro_f1": _mean([row["f1"] for row in occurring]),
        "kappa": _ratio(total * sum(right) - by_chance, total**2 - by_chance),
        "per_class": per_class,
        "confusion_matrix": [list(row) for row in matrix],
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
