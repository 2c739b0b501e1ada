# SPDX-License-Identifier: GPL-3.0-or-later
"""A model, series and labels as they are judged by each other: opened, matched, and their doubts told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from timo import bundle
from timo.errors import LabelError, SpecError
from timo.report.classes import Match, match_classes
from timo.report.ground import GroundArea
from timo.report.words import joined, plural
from timo.series.class_names import read_names
from timo.series.dated_labels import dated_labels_of
from timo.series.grid import Grid
from timo.series.label_vectors import is_vector, read_vector_labels
from timo.series.labels import NOT_LABELLED, ClassScheme, Labels
from timo.series.places import Place, labels_of, open_places, problems_of
from timo.series.series import Series
from timo.tasks.specs import EvaluateSpec


@dataclass(frozen=True)
class Part:
    """A place with its labels.

    Attributes:
        name: Of the place; empty if it is the only one.
        series: Its frames, with the model's bands.
        target: (L, H, W) uint8, indices of the model's classes, 255 where not labelled or of no such class. L
            is the number of dates for a model that maps every date, else 1.
        learnt: (H, W) bool, where the model was trained; None if that isn't known.
        ground: The area of its pixels.
        conflicts: Pixels that carried two classes.
        files: (L,) names of its maps of errors.
    """

    name: str
    series: Series
    target: NDArray[np.uint8]
    learnt: NDArray[np.bool_] | None
    ground: GroundArea
    conflicts: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Inputs:
    """All places.

    Attributes:
        parts: The places.
        unknown: Labelled pixels by class, of classes that the model doesn't have.
        areas: Whether areas are to be estimated.
        notes: What an analyst should know, one sentence each.
    """

    parts: tuple[Part, ...]
    unknown: dict[str, int]
    areas: bool
    notes: tuple[str, ...]


def open_inputs(spec: EvaluateSpec, card: bundle.Card) -> Inputs:
    """Open the series and the labels, and match both to the model.

    Raises:
        BundleError, SeriesError, LabelError, SpecError: Naming what does not fit.
    """
    places = [Place(one.name, bundle.check_series(card, one.series)) for one in open_places(spec.series)]
    labels = _read(spec, card, places)
    match = _match(spec, card, labels)
    notes = [*problems_of(places, labels), *match.notes]
    unknown = _unknown(labels, match)
    if unknown:
        said = [f"'{name}' ({plural(n, 'pixel', 'pixels')})" for name, n in unknown.items()]
        notes.append(
            f"Model '{card.name}' does not know {joined(said)} of {file_name(spec.labels)}: these count in "
            "no figure, though the map can only be wrong there."
        )
    parts = []
    for number, (place, one) in enumerate(zip(places, labels, strict=True), start=1):
        learnt, doubt = _learnt(spec, place.series.grid)
        if doubt and doubt not in notes:
            notes.append(doubt)
        safe = re.sub(r"\W+", "_", place.name, flags=re.ASCII)
        parts.append(
            Part(
                name=place.name,
                series=place.series,
                target=match.index[_layers(one)],
                learnt=learnt,
                ground=GroundArea(place.series.grid),
                conflicts=one.conflicts,
                files=_files(f"errors-{number}-{safe}" if len(places) > 1 else "errors", place.series, one),
            )
        )
    if all(part.learnt is None for part in parts) and _same_labels(spec, card):
        notes.append(
            f"Model '{card.name}' was trained on these very labels: the figures flatter it. Judge it by "
            "labels that it never saw."
        )
    areas = spec.areas
    if areas and card.architecture.per_date:
        areas = False
        notes.append(f"Areas are not estimated: model '{card.name}' makes a map for every date.")
    elif areas and len({part.ground.unit for part in parts}) > 1:
        areas = False
        notes.append("Areas are not estimated: some places have a coordinate system, and some have none.")
    return Inputs(tuple(parts), unknown, areas, tuple(notes))


def file_name(labels: str) -> str:
    """The file's name in ``path|layername=NAME``."""
    return _path(labels).name


def _path(labels: str) -> Path:
    return Path(labels.partition("|")[0])


def _read(spec: EvaluateSpec, card: bundle.Card, places: Sequence[Place]) -> list[Labels]:
    # A class that the model knows by its code keeps that.
    known = {one.name.casefold() for one in card.classes}
    names = {code: name for code, name in read_names(spec.names).items() if name.casefold() in known}
    if card.architecture.per_date:
        return dated_labels_of(
            places, spec.labels, spec.class_field, spec.date_field, spec.ignore, names=names
        )
    if spec.date_field is not None:
        raise SpecError(
            "date_field_unused",
            f"The date field '{spec.date_field}' is named, but model '{card.name}' makes one map for the "
            "whole series.",
            "Leave the date field out, or take a model that was trained for every date.",
        )
    return labels_of(places, spec.labels, spec.class_field, spec.ignore, names=names)


def _layers(labels: Labels) -> NDArray[np.uint8]:
    """(L, H, W) the labels of each date, or those of the whole series."""
    return labels.map[None] if labels.dated is None else labels.dated


def _files(stem: str, series: Series, labels: Labels) -> tuple[str, ...]:
    if labels.dated is None:
        return (f"{stem}.tif",)
    return tuple(f"{stem}_{date.isoformat()}.tif" for date in series.dates)


def _match(spec: EvaluateSpec, card: bundle.Card, labels: Sequence[Labels]) -> Match:
    scheme = labels[0].scheme
    # Polygons' classes are values only if they are numbers; texts are numbered in the order of their names.
    values_count = _numbered(scheme) or not any(is_vector(one.path) for one in labels)
    return match_classes(
        scheme.classes,
        card.classes,
        values_count=values_count,
        labels_name=file_name(spec.labels),
        name=card.name,
    )


def _unknown(labels: Sequence[Labels], match: Match) -> dict[str, int]:
    """Labelled pixels of each class that the model doesn't have."""
    pixels = sum(np.bincount(_layers(one).ravel(), minlength=NOT_LABELLED + 1) for one in labels)
    return {labels[0].scheme.classes[k].name: int(np.asarray(pixels)[k]) for k in match.unknown}


def _numbered(scheme: ClassScheme) -> bool:
    return all(c.name == str(c.value) for c in scheme.classes)


def _learnt(spec: EvaluateSpec, grid: Grid) -> tuple[NDArray[np.bool_] | None, str | None]:
    """(H, W) where the model was trained, if that is known; and a sentence if it should be, but isn't."""
    split = Path(spec.model) / bundle.SPLIT
    if grid.crs is None or not split.is_file():
        return None, None
    try:
        parts = read_vector_labels(split, grid, "part", None)
    except LabelError as error:
        return None, f"Where the model was trained is not known: {error.message}"
    if "train" not in parts.names:
        return None, None
    return parts.indices == parts.names.index("train"), None


def _same_labels(spec: EvaluateSpec, card: bundle.Card) -> bool:
    learnt = card.training.get("spec", {}).get("labels")
    return isinstance(learnt, str) and _path(learnt).resolve() == _path(spec.labels).resolve()
