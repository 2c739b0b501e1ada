# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that tells what a map is worth beside labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timo.report import figures as plots
from timo.report.accuracy import (
    accuracy_cards,
    accuracy_plots,
    accuracy_tables,
    best_and_worst,
    right_of_hundred,
)
from timo.report.page import (
    Html,
    class_name,
    facts,
    image,
    lead,
    notes,
    page,
    paragraph,
    safe_color,
    section,
    table,
)
from timo.report.words import amount, count, interval, number, of_hundred, percent, plus_minus

OVERVIEW_WIDTH = 640
"""Of the map of errors, in CSS pixels."""

# Confidence and accuracy that differ by less are the same to a reader.
CLOSE = 0.02


def evaluation_page(
    report: Mapping[str, Any], overviews: Sequence[tuple[str, Sequence[str], NDArray[np.float64]]] = ()
) -> str:
    """The page of ``report.json``.

    Args:
        report: What stands in ``report.json``.
        overviews: Name of the place (empty if it is the only one), files of its maps of errors, and
            ``Overview.wrong``.
    """
    figures, colors = report["figures"], [c["color"] for c in report["classes"]]
    model, labels = report["provenance"]["Model"], report["provenance"]["Labels"]
    return page(
        f"How good is the map of '{report['model']['name']}'?",
        f"Model {model} beside the labels {labels}, {report['provenance']['Evaluated']}.",
        lead(summary(report)),
        accuracy_cards(
            figures,
            [(percent(report["calibration"]["expected_calibration_error"]), "calibration error")],
        ),
        notes(report["notes"]),
        accuracy_plots(figures, colors),
        _calibration(report),
        _areas(report, colors),
        _errors(overviews),
        accuracy_tables(figures, colors),
        section("How this was made", facts(report["provenance"])),
    )


def summary(report: Mapping[str, Any]) -> list[str]:
    """What the report says, in a few sentences."""
    said = [right_of_hundred(report["figures"])]
    new = report["outside_training"]
    if new is not None and 0 < new["pixels"] < report["figures"]["pixels"]:
        share = of_hundred(new["overall_accuracy"])
        said.append(f"Where the model was not trained, {share} of 100 are: this is the figure to trust.")
    said += best_and_worst(report["figures"])
    said += _confidence(report)
    said += _largest_correction(report)
    return said


def _confidence(report: Mapping[str, Any]) -> list[str]:
    mean, right = report["calibration"]["mean_confidence"], report["figures"]["overall_accuracy"]
    if mean is None or right is None:
        return []
    beside = f"its mean confidence on the labelled pixels is {percent(mean)}, and {percent(right)} are right"
    if abs(mean - right) < CLOSE:
        return [f"The map is about as sure of itself as it is right: {beside}."]
    surer = "surer" if mean > right else "less sure"
    return [f"The map is {surer} of itself than it is right: {beside}."]


def _largest_correction(report: Mapping[str, Any]) -> list[str]:
    areas = report["areas"]
    rows = [row for row in (areas or {}).get("classes", ()) if row["estimated"] is not None]
    if areas is None or not rows:
        return []
    row = max(rows, key=lambda one: abs(one["estimated"] - one["mapped"]))
    apart = "" if row["interval95"] is None else f" {interval(row['interval95'], row['estimated'])}"
    return [
        f"Corrected for the map's errors, '{row['name']}' covers {amount(row['estimated'])}{apart} "
        f"{areas['unit']}, where the map shows {amount(row['mapped'])}."
    ]


def _calibration(report: Mapping[str, Any]) -> Html:
    calibration = report["calibration"]
    rows = [
        [
            f"{row['from'] * 100:.0f} to {row['to'] * 100:.0f} %",
            count(row["pixels"]),
            percent(row["confidence"]),
            percent(row["accuracy"]),
        ]
        for row in calibration["bins"]
        if row["pixels"]
    ]
    return section(
        "Confidence",
        image(
            plots.reliability(calibration),
            "Reliability diagram",
            "Points below the dashed line: the map is surer than it is right. Expected calibration error "
            f"{percent(calibration['expected_calibration_error'])}: so far are confidence and accuracy "
            "apart, on average over the labelled pixels.",
        ),
        table(["Confidence", "Labelled pixels", "Mean confidence", "Right"], rows),
    )


def _areas(report: Mapping[str, Any], colors: Sequence[str]) -> Html:
    areas = report["areas"]
    if areas is None:
        return section(
            "Areas",
            paragraph(
                "Areas were not estimated. That needs the map of the whole series (--areas), and a model "
                "that makes one map of it."
            ),
        )
    unit, safe = areas["unit"], [safe_color(color) for color in colors]
    rows = []
    for row, color in zip(areas["classes"], colors, strict=True):
        rows.append(
            [
                class_name(row["name"], color),
                amount(row["mapped"]),
                amount(row["estimated"]),
                interval(row["interval95"], row["estimated"]),
                plus_minus(row["users_accuracy"], row["users_accuracy_interval95"]),
                plus_minus(row["producers_accuracy"], row["producers_accuracy_interval95"]),
            ]
        )
    sure = any(row["interval95"] == 0 or row["users_accuracy_interval95"] == 0 for row in areas["classes"])
    none = " An interval of 0 says that no labelled pixel was wrong, not that none is." if sure else ""
    overall = plus_minus(areas["overall_accuracy"], areas["overall_accuracy_interval95"])
    header = [
        "Class",
        f"Mapped [{unit}]",
        f"Corrected [{unit}]",
        "95 % interval",
        "User's accuracy by area",
        "Producer's accuracy by area",
    ]
    return section(
        "Areas",
        image(
            plots.area_bars(areas["classes"], safe, unit),
            "Plot of mapped and corrected areas",
            "A map's areas are off wherever it errs more to one side than to the other. The labels tell by "
            "how much: marks are corrected areas with their 95 % intervals.",
        ),
        table(header, rows),
        paragraph(f"Overall accuracy by area: {overall}. {areas['method']}{none}"),
        paragraph(
            "Stratified estimation after Olofsson et al. 2014 (doi 10.1016/j.rse.2014.02.015), the mapped "
            "classes being the strata. It supposes labels at places drawn by chance. Polygons drawn where it "
            "suited are no such sample, and pixels of one polygon resemble each other: then the intervals "
            "are indicative, and in truth wider. For figures to publish, label points drawn at random within "
            "each mapped class.",
            "small",
        ),
    )


def _errors(overviews: Sequence[tuple[str, Sequence[str], NDArray[np.float64]]]) -> Html:
    if not overviews:
        return Html("")
    parts = []
    for place, files, wrong in overviews:
        caption = f"{place}. " if place else ""
        caption += "Blue is right, orange wrong, yellow half of each, grey not labelled. "
        caption += f"For QGIS: {files[0]}{' and those of the other dates' if len(files) > 1 else ''}."
        height, width = wrong.shape
        shown = min(OVERVIEW_WIDTH, round(OVERVIEW_WIDTH * width / max(height, width)))
        parts.append(
            image(plots.error_map(wrong), "Map of errors", caption, pixels=True, width=max(shown, 1))
        )
    return section("Where it errs", *parts)


def figures_line(figures: Mapping[str, Any]) -> str:
    """The overall figures in one line, for a log."""
    return (
        f"overall accuracy {percent(figures['overall_accuracy'])}, "
        f"macro F1 {number(figures['macro_f1'], 3)}, mean IoU {number(figures['mean_iou'], 3)}, "
        f"kappa {number(figures['kappa'], 3)}"
    )
