# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a segmenter on the analyst's own labels, into a model bundle."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from lightning_fabric import Fabric

from timo import __version__, bundle
from timo.errors import SpecError
from timo.inference.outputs import map_type
from timo.models.pixels import WithPixels
from timo.models.registry import HEAD_CHANNELS
from timo.models.tuning import merge_lora
from timo.report.training import training_page
from timo.series.class_names import read_colors, read_names, unknown_classes
from timo.series.dated_labels import dated_labels_of
from timo.series.labels import ClassScheme, Labels
from timo.series.parts import read_parts
from timo.series.place_splits import PlacesSplit, split_places
from timo.series.places import Place, labels_of, open_places, problems_of
from timo.series.prepared import PreparedSeries, Statistics, differ_in_scale, statistics
from timo.series.sampling import given_split
from timo.series.seen_labels import seen_labels
from timo.series.transforms import Augmentation
from timo.tasks.presets import PRESETS
from timo.tasks.preview import Preview
from timo.tasks.reporter import Reporter
from timo.tasks.room import check_finetune
from timo.tasks.specs import FinetuneSpec, to_dict
from timo.training.beginning import Beginning
from timo.training.budget import epochs_of
from timo.training.checkpoint import Checkpoint, fingerprint, placing_in
from timo.training.data import LabelledChips
from timo.training.device import fabric_for
from timo.training.engine import Fit, Schedule, fit, judge
from timo.training.losses import ClassLoss, class_weights
from timo.training.objectives import ClassObjective

CHIPS = (128, 64, 32)
"""Chip sizes to choose from."""
SEEN = 128
"""Largest side of a chip as the model sees it, enlarged: more takes memory, and teaches little more."""
CHIPS_A_SIDE = 4
"""Chips that fit beside each other in a single place, which is parted in blocks."""

POSITION = "index"
JUDGED = 0.6  # of the epochs; in the others the model learns from all labels
COSINES = 12  # a season of a date every two weeks to four
AUGMENTATIONS = {
    "none": Augmentation(),
    "light": Augmentation(gain=0.05, offset=0.05, noise=0.05),
    "strong": Augmentation(gain=0.1, offset=0.1, date_offset=0.1, noise=0.1, drop_dates=0.15, gaps=0.15),
}

# The share of the progress bar that reading takes; the rest is training.
READ = 0.03


@dataclass(frozen=True)
class Material:
    """What a model learns from: places, their labels in parts, and the batches."""

    places: Sequence[Place]
    labels: Sequence[Labels]
    split: PlacesSplit
    statistics: Statistics
    chips: LabelledChips
    problems: Sequence[str]

    @property
    def scheme(self) -> ClassScheme:
        """The classes."""
        return self.labels[0].scheme


def run(spec: FinetuneSpec, reporter: Reporter) -> dict[str, Any]:
    """Train on labels, and write the best epoch as a model bundle.

    Returns:
        The bundle's folder and its validation figures.

    Raises:
        SpecError, SeriesError, LabelError, OutputError, ModelError: Naming what is at fault.
    """
    started = time.monotonic()
    out = Path(spec.out)
    folder = out.with_name(f"{out.name}.training")
    plain = to_dict(msgspec.structs.replace(spec, overwrite=False))
    bundle.check_writable(out, overwrite=spec.overwrite, placing=placing_in(folder))
    check_finetune(spec)
    begun = Beginning.read(spec)
    fabric = fabric_for(spec.device, spec.seed, spec.precision)
    reporter.progress(0.0, "Reading the series and the labels")
    material = read(spec, fabric, reporter)
    architecture = architecture_of(spec, material, begun)
    model = architecture.build()
    if begun:
        reporter.log(begun.into(model, material.places[0].series.keys, spec.learn))
    reporter.progress(READ, "Training")
    checkpoint = Checkpoint(folder, _key(plain, spec, material))
    bundle.check_writable(out, overwrite=spec.overwrite, placing=checkpoint.placing)
    goal = objective(spec, material)
    schedule = _schedule(spec, material, architecture)
    drawn = fabric.is_global_zero and spec.classify == "pixels"
    with Preview(folder, material.chips, material.scheme, goal, reporter, wanted=drawn) as preview:
        rest = _Rest(reporter)
        outcome = fit(fabric, model, goal, material.chips, schedule, rest, checkpoint, preview.look)
    if not fabric.is_global_zero:  # of several processes one writes
        return {}
    model.load_state_dict(outcome.state)
    if isinstance(model, WithPixels):
        model.pixel_share = outcome.figures.pop("pixel_share")
        architecture = msgspec.structs.replace(architecture, pixel_share=model.pixel_share)
    merge_lora(model)
    if material.split.counts("test").any():
        batches = material.chips.held("test")
        outcome.figures["test"] = judge(fabric, model, goal, batches, _Rest(reporter)).figures
    card = _card(spec, material, architecture, outcome, begun, time.monotonic() - started)
    with tempfile.TemporaryDirectory() as temporary:
        outline = Path(temporary) / bundle.SPLIT
        drawn = material.split.save(outline)
        bundle.save(
            out,
            card,
            model,
            split=outline if drawn else None,
            report=lambda card: training_page(card, remarks=material.problems),
            overwrite=spec.overwrite,
            placing=checkpoint.placing,
        )
    reporter.artifact(out, "bundle")
    checkpoint.remove()
    reporter.progress(1.0, "Trained")
    return {
        "bundle": str(out),
        "model": architecture.name,
        "epoch": outcome.epoch,
        "seconds": card.training["seconds"],
        **card.metrics,
    }


def read(spec: FinetuneSpec, fabric: Fabric, reporter: Reporter) -> Material:
    """Open the series and the labels, part them, and lay the chips.

    Raises:
        SpecError, SeriesError, LabelError: Naming what is at fault.
    """
    if spec.batch % fabric.world_size:
        raise SpecError(
            "spec_invalid",
            f"A batch of {spec.batch} chips can't be shared by {fabric.world_size} processes.",
            f"Choose a batch size that is a multiple of {fabric.world_size}.",
        )
    called = read_names(spec.names)
    colors = {called.get(name, name): color for name, color in read_colors(spec.colors).items()}
    places = open_places(spec.series)
    labels = _labels(spec, places, colors, called)
    map_type([c.value for c in labels[0].scheme.classes])  # before the training: it may refuse
    opened = [place.series for place in places]
    figures, each = statistics(opened, spec.seed), differ_in_scale(opened)
    series = [PreparedSeries(one, statistics([one]) if each else figures, keep=True) for one in opened]
    labels, unseen = seen_labels(labels, series, Path(spec.labels.partition("|")[0]).name)
    names = [place.name for place in places]
    chip = spec.chip or _chip_for(places, spec.zoom)
    split = _split(spec, labels, chip, names)
    problems = [*problems_of(places, labels), *unseen, *_doubts(spec, places), *split.problems]
    problems += unknown_classes(spec.labels, colors, called, labels[0].scheme)
    for problem in problems:
        reporter.log(problem, "warning")
    reporter.check()
    chips = LabelledChips(
        series,
        split,
        batch=spec.batch,
        seed=spec.seed,
        augmentation=AUGMENTATIONS[spec.augmentation],
        whole=spec.classify == "chips",
        rank=fabric.global_rank,
        processes=fabric.world_size,
    )
    return Material(places, labels, split, figures, chips, problems)


def _split(spec: FinetuneSpec, labels: Sequence[Labels], chip: int, names: Sequence[str]) -> PlacesSplit:
    if spec.split is None and spec.split_field is None:
        return split_places(
            labels, chip=chip, fraction=spec.validation, seed=spec.seed, names=names, test=spec.test
        )
    if len(labels) > 1:
        raise SpecError(
            "spec_invalid",
            f"A split is given, and the series has {len(labels)} places, which are parted as a whole.",
            "Leave the split out.",
        )
    parts = read_parts(spec.split or spec.labels, labels[0].grid, spec.split_field or "part")
    return PlacesSplit([given_split(labels[0], parts, chip=chip)])


def objective(spec: FinetuneSpec, material: Material) -> ClassObjective:
    """The loss, with classes weighted by how many labels teach them, and the figures."""
    if spec.all_labels:
        counts = material.chips.counts
    else:
        classes = len(material.scheme)
        every = [np.bincount(one.ravel(), minlength=256)[:classes] for one in material.split.targets("train")]
        counts = np.asarray(sum(every), np.int64)
    return ClassObjective(
        ClassLoss(class_weights(counts, spec.balance), spec.label_smoothing),
        [c.name for c in material.scheme.classes],
        per_date=spec.per_date,
    )


def architecture_of(spec: FinetuneSpec, material: Material, begun: Beginning | None) -> bundle.Architecture:
    """The network for these bands and classes: of the model to start from, or of the variant wanted."""
    dates = max(len(place.series) for place in material.places)
    name = begun.card.architecture.name if begun else spec.model
    return bundle.Architecture(
        name=name,
        in_chans=len(material.places[0].series.bands),
        num_classes=len(material.scheme),
        head_channels=HEAD_CHANNELS[name],
        zoom=spec.zoom,
        position=begun.card.architecture.position if begun else POSITION,
        kind="classifier" if spec.classify == "chips" else "segmenter",
        per_date=spec.per_date,
        cosines=min(COSINES, dates) if spec.classify == "pixels" and not spec.per_date else 0,
    )


def _schedule(spec: FinetuneSpec, material: Material, architecture: bundle.Architecture) -> Schedule:
    epochs = spec.epochs or epochs_of(
        architecture,
        dates=max(len(place.series) for place in material.places),
        chip=material.split.chip,
        batch=spec.batch,
        steps=material.chips.steps,
        labelled=material.chips.labelled,
    )
    judged = max(1, round(JUDGED * epochs)) if spec.all_labels and epochs > 1 else None
    return Schedule(epochs, spec.learning_rate, spec.patience, spec.parts, judged)


def _labels(
    spec: FinetuneSpec, places: Sequence[Place], colors: dict[str, str], names: dict[str, str]
) -> list[Labels]:
    if spec.per_date:
        return dated_labels_of(
            places, spec.labels, spec.class_field, spec.date_field, spec.ignore, colors, names
        )
    if spec.date_field is not None:
        raise SpecError(
            "spec_invalid",
            f"The date field '{spec.date_field}' has a meaning for maps of every date alone.",
            "Ask for a map of every date, or leave the date field out.",
        )
    return labels_of(places, spec.labels, spec.class_field, spec.ignore, colors, names)


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

    def checkpoint(self) -> None:
        self._reporter.checkpoint()

    def enough(self) -> bool:
        return self._reporter.enough()

    def check(self) -> None:
        self._reporter.check()


def _key(plain: Mapping[str, Any], spec: FinetuneSpec, material: Material) -> str:
    """What the training depends on."""
    files = [path for place in material.places for files in place.series.files for path in files]
    files += [spec.labels.partition("|")[0], *(one.path.partition("|")[0] for one in material.labels)]
    return fingerprint(plain, map(Path, files))


def _doubts(spec: FinetuneSpec, places: Sequence[Place]) -> list[str]:
    """What the series lack for the preset's task."""
    if spec.preset is None:
        return []
    shortest = min((place.series for place in places), key=len)
    return PRESETS[spec.preset].doubts(shortest.keys, len(shortest))


def _chip_for(places: Sequence[Place], zoom: int) -> int:
    """The largest chip that the smallest place has room for; a single one has to be parted."""
    side = min(min(place.series.grid.shape) for place in places)
    room = side // CHIPS_A_SIDE if len(places) == 1 else side
    return next((chip for chip in CHIPS if chip * zoom <= SEEN and chip <= room), CHIPS[-1])


def _card(
    spec: FinetuneSpec,
    material: Material,
    architecture: bundle.Architecture,
    outcome: Fit,
    begun: Beginning | None,
    seconds: float,
) -> bundle.Card:
    scheme, places, figures = material.scheme, material.places, material.statistics
    classes = [bundle.ClassCard(value=c.value, name=c.name, color=c.color) for c in scheme.classes]
    series = max((place.series for place in places), key=len)
    learnt = material.split.counts("train")
    return bundle.Card(
        format=bundle.FORMAT,
        task="classification" if architecture.kind == "classifier" else "segmentation",
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
            first=min(place.series.dates[0] for place in places).isoformat(),
            last=max(place.series.dates[-1] for place in places).isoformat(),
            minimum=min(2, len(series.dates)),
        ),
        ground_sample_distance=[float(side) for side in series.grid.pixel_size],
        crs=series.grid.crs,
        chip=material.split.chip,
        standardised="series" if differ_in_scale([place.series for place in places]) else "training",
        nodata=map_type([c.value for c in scheme.classes])[1],
        metrics=outcome.figures,
        training={
            "spec": to_dict(spec),
            "epoch": outcome.epoch,
            "kept": outcome.kept,
            "history": outcome.history,
            "extents": [place.series.grid.degrees for place in places if place.series.grid.degrees],
            "pixels": {c.name: int(n) for c, n in zip(classes, learnt, strict=True)},
            "started_from": f"{begun.card.name} ({begun.card.weights_sha256})" if begun else "random weights",
            "seconds": round(seconds, 1),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "versions": {"timo": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
        },
        licence="Of whoever trained it: the weights come from the labels and images named here.",
        weights_sha256="",
    )
