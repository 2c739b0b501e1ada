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
        """Overall accuracy, mean IoU over the classes that occur, figures of each class, and the matrix.

        Rows of ``confusion_matrix`` are the reference, columns the map, in pixels. A figure that is not
        defined (a class that does not occur) is None.
        """
        matrix = self._matrix.compute().to(torch.int64)
        right, reference, mapped = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
        either = reference + mapped - right
        per_class: list[dict[str, Any]] = [
            {
                "name": name,
                "pixels": int(reference[k]),
                "producers_accuracy": _ratio(right[k], reference[k]),
                "users_accuracy": _ratio(right[k], mapped[k]),
                "f1": _ratio(2 * right[k], reference[k] + mapped[k]),
                "iou": _ratio(right[k], either[k]),
            }
            for k, name in enumerate(self.classes)
        ]
        ious = [row["iou"] for row, n in zip(per_class, reference.tolist(), strict=True) if n > 0]
        return {
            "pixels": int(matrix.sum()),
            "overall_accuracy": _ratio(right.sum(), matrix.sum()),
            "mean_iou": sum(ious) / len(ious) if ious else None,
            "per_class": per_class,
            "confusion_matrix": matrix.tolist(),
        }


def _ratio(part: torch.Tensor, whole: torch.Tensor) -> float | None:
    return float(part) / float(whole) if whole > 0 else None
