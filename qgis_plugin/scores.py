# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a model is: the figures of a training's bundle or of an evaluation's report. No Qt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple

from .i18n import tr
from .models import CARD, LARGEST
from .percent import percent

REPORT = "report.json"
BUNDLE_PAGE, REPORT_PAGE, SPLIT = "report.html", "index.html", "split.gpkg"


@dataclass(frozen=True)
class ClassScore:
    """One class's figures, 0 to 1; None where they are not defined.

    Attributes:
        found: Share of its labelled pixels that are mapped as it (producer's accuracy, recall).
        right: Share of what is mapped as it that is it (user's accuracy, precision).
    """

    value: int
    name: str
    color: str
    pixels: int
    found: Optional[float]
    right: Optional[float]
    f1: Optional[float]


@dataclass(frozen=True)
class Scores:
    """A confusion matrix, and where to look further.

    Attributes:
        matrix: Pixels; rows are the labels, columns the map.
        judged: What was compared, in words: of which pixels.
        page: The report to read.
        errors: Rasters of an evaluation: 0 right, 1 wrong, 255 neither.
        split: The polygons of the parts of a training's labels.
        model: The model's checksum, which its maps carry, too.
        problem: Why there is nothing to show; empty if there is.
    """

    classes: Tuple[ClassScore, ...] = ()
    matrix: Tuple[Tuple[int, ...], ...] = ()
    accuracy: Optional[float] = None
    judged: str = ""
    page: Optional[Path] = None
    errors: Tuple[Path, ...] = ()
    split: Optional[Path] = None
    model: str = ""
    problem: str = ""

    @property
    def sentence(self) -> str:
        """The first figure in words."""
        if self.problem:
            return self.problem
        if self.accuracy is None:
            return tr("No labels were kept to judge it.")
        return tr(
            "{share} of 100 {judged} are mapped right.", share=percent(self.accuracy), judged=self.judged
        )

    def cell(self, row: int, column: int) -> str:
        """One cell of the matrix, as a sentence."""
        total = sum(self.matrix[row])
        share = percent(self.matrix[row][column] / total) if total else "0"
        return tr(
            "{count} of {total} pixels labelled '{label}' are mapped as '{mapped}': {share} %.",
            count=self.matrix[row][column], total=total, share=share,
            label=self.classes[row].name, mapped=self.classes[column].name,
        )  # fmt: skip


def read_scores(folder: Path) -> Scores:
    """The scores of a bundle, or of an evaluation's report, by its folder."""
    for name, read in ((REPORT, _of_report), (CARD, _of_bundle)):
        path = folder / name
        try:
            if not path.exists():
                continue
            if path.stat().st_size > LARGEST:
                return Scores(problem=tr("{path} is too large to be read.", path=path))
            return read(folder, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return Scores(problem=tr("{path} cannot be read.", path=path))
    return Scores(problem=tr("{folder} holds neither a model nor a report any more.", folder=folder))


def _of_bundle(folder: Path, card: Mapping[str, Any]) -> Scores:
    metrics = card["metrics"]
    tested = metrics.get("test") or {}
    figures = tested if tested.get("pixels") else metrics
    judged = (
        tr("test pixels, which it never saw,")
        if tested.get("pixels")
        else tr("pixels kept from the training")
    )
    split = folder / SPLIT
    return _scores(
        card["classes"], figures, judged=judged, page=_existing(folder / BUNDLE_PAGE), split=_existing(split),
        model=str(card.get("weights_sha256", "")),
    )  # fmt: skip


def _of_report(folder: Path, report: Mapping[str, Any]) -> Scores:
    files = [folder / Path(name).name for place in report["errors"] for name in place["files"]]
    return _scores(
        report["classes"], report["figures"], judged=tr("labelled pixels"),
        page=_existing(folder / REPORT_PAGE),
        errors=tuple(path for path in files if path.exists()), model=str(report["model"].get("sha256", "")),
    )  # fmt: skip


def _scores(classes: Any, figures: Mapping[str, Any], **more: Any) -> Scores:
    matrix = tuple(tuple(int(n) for n in row) for row in figures.get("confusion_matrix") or ())
    if len(matrix) != len(classes) or any(len(row) != len(classes) for row in matrix):
        return Scores(problem=tr("This model was not judged by classes."), page=more.get("page"))
    rows = tuple(
        ClassScore(
            int(one["value"]), str(one["name"]), str(one.get("color", "")), int(row.get("pixels") or 0),
            row.get("producers_accuracy"), row.get("users_accuracy"), row.get("f1"),
        )
        for one, row in zip(classes, figures["per_class"])
    )  # fmt: skip
    return Scores(rows, matrix, figures.get("overall_accuracy"), **more)


def _existing(path: Path) -> Optional[Path]:
    return path if path.exists() else None
