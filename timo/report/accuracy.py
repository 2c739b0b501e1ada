# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy figures in words and tables: what the reports of a training and of an evaluation share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from timo.report import figures as plots
from timo.report.page import Html, cards, class_name, image, joined, paragraph, safe_color, section, table
from timo.report.words import count, number, of_hundred, percent

MOST_COLUMNS = 30
"""Classes of which the whole matrix is printed; of more, only the commonest confusions."""


def right_of_hundred(figures: Mapping[str, Any], pixels: str = "labelled pixels") -> str:
    """The first sentence: how many of 100 are right."""
    share, total = figures["overall_accuracy"], figures["pixels"]
    right = round(share * total)
    return f"Of 100 {pixels}, {of_hundred(share)} are mapped right ({count(right)} of {count(total)})."


def best_and_worst(figures: Mapping[str, Any]) -> list[str]:
    """Which classes go well, which badly, and what the bad ones are taken for."""
    rows = [row for row in figures["per_class"] if row["pixels"] and row["f1"] is not None]
    if len(rows) < 2:
        return []
    best, worst = max(rows, key=lambda row: row["f1"]), min(rows, key=lambda row: row["f1"])
    if best["f1"] == worst["f1"]:
        return []
    said = f"'{best['name']}' is mapped best (F1 {number(best['f1'])}), '{worst['name']}' worst (F1 "
    said += f"{number(worst['f1'])})"
    names = [row["name"] for row in figures["per_class"]]
    wrong = _confusions(figures["confusion_matrix"], names, of=names.index(worst["name"]))
    if wrong:
        pixels, _, other = wrong[0]
        share = of_hundred(pixels / worst["pixels"])
        said += f": of 100 of its labels, {share} are mapped as '{other}'"
    return [f"{said}."]


def accuracy_cards(figures: Mapping[str, Any], more: Sequence[tuple[str, str]] = ()) -> Html:
    """The overall figures; bundles of earlier versions lack some."""
    return cards(
        [
            (percent(figures["overall_accuracy"]), "overall accuracy"),
            (number(figures.get("macro_f1"), 3), "macro F1"),
            (number(figures["mean_iou"], 3), "mean IoU"),
            (number(figures.get("kappa"), 3), "kappa"),
            *more,
        ]
    )


def accuracy_plots(figures: Mapping[str, Any], colors: Sequence[str]) -> Html:
    """The plots of each class's accuracy and of what is taken for what."""
    names = [row["name"] for row in figures["per_class"]]
    safe = [safe_color(color) for color in colors]
    return section(
        "Accuracy of the classes",
        image(
            plots.class_accuracy(figures["per_class"], safe),
            "Plot of user's accuracy, producer's accuracy and F1 of each class",
            "User's accuracy: how much of what is mapped as a class truly is of it. Producer's accuracy: "
            "how much of a class is mapped as it. F1 is low where either is.",
        ),
        image(
            plots.confusion_matrix(figures["confusion_matrix"], names, safe),
            "Plot of the confusion matrix",
            "Of 100 labelled pixels of each class (a row), so many are mapped as each class (a column).",
        ),
    )


def accuracy_tables(figures: Mapping[str, Any], colors: Sequence[str]) -> Html:
    """Figures of the classes and the confusion matrix, with user's and producer's accuracy at its edges."""
    rows = [
        [
            class_name(row["name"], color),
            count(row["pixels"]),
            percent(row["users_accuracy"]),
            percent(row["producers_accuracy"]),
            number(row["f1"], 3),
            number(row["iou"], 3),
        ]
        for row, color in zip(figures["per_class"], colors, strict=True)
    ]
    header = ["Class", "Labelled pixels", "User's accuracy", "Producer's accuracy", "F1", "IoU"]
    return section("Figures", table(header, rows), _matrix_table(figures, colors))


def _matrix_table(figures: Mapping[str, Any], colors: Sequence[str]) -> Html:
    per_class, matrix = figures["per_class"], figures["confusion_matrix"]
    names = [row["name"] for row in per_class]
    if len(names) > MOST_COLUMNS:
        rows = [
            [
                class_name(names[of], colors[of]),
                class_name(other, colors[names.index(other)]),
                count(pixels),
                percent(pixels / per_class[of]["pixels"]),
            ]
            for pixels, of, other in _confusions(matrix, names)[:40]
        ]
        return joined(
            paragraph("The commonest errors; the whole matrix is in report.json.", "small"),
            table(["Labelled as", "Mapped as", "Pixels", "Of the class"], rows),
        )
    classes = [class_name(name, color) for name, color in zip(names, colors, strict=True)]
    body = [
        [one, *map(count, row), count(sum(row)), percent(figure["producers_accuracy"])]
        for one, row, figure in zip(classes, matrix, per_class, strict=True)
    ]
    mapped = [sum(column) for column in zip(*matrix, strict=True)]
    ends = [
        ["Mapped", *map(count, mapped), count(sum(mapped)), ""],
        ["User's accuracy", *(percent(row["users_accuracy"]) for row in per_class), "",
         percent(figures["overall_accuracy"])],
    ]  # fmt: skip
    return table(
        ["Labelled as \\ mapped as", *classes, "Labelled", "Producer's accuracy"],
        [*body, *ends],
        "Confusion matrix in pixels: rows are the labels, columns the map.",
        diagonal=len(names),
    )


def _confusions(
    matrix: Sequence[Sequence[int]], names: Sequence[str], of: int | None = None
) -> list[tuple[int, int, str]]:
    """(pixels, the labels' class, what it is mapped as) of the errors, most first."""
    found = [
        (pixels, i, names[j])
        for i, row in enumerate(matrix)
        for j, pixels in enumerate(row)
        if i != j and pixels and of in (None, i)
    ]
    return sorted(found, key=lambda one: -one[0])
