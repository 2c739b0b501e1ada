# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of every task, declared once.

The command line, the plugin's forms and the Processing algorithms are all made from these declarations;
the plugin, which has no msgspec, reads their JSON Schema from ``resources/schemas/`` (``make schemas``).

Beside JSON Schema's own keywords a field may carry: ``format`` (``series``, ``labels``, ``bundle``,
``raster-out``, ``vector-out``, ``folder-out``, ``polygons``, ``area``), ``unit``, and ``advanced`` (shown
folded away in forms).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from timo.errors import SpecError
from timo.tasks.fields import (
    Bundle,
    ClassField,
    Device,
    IgnoredValue,
    LearningRate,
    ModelBatch,
    NewBundle,
    Overwrite,
    Precision,
    Seed,
    Sources,
    TrainingBatch,
    Variant,
    Zoom,
)
from timo.tasks.presets import PRESETS
from timo.tasks.validation import sentence


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all tasks share."""

    series: Sources
    device: Device = "auto"
    overwrite: Overwrite = False


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
    ] = []
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


class MappingSpec(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What tasks share that make rasters of a series."""

    model: Bundle
    aoi: Annotated[
        str | None,
        Meta(
            title="Area",
            description="Where the map is made: polygons, a raster that is neither 0 nor nodata there, or an "
            "extent in the series' coordinates, left,bottom,right,top.",
            extra_json_schema={"format": "area"},
        ),
    ] = None
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Meta(
            title="Precision",
            description="Of the model's arithmetic. auto takes bfloat16 on a GPU that has it: several times "
            "faster, and probabilities differ by up to a hundredth.",
            extra_json_schema={"advanced": True},
        ),
    ] = "float32"
    batch: Annotated[
        ModelBatch | None,
        Meta(
            title="Batch size",
            description="Chips that the model sees in one step; left out, as suits the device.",
            extra_json_schema={"unit": "chips", "advanced": True},
        ),
    ] = None
    shard: Annotated[
        Annotated[str, Meta(pattern="^[1-9][0-9]{0,4}/[1-9][0-9]{0,4}$")] | None,
        Meta(
            title="Part of the work",
            description="NUMBER/OF: this part of the blocks alone, to be joined by 'timo merge' once all "
            "parts are done; for several machines that share a folder.",
            extra_json_schema={"advanced": True},
        ),
    ] = None
    ray: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            title="Ray cluster",
            description="HOST:PORT of a Ray cluster whose nodes see the same files, or 'local': blocks are "
            "predicted there, by one model for each GPU or node.",
            extra_json_schema={"advanced": True},
        ),
    ] = None
    estimate: Annotated[
        bool,
        Meta(
            title="Estimate alone",
            description="Tell what time, disk and memory it will take, and write nothing.",
            extra_json_schema={"advanced": True},
        ),
    ] = False


class PredictSpec(MappingSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Map a series with a trained model."""

    out: Annotated[
        str,
        Meta(
            min_length=1,
            title="Map",
            description="The GeoTIFF of classes to write.",
            extra_json_schema={"format": "raster-out"},
        ),
    ]
    confidence: Annotated[
        str | None,
        Meta(
            title="Confidence",
            description="A GeoTIFF of two bands: the probability of the mapped class, 0 to 1, and its margin "
            "over the second's.",
            extra_json_schema={"format": "raster-out"},
        ),
    ] = None
    probabilities: Annotated[
        str | None,
        Meta(
            title="Probabilities",
            description="A GeoTIFF with a band for each class: its probability, 0 to 250 for 0 to 1, "
            "255 for no data.",
            extra_json_schema={"format": "raster-out", "advanced": True},
        ),
    ] = None
    per_date: Annotated[
        str | None,
        Meta(
            title="Maps of every date",
            description="A folder for a map of each date, of a model that makes them; the map is that of the "
            "last date.",
            extra_json_schema={"format": "folder-out", "advanced": True},
        ),
    ] = None
    polygons: Annotated[
        str | None,
        Meta(
            title="Polygons",
            description="A GeoPackage of the map's classes as polygons, outlines simplified without gaps.",
            extra_json_schema={"format": "vector-out", "advanced": True},
        ),
    ] = None
    minimum_area: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(
            title="Smallest polygon",
            description="The minimum mapping unit: smaller areas go to their largest neighbour. Left out, 10 "
            "pixels.",
            extra_json_schema={"unit": "m²", "advanced": True},
        ),
    ] = None


class EmbedSpec(MappingSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Write a model's features of a series as a raster."""

    out: Annotated[
        str,
        Meta(
            min_length=1,
            title="Features",
            description="The GeoTIFF to write, with a band for each feature.",
            extra_json_schema={"format": "raster-out"},
        ),
    ]
    stage: Annotated[
        int,
        Meta(
            title="Stage",
            description="Of the encoder: 1 has the finest pixels, 4 the coarsest and the most meaning.",
            ge=1,
            le=4,
        ),
    ] = 3


class EvaluateSpec(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Judge a trained model by labels that it never saw."""

    model: Bundle
    labels: Annotated[
        str,
        Meta(
            min_length=1,
            title="Labels",
            description="Polygons or points with a class field, or a raster of class values: of the model's "
            "classes, at places where it was not trained.",
            extra_json_schema={"format": "labels"},
        ),
    ]
    class_field: ClassField = None
    date_field: Annotated[
        str | None,
        Meta(
            title="Date field",
            description="The field of the date on which a label holds; needed if the model maps every date.",
            extra_json_schema={"advanced": True},
        ),
    ] = None
    out: Annotated[
        str,
        Meta(
            min_length=1,
            title="Report",
            description="The folder of the report: index.html, report.json and errors.tif.",
            extra_json_schema={"format": "folder-out"},
        ),
    ]
    areas: Annotated[
        bool,
        Meta(
            title="Areas",
            description="Estimate each class's area with a 95 % interval. For that the whole series is "
            "mapped, which takes as long as a prediction; without, only the blocks that hold labels.",
        ),
    ] = True
    ignore: IgnoredValue = None
    batch: ModelBatch = 8


SPECS: dict[str, type[Spec]] = {
    "finetune": FinetuneSpec,
    "pretrain": PretrainSpec,
    "predict": PredictSpec,
    "embed": EmbedSpec,
    "evaluate": EvaluateSpec,
}


def load(task: str, parameters: Mapping[str, Any]) -> Spec:
    """The task's spec, complete and validated.

    Args:
        task: A key of ``SPECS``.
        parameters: Field values; what has a default may be left out, or comes from the ``preset``. ``series``
            may be one string.

    Raises:
        SpecError: Naming the field, or the task if there is none of that name.
    """
    if task not in SPECS:
        raise SpecError("unknown_task", f"There is no task '{task}'.", f"Take one of: {', '.join(SPECS)}.")
    values = dict(parameters)
    if task == "finetune" and values.get("preset") in PRESETS:
        values = {**PRESETS[values["preset"]].settings, **values}
    if isinstance(values.get("series"), str):
        values["series"] = [values["series"]]
    try:
        return msgspec.convert(values, SPECS[task])
    except msgspec.ValidationError as error:
        raise SpecError("spec_invalid", sentence(task, str(error)), "Correct it and try again.") from error


def to_dict(spec: Spec) -> dict[str, Any]:
    """The spec as JSON values, as it stands in a bundle and on the wire."""
    values: dict[str, Any] = msgspec.to_builtins(spec)
    return values


def schema(task: str) -> dict[str, Any]:
    """The task's JSON Schema (2020-12): one object, its fields in the order of a form."""
    components = msgspec.json.schema(SPECS[task])
    root: dict[str, Any] = components["$defs"][SPECS[task].__name__]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root}
