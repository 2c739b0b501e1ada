# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that tells how a training went."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from timo.bundle import Card
from timo.report import figures as plots
from timo.report.accuracy import (
    accuracy_cards,
    accuracy_plots,
    accuracy_tables,
    best_and_worst,
    right_of_hundred,
)
from timo.report.folder import told
from timo.report.page import Html, class_name, facts, image, lead, notes, page, section, table
from timo.report.words import count, plural

# A training whose best epoch is among its last may not have been at its end.
LAST = 0.1


def write_training_report(
    path: Path, card: Card, *, remarks: Sequence[str] = (), more: Sequence[Html] = ()
) -> None:
    """Write the page of a training.

    Args:
        path: The HTML file; replaced if it exists.
        card: The model's description. Of ``training`` it needs ``history`` (one row of figures an epoch, such
            as ``train_loss``, ``val_loss``, ``val_miou``) and ``epoch`` (the one that was kept, from 1), and
            shows ``spec``, ``pixels``, ``seconds``, ``finished`` and ``versions``; ``metrics`` are
            ``timo.training.metrics.figures_of``.
        remarks: What the analyst should know, one sentence each.
        more: Sections of ``timo.report.page`` that only this training has, such as reconstructions.

    Raises:
        OutputError: The file can't be written.
    """
    content = training_page(card, remarks=remarks, more=more)
    with told(path):
        path.write_text(content, encoding="utf-8")


def training_page(card: Card, *, remarks: Sequence[str] = (), more: Sequence[Html] = ()) -> str:
    """The page that ``write_training_report`` writes."""
    figures, training = card.metrics, card.training
    history: list[dict[str, float | None]] = training.get("history", [])
    colors = [c.color for c in card.classes]
    judged = bool(figures.get("pixels"))
    what = "chips" if card.architecture.kind == "classifier" else "pixels"
    said = _course(training, history)
    if judged:
        said = [right_of_hundred(figures, f"{what} kept from the training"), *best_and_worst(figures), *said]
    parts: list[Html] = [
        lead(said),
        accuracy_cards(figures) if judged else Html(""),
        notes([*remarks, *_doubts(training, history, what if judged else "")]),
    ]
    if history:
        caption = "The dotted line and the mark are the epoch that the figures are of."
        curves = plots.curves(history, int(training.get("epoch", 0)))
        parts.append(section("How it learnt", image(curves, "Curves of the training by epoch", caption)))
    parts += more
    if judged:
        parts += [accuracy_plots(figures, colors), accuracy_tables(figures, colors)]
    parts += [_learnt_from(card), section("How this was made", facts(_provenance(card)))]
    classes = f"{plural(len(card.classes), 'class', 'classes')}, " if card.classes else ""
    return page(
        f"Training of '{card.name}'",
        f"{card.architecture.name}, {classes}"
        f"{plural(card.dates.count, 'date', 'dates')} from {card.dates.first} to {card.dates.last}.",
        *parts,
    )


def _course(training: Mapping[str, Any], history: list[dict[str, float | None]]) -> list[str]:
    if not history:
        return []
    took = f" in {_duration(training['seconds'])}" if "seconds" in training else ""
    best, last = training.get("epoch"), training.get("kept")
    kept = f" Of these, epoch {best} was best and is kept." if best else ""
    if best and last and last != best:
        kept = (
            f" The figures are those of epoch {best}. Then the model learnt from the labels that had judged "
            f"it, too; epoch {last} is kept, which should be a little better."
        )
    return [f"The model learnt for {plural(len(history), 'epoch', 'epochs')}{took}.{kept}"]


def _doubts(training: Mapping[str, Any], history: list[dict[str, float | None]], judged: str) -> list[str]:
    said = []
    best = int(training.get("epoch", 0))
    if len(history) >= 5 and best > len(history) * (1 - LAST):
        said.append("The best epoch is among the last: more epochs may make the model better.")
    if judged:
        said.append(
            f"The best epoch was chosen by these same {judged}, so that new places may turn out a little "
            "worse: judge the model with 'timo evaluate' and labels that it never saw."
        )
    return said


def _learnt_from(card: Card) -> Html:
    pixels: Mapping[str, int] = card.training.get("pixels", {})
    by_name = {row["name"]: row["pixels"] for row in card.metrics.get("per_class", [])}
    rows = [
        [
            class_name(c.name, c.color),
            str(c.value),
            count(pixels[c.name]) if c.name in pixels else "–",
            count(by_name[c.name]) if c.name in by_name else "–",
        ]
        for c in card.classes
    ]
    bands = [
        [band.name, band.role or "", band.sensor or "", f"{band.mean:.4g}", f"{band.std:.4g}"]
        for band in card.bands
    ]
    return section(
        "What it learnt from",
        table(["Class", "Value", "Learnt from", "Kept to judge"], rows) if rows else Html(""),
        table(["Band", "Role", "Sensor", "Mean", "Spread"], bands),
    )


def _provenance(card: Card) -> dict[str, str]:
    training = card.training
    versions = training.get("versions", {})
    shown = {
        "Model": card.name,
        "Checksum (SHA-256)": card.weights_sha256,
        "Started from": str(training.get("started_from", "")),
        "Pixel": " x ".join(f"{side:g}" for side in card.ground_sample_distance),
        "Coordinate system": card.crs or "none",
        "Chip": f"{card.chip} pixels",
        "Finished": str(training.get("finished", "")),
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "Licence": card.licence,
        "Parameters": json.dumps(msgspec.to_builtins(training.get("spec", {})), ensure_ascii=False),
    }
    return {name: value for name, value in shown.items() if value}


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
