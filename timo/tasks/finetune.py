# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a segmenter on the analyst's own labels, into a model bundle."""

from __future__ import annotations

import re
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from timo import __version__, bundle
from timo.errors import LabelError, SpecError
from timo.inference.writer import map_type
from timo.models.registry import HEAD_CHANNELS
from timo.series.labels import Labels, read_labels
from timo.series.prepared import PreparedSeries, Statistics, statistics
from timo.series.sampling import Split, split_blocks
from timo.series.series import Series, open_series
from timo.tasks.reporter import Reporter
from timo.tasks.specs import FinetuneSpec, to_dict
from timo.training.checkpoint import Checkpoint, fingerprint
from timo.training.data import LabelledChips
from timo.training.device import fabric_for
from timo.training.engine import Fit, Schedule, fit
from timo.training.losses import segmentation_loss

CHIPS = (64, 32)
"""Chip sizes to choose from, the first that leaves room for several beside each other."""
CHIPS_A_SIDE = 4

COLOR = re.compile(r"#[0-9a-fA-F]{6}")
# The share of the progress bar that reading takes; the rest is training.
READ = 0.03


def run(spec: FinetuneSpec, reporter: Reporter) -> dict[str, Any]:
    """Train on labels, and write the best epoch as a model bundle.

    Returns:
        The bundle's folder and its validation figures.

    Raises:
        SpecError, SeriesError, LabelError, OutputError, ModelError: Naming what is at fault.
    """
    started = time.monotonic()
    out = Path(spec.out)
    bundle.check_writable(out, overwrite=spec.overwrite)
    colors = _colors(spec.colors)
    reporter.progress(0.0, "Reading the series and the labels")
    series = open_series(spec.series)
    labels = read_labels(
        Path(spec.labels), series.grid, class_field=spec.class_field, ignore=spec.ignore, colors=colors
    )
    _check_colors(spec, colors, labels)
    nodata = map_type([c.value for c in labels.scheme.classes])[1]  # before the training: it may refuse
    for problem in (*series.problems, *labels.problems):
        reporter.log(problem, "warning")
    chip = spec.chip or _chip_for(series)
    split = split_blocks(labels, chip=chip, fraction=spec.validation, seed=spec.seed)
    for line in split.problems:
        reporter.log(line, "warning")
    reporter.check()
    fabric = fabric_for(spec.device, spec.seed)
    figures = statistics(series, spec.seed)
    prepared = PreparedSeries(series, figures, keep=True)
    chips = LabelledChips(prepared, split, chip=chip, batch=spec.batch, seed=spec.seed)
    architecture = bundle.Architecture(
        name=spec.model,
        in_chans=len(series.bands),
        num_classes=len(labels.scheme.classes),
        head_channels=HEAD_CHANNELS[spec.model],
        zoom=spec.zoom,
    )
    model = architecture.build()
    reporter.progress(READ, "Training")
    checkpoint = Checkpoint(out.with_name(f"{out.name}.training"), _key(spec, series))
    outcome = fit(
        fabric,
        model,
        segmentation_loss(split.counts("train")),
        chips,
        [c.name for c in labels.scheme.classes],
        Schedule(spec.epochs, spec.learning_rate),
        _Rest(reporter),
        checkpoint,
    )
    model.load_state_dict(outcome.state)
    seconds = time.monotonic() - started
    card = _card(spec, series, labels, nodata, figures, architecture, split, outcome, seconds)
    with tempfile.TemporaryDirectory() as folder:
        outline = Path(folder) / bundle.SPLIT
        split.save(outline)
        bundle.save(out, card, model, split=outline, overwrite=spec.overwrite)
    checkpoint.remove()
    reporter.artifact(out, "bundle")
    reporter.progress(1.0, "Trained")
    return {
        "bundle": str(out),
        "model": spec.model,
        "epoch": outcome.epoch,
        "seconds": round(seconds, 1),
        **card.metrics,
    }


class _Rest(Reporter):
    """The training's progress as part of the whole task's."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def progress(self, fraction: float, message: str) -> None:
        self._reporter.progress(READ + (1 - READ) * fraction, message)

    def metric(self, name: str, value: float, step: int) -> None:
        self._reporter.metric(name, value, step)

    def log(self, message: str, level: str = "info") -> None:
        self._reporter.log(message, level)

    def check(self) -> None:
        self._reporter.check()


def _key(spec: FinetuneSpec, series: Series) -> str:
    """What the training depends on."""
    files = [Path(path) for files in series.files for path in files]
    labels = Path(spec.labels.partition("|")[0])
    return fingerprint(to_dict(msgspec.structs.replace(spec, overwrite=False)), [*files, labels])


def _chip_for(series: Series) -> int:
    """The largest chip of which a few fit beside each other: training and validation are to be parted."""
    side = min(series.grid.width, series.grid.height)
    return next((chip for chip in CHIPS if chip * CHIPS_A_SIDE <= side), CHIPS[-1])


def _colors(pairs: list[str]) -> dict[str, str]:
    colors: dict[str, str] = {}
    for pair in pairs:
        name, _, color = pair.rpartition("=")
        if not name or not COLOR.fullmatch(color):
            raise SpecError(
                "spec_invalid", f"Colour '{pair}' is not of the form NAME=#rrggbb.", "Correct it."
            )
        colors[name] = color.lower()
    return colors


def _check_colors(spec: FinetuneSpec, colors: dict[str, str], labels: Labels) -> None:
    names = [c.name for c in labels.scheme.classes]
    if unknown := sorted(set(colors) - set(names)):
        raise LabelError(
            "color_unknown",
            f"'{spec.labels}' has no class '{unknown[0]}' to give a colour to.",
            f"Its classes are: {', '.join(names)}.",
        )


def _card(
    spec: FinetuneSpec,
    series: Series,
    labels: Labels,
    nodata: int,
    figures: Statistics,
    architecture: bundle.Architecture,
    split: Split,
    outcome: Fit,
    seconds: float,
) -> bundle.Card:
    classes = [bundle.ClassCard(value=c.value, name=c.name, color=c.color) for c in labels.scheme.classes]
    return bundle.Card(
        format=bundle.FORMAT,
        task="segmentation",
        name=Path(spec.out).name,
        architecture=architecture,
        classes=classes,
        bands=[
            bundle.BandCard(
                key=band.key,
                name=band.name,
                role=band.role,
                sensor=band.sensor,
                scale=band.scale,
                offset=band.offset,
                nodata=band.nodata,
                mean=float(mean),
                std=float(std),
            )
            for band, mean, std in zip(series.bands, figures.mean, figures.std, strict=True)
        ],
        dates=bundle.DatesCard(
            count=len(series.dates),
            first=series.dates[0].isoformat(),
            last=series.dates[-1].isoformat(),
            minimum=min(2, len(series.dates)),
        ),
        ground_sample_distance=[float(side) for side in series.grid.pixel_size],
        crs=series.grid.crs,
        chip=split.chip,
        nodata=nodata,
        metrics=outcome.figures,
        training={
            "spec": to_dict(spec),
            "epoch": outcome.epoch,
            "history": outcome.history,
            "pixels": {c.name: int(n) for c, n in zip(classes, split.counts("train"), strict=True)},
            "started_from": "random weights",
            "seconds": round(seconds, 1),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "versions": {"timo": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
        },
        licence="Of whoever trained it: the weights come from the labels and images named here.",
        weights_sha256="",
    )
