# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a model's map of a series by labels, in a report."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch

from timo import __version__, bundle
from timo.errors import LabelError
from timo.inference.area import Pixels
from timo.inference.blocks import BlockPredictor
from timo.inference.chips import blocks
from timo.inference.outputs import Output
from timo.inference.ready import ready_model, ready_series
from timo.inference.sizing import choose
from timo.inference.writer import RasterWriter
from timo.models.device import compute_on
from timo.report.areas import area_figures
from timo.report.comparison import NOTHING, RIGHT, WRONG, Comparison, Overview
from timo.report.evaluation import evaluation_page, figures_line
from timo.report.figures import RIGHT_COLOR, WRONG_COLOR
from timo.report.folder import FIGURES, KIND, PAGE, check_report, report_folder, told
from timo.report.inputs import Inputs, Part, file_name, open_inputs
from timo.report.words import count, joined
from timo.series.labels import NOT_LABELLED
from timo.tasks.planning import doubts
from timo.tasks.reporter import Reporter
from timo.tasks.specs import EvaluateSpec, to_dict
from timo.training.metrics import figures_of

FORMAT = 1
ERRORS = [
    bundle.ClassCard(value=RIGHT, name="right", color=RIGHT_COLOR),
    bundle.ClassCard(value=WRONG, name="wrong", color=WRONG_COLOR),
]
# The share of the progress bar that mapping takes; the rest is the report.
MAPPED = 0.98


def run(spec: EvaluateSpec, reporter: Reporter) -> dict[str, Any]:
    """Map a series where its labels lie (or all of it, for areas), compare the two, and write a report.

    Returns:
        The report's page and its figures.

    Raises:
        BundleError, SeriesError, LabelError, SpecError, OutputError, ModelError: Naming what does not fit.
    """
    started = time.monotonic()
    out = Path(spec.out).absolute()
    check_report(out, overwrite=spec.overwrite)
    reporter.progress(0.0, "Reading the model, the series and the labels")
    card = bundle.load_card(Path(spec.model))
    inputs = open_inputs(spec, card)
    warnings = [doubt for part in inputs.parts for doubt in doubts(card, part.series)]
    inputs = replace(inputs, notes=(*dict.fromkeys(warnings), *inputs.notes))
    for note in inputs.notes:
        reporter.log(note, "warning")
    with report_folder(out, overwrite=spec.overwrite) as folder:
        comparison, overviews = _compare(spec, card, inputs, folder, reporter)
        report = _report(spec, card, inputs, comparison, time.monotonic() - started)
        shown = zip(inputs.parts, overviews, strict=True)
        page = evaluation_page(report, [(part.name, part.files, one.wrong) for part, one in shown])
        with told(out):
            text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
            (folder / FIGURES).write_text(f"{text}\n", encoding="utf-8")
            (folder / PAGE).write_text(page, encoding="utf-8")
    figures = report["figures"]
    for note in report["notes"][len(inputs.notes) :]:
        reporter.log(note, "warning")
    reporter.artifact(out / PAGE, "report")
    for part in inputs.parts:
        for file in part.files:
            reporter.artifact(out / file, "errors")
    reporter.progress(1.0, "Evaluated")
    return {
        "report": str(out / PAGE),
        "model": card.name,
        **{key: figures[key] for key in ("pixels", "overall_accuracy", "macro_f1", "mean_iou", "kappa")},
        "calibration_error": report["calibration"]["expected_calibration_error"],
        "seconds": report["seconds"],
        "per_class": figures["per_class"],
        "areas": report["areas"],
    }


def _compare(
    spec: EvaluateSpec, card: bundle.Card, inputs: Inputs, folder: Path, reporter: Reporter
) -> tuple[Comparison, list[Overview]]:
    """Map all places block by block, and count."""
    device = compute_on(spec.device).device
    model = ready_model(Path(spec.model), card, device)
    predictors = [_predictor(part, card, model, spec, device, inputs.areas) for part in inputs.parts]
    work = [list(blocks(*one.grid.shape, one.size.side)) for one in predictors]
    chips = sum(len(one.chips(block)) for one, of_one in zip(predictors, work) for block in of_one)
    total, done = max(chips, 1), 0

    def step(chips: int) -> None:
        nonlocal done
        reporter.check()
        done += chips
        reporter.progress(MAPPED * done / total, "Comparing")

    comparison = Comparison(len(card.classes))
    overviews = []
    tags = {"TIFFTAG_SOFTWARE": f"TiMo for QGIS {__version__}", "TIMO_MODEL": card.name}
    with ExitStack() as stack:
        for part, predictor, places in zip(inputs.parts, predictors, work, strict=True):
            grid, overview = part.series.grid, Overview(part.series.grid.shape)
            writers = [
                stack.enter_context(
                    RasterWriter(
                        Output(
                            kind="errors", layer="errors", path=str(folder / file), dtype="uint8",
                            nodata=NOTHING, bands=["error"], classes=ERRORS,
                        ),
                        grid,
                        tags,
                    )
                )
                for file in part.files
            ]  # fmt: skip
            for block in predictor.run(places, step):
                here, valid = (block.place.rows, block.place.columns), block.valid.cpu().numpy()
                learnt = None if part.learnt is None else part.learnt[here]
                shape = (-1, len(card.classes), *valid.shape)  # one layer, or one for each date
                layers = block.probabilities.cpu().numpy().reshape(shape)
                for layer, labels, writer in zip(
                    layers, part.target[(slice(None), *here)], writers, strict=True
                ):
                    errors = comparison.add(layer, valid, labels, learnt)
                    writer.write(errors, *here)
                    overview.add(errors, *here)
                if inputs.areas:
                    comparison.add_mapped(layers[0], valid, part.ground.of(*here))
            overviews.append(overview)
    if not comparison.matrix.any():
        raise LabelError(
            "labels_without_data",
            f"No label of {file_name(spec.labels)} lies where the series has data on any date.",
            "Give labels where the series has data.",
        )
    return comparison, overviews


def _predictor(
    part: Part,
    card: bundle.Card,
    model: torch.nn.Module,
    spec: EvaluateSpec,
    device: torch.device,
    everywhere: bool,
) -> BlockPredictor:
    """Of a place: everywhere, or where it has labels."""
    values = len(part.series.dates) * len(part.series.bands)
    layers = len(card.classes) * len(part.target)
    return BlockPredictor(
        model,
        ready_series(part.series, card),
        chip=card.chip,
        size=choose(chip=card.chip, values=values, layers=layers, device=device, batch=spec.batch),
        device=device,
        area=None if everywhere else Pixels((part.target != NOT_LABELLED).any(0)),
    )


def _report(
    spec: EvaluateSpec, card: bundle.Card, inputs: Inputs, comparison: Comparison, seconds: float
) -> dict[str, Any]:
    """What stands in ``report.json``."""
    names = [c.name for c in card.classes]
    figures = figures_of(comparison.matrix.tolist(), names)
    known = all(part.learnt is not None for part in inputs.parts)
    unlearnt = figures_of(comparison.unlearnt.tolist(), names) if known else None
    areas = _areas(comparison, inputs.parts, names) if inputs.areas else None
    return {
        "format": FORMAT,
        "kind": KIND,
        "model": {"name": card.name, "path": str(Path(spec.model).absolute()), "sha256": card.weights_sha256},
        "classes": [{"value": c.value, "name": c.name, "color": c.color} for c in card.classes],
        "figures": figures,
        "outside_training": unlearnt,
        "calibration": comparison.reliability.figures(),
        "areas": areas,
        "left_out": {
            "conflicts": sum(part.conflicts for part in inputs.parts),
            "no_data": comparison.no_data,
            "unknown_classes": [{"name": name, "pixels": pixels} for name, pixels in inputs.unknown.items()],
        },
        "notes": [*inputs.notes, *_notes(comparison, figures, unlearnt, areas)],
        "errors": [{"place": part.name, "files": list(part.files)} for part in inputs.parts],
        "seconds": round(seconds, 1),
        "spec": to_dict(spec),
        "provenance": _provenance(spec, card, inputs.parts),
    }


def _areas(comparison: Comparison, parts: tuple[Part, ...], names: list[str]) -> dict[str, Any]:
    method = " ".join(dict.fromkeys(part.ground.method for part in parts))
    return area_figures(comparison.matrix, comparison.mapped, names, parts[0].ground.unit, method)


def _notes(
    comparison: Comparison,
    figures: dict[str, Any],
    unlearnt: dict[str, Any] | None,
    areas: dict[str, Any] | None,
) -> list[str]:
    """What the figures don't say of themselves."""
    notes = []
    if comparison.no_data:
        lie = "labelled pixel lies" if comparison.no_data == 1 else "labelled pixels lie"
        notes.append(f"{count(comparison.no_data)} {lie} where no date has data: they count in no figure.")
    if absent := [row["name"] for row in figures["per_class"] if not row["pixels"]]:
        notes.append(f"No label is of {joined(absent)}: how well it is mapped is not known.")
    if areas is not None and areas["without_samples"]:
        silent = [row["name"] for row in areas["classes"] if row["mapped"] and not row["sampled"]]
        notes.append(
            f"No labelled pixel lies where the map shows {joined(silent)}: the corrected areas are of the "
            "rest of the map alone."
        )
    if unlearnt is not None and not unlearnt["pixels"]:
        notes.append(
            "All labelled pixels lie in places where the model was trained: it has seen the answers, and the "
            "figures do not tell how good its maps are elsewhere. Judge it by labels of other places."
        )
    elif unlearnt is not None and unlearnt["pixels"] < figures["pixels"]:
        learnt = figures["pixels"] - unlearnt["pixels"]
        notes.append(
            f"Of the {count(figures['pixels'])} labelled pixels, {count(learnt)} lie in places where the "
            "model was trained: it has seen their answers. How good it is elsewhere, only the other "
            f"{count(unlearnt['pixels'])} tell: {figures_line(unlearnt)}."
        )
    return notes


def _provenance(spec: EvaluateSpec, card: bundle.Card, parts: tuple[Part, ...]) -> dict[str, str]:
    """How the report came about, as names and values."""
    dates, files = [], []
    for part in parts:
        named = f"{part.name}: " if part.name else ""
        dates.append(named + ", ".join(date.isoformat() for date in part.series.dates))
        files += [f"{named}{Path(path).name}" for of_date in part.series.files for path in of_date]
    versions = {
        "timo": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "rasterio": rasterio.__version__,
        "GDAL": rasterio.__gdal_version__,
    }
    return {
        "Model": card.name,
        "Model's folder": str(Path(spec.model).absolute()),
        "Model's checksum (SHA-256)": card.weights_sha256,
        "Trained": str(card.training.get("finished", "")),
        "Labels": file_name(spec.labels),
        "Labels' path": spec.labels,
        "Series": ", ".join(spec.series),
        "Dates": "; ".join(dates),
        "Files": ", ".join(files),
        "Evaluated": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "Parameters": json.dumps(to_dict(spec), ensure_ascii=False),
    }
