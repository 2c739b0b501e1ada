# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of the tasks that teach models; see ``timo.tasks.specs``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from timo.tasks.fields import (
    ClassField,
    ClassNames,
    IgnoredValue,
    LearningRate,
    NewBundle,
    Precision,
    Seed,
    Spec,
    TrainingBatch,
    Variant,
    Zoom,
)


class FinetuneSpec(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Train a model on your own labels."""

    preset: Annotated[
        Literal["deforestation", "land_cover", "crops", "flood"] | None,
        Meta(
            title="Task",
            description="Takes the settings that suit a task for all that is left out, and checks the series "
            "for what it needs.",
        ),
    ] = None
    labels: Annotated[
        str,
        Meta(
            min_length=1,
            title="Labels",
            description="Polygons or points with a class field, or a raster of class values.",
            extra_json_schema={"format": "labels"},
        ),
    ]
    class_field: ClassField = None
    out: NewBundle
    classify: Annotated[
        Literal["pixels", "chips"],
        Meta(
            title="What gets a class",
            description="Every pixel, or squares as large as a chip, for what fills a place, such as whether "
            "it is flooded at all.",
            extra_json_schema={"advanced": True},
        ),
    ] = "pixels"
    per_date: Annotated[
        bool,
        Meta(
            title="A map for every date",
            description="Labels hold on a date, and so do the classes of the map; else for the whole series.",
            extra_json_schema={"advanced": True},
        ),
    ] = False
    date_field: Annotated[
        str | None,
        Meta(
            title="Date field",
            description="The field of the date on which a label holds, for a map of every date.",
            extra_json_schema={"advanced": True},
        ),
    ] = None
    model: Variant = "timo_tiny"
    start: Annotated[
        str | None,
        Meta(
            title="Start from",
            description="A model bundle whose encoder the training goes on with, pre-trained or fine-tuned; "
            "left out, it starts from random weights.",
            extra_json_schema={"format": "bundle"},
        ),
    ] = msgspec.field(default=None, name="from")
    learn: Annotated[
        Literal["all", "head", "lora"],
        Meta(
            title="What learns",
            description="Of a model that it starts from: all of it, its head alone, or its head and small "
            "adapters (LoRA) beside the encoder's layers.",
            extra_json_schema={"advanced": True},
        ),
    ] = "all"
    epochs: Annotated[
        Annotated[int, Meta(ge=1, le=10000)] | None,
        Meta(
            title="Epochs",
            description="Passes over the labelled area. Left out, as many as take a few minutes on a laptop.",
        ),
    ] = None
    patience: Annotated[
        Annotated[int, Meta(ge=1, le=10000)] | None,
        Meta(
            title="Patience",
            description="End early when so many epochs were no better; left out, all epochs run.",
            extra_json_schema={"unit": "epochs", "advanced": True},
        ),
    ] = None
    seed: Seed = 0
    colors: Annotated[
        list[str],
        Meta(
            title="Class colours",
            description="NAME=#rrggbb for each class that shall not get a colour of the default palette.",
            extra_json_schema={"advanced": True},
        ),
    ] = msgspec.field(default_factory=list)
    names: ClassNames = msgspec.field(default_factory=list)
    ignore: IgnoredValue = None
    chip: Annotated[
        Annotated[int, Meta(ge=32, le=1024, multiple_of=32)] | None,
        Meta(
            title="Chip size",
            description="Side of the squares that the model sees at once; left out, it fits the series.",
            extra_json_schema={"unit": "pixels", "advanced": True},
        ),
    ] = None
    zoom: Zoom = 2
    batch: TrainingBatch = 4
    parts: Annotated[
        int,
        Meta(
            title="Parts of a batch",
            description="In how many parts a batch goes through the model: more take less memory.",
            ge=1,
            le=1024,
            extra_json_schema={"advanced": True},
        ),
    ] = 1
    precision: Precision = "auto"
    augmentation: Annotated[
        Literal["none", "light", "strong"],
        Meta(
            title="Augmentation",
            description="How much bands and dates are changed in training, beside flips and turns.",
            extra_json_schema={"advanced": True},
        ),
    ] = "none"
    label_smoothing: Annotated[
        float,
        Meta(
            title="Label smoothing",
            description="Share of each label that is spread over all classes: more for doubtful labels.",
            ge=0,
            le=0.5,
            extra_json_schema={"advanced": True},
        ),
    ] = 0.1
    balance: Annotated[
        Literal["none", "root", "full"],
        Meta(
            title="Balance of classes",
            description="How much more a label of a rare class counts: not at all, by the root of how rare "
            "it is, or fully, as if all classes were as frequent, which maps more of the rare ones.",
            extra_json_schema={"advanced": True},
        ),
    ] = "root"
    learning_rate: LearningRate = 1e-3
    validation: Annotated[
        float,
        Meta(
            title="Validation share",
            description="Share of the labelled area that is kept from training, in spatial blocks, to choose "
            "the best epoch.",
            ge=0.05,
            le=0.5,
            extra_json_schema={"advanced": True},
        ),
    ] = 0.25
    test: Annotated[
        float,
        Meta(
            title="Test share",
            description="Share of the labelled area that neither teaches the model nor chooses its best "
            "epoch: the report tells how it does there.",
            ge=0,
            le=0.5,
            extra_json_schema={"advanced": True},
        ),
    ] = 0.0
    all_labels: Annotated[
        bool,
        Meta(
            title="Learn from all labels in the end",
            description="When the model has been judged, it learns on from the validation labels, too: its "
            "figures are those of before.",
            extra_json_schema={"advanced": True},
        ),
    ] = True
    split: Annotated[
        str | None,
        Meta(
            title="Split",
            description="Polygons with a field 'part' of train, validation or test, such as a model's "
            "split.gpkg, in place of the shares.",
            extra_json_schema={"format": "polygons", "advanced": True},
        ),
    ] = None
    split_field: Annotated[
        str | None,
        Meta(
            title="Split field",
            description="The field of the labels, or of the split, that says train, validation or test.",
            extra_json_schema={"advanced": True},
        ),
    ] = None


class PretrainSpec(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let a model learn from series without labels, to start fine-tunings from."""

    out: NewBundle
    model: Variant = "timo_tiny"
    epochs: Annotated[
        int,
        Meta(title="Epochs", description="Of 32 steps each; the best one is kept.", ge=1, le=100000),
    ] = 40
    seed: Seed = 0
    chip: Annotated[
        int,
        Meta(
            title="Chip size",
            description="Side of the squares that the model sees at once; with the zoom a multiple of 32.",
            ge=32,
            le=1024,
            multiple_of=32,
            extra_json_schema={"unit": "pixels", "advanced": True},
        ),
    ] = 64
    zoom: Zoom = 2
    batch: TrainingBatch = 4
    learning_rate: LearningRate = 1e-3
    precision: Precision = "auto"
