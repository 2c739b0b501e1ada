# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of every task, declared once.

The command line, the plugin's forms and the Processing algorithms are all made from these declarations;
the plugin, which has no msgspec, reads their JSON Schema from ``resources/schemas/`` (``make schemas``).

Beside JSON Schema's own keywords a field may carry: ``format`` (``series``, ``labels``, ``bundle``,
``raster-out``, ``folder-out``, ``polygons``), ``unit``, and ``advanced`` (shown folded away in forms).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from timo.errors import SpecError

Sources = Annotated[
    list[Annotated[str, Meta(min_length=1)]],
    Meta(
        title="Series",
        description="Dated rasters: a folder, a glob, files, or a CSV with columns path,date.",
        min_length=1,
        extra_json_schema={"format": "series"},
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    Meta(
        title="Device",
        description="Where the model runs; auto takes the GPU where there is one.",
        extra_json_schema={"advanced": True},
    ),
]
Overwrite = Annotated[
    bool,
    Meta(
        title="Overwrite",
        description="Replace the output if it exists.",
        extra_json_schema={"advanced": True},
    ),
]


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all tasks share."""

    series: Sources
    device: Device = "auto"
    overwrite: Overwrite = False


class FinetuneSpec(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Train a model on your own labels."""

    labels: Annotated[
        str,
        Meta(
            min_length=1,
            title="Labels",
            description="Polygons or points with a class field, or a raster of class values.",
            extra_json_schema={"format": "labels"},
        ),
    ]
    class_field: Annotated[
        str | None,
        Meta(
            title="Class field", description="The field that holds the class; needed for polygons and points."
        ),
    ] = None
    out: Annotated[
        str,
        Meta(
            min_length=1,
            title="Model",
            description="The folder of the new model bundle.",
            extra_json_schema={"format": "folder-out"},
        ),
    ]
    model: Annotated[
        Literal["timo_tiny", "timo_small", "timo_base"],
        Meta(
            title="Size",
            description="The model variant: larger ones learn finer differences and take longer. They start "
            "from random weights: no pre-trained ones are published yet.",
        ),
    ] = "timo_tiny"
    epochs: Annotated[
        int,
        Meta(
            title="Epochs", description="Passes over the labelled area; the best one is kept.", ge=1, le=10000
        ),
    ] = 30
    seed: Annotated[
        int,
        Meta(
            title="Seed",
            description="Same seed, data and machine, same model.",
            ge=0,
            le=2**31 - 1,
            extra_json_schema={"advanced": True},
        ),
    ] = 0
    colors: Annotated[
        list[str],
        Meta(
            title="Class colours",
            description="NAME=#rrggbb for each class that shall not get a colour of the default palette.",
            extra_json_schema={"advanced": True},
        ),
    ] = []
    ignore: Annotated[
        int | None,
        Meta(
            title="Ignored value",
            description="The value of a label raster that means not labelled, beside its nodata value.",
            extra_json_schema={"advanced": True},
        ),
    ] = None
    chip: Annotated[
        Annotated[int, Meta(ge=32, le=1024, multiple_of=32)] | None,
        Meta(
            title="Chip size",
            description="Side of the squares that the model sees at once; left out, it fits the series.",
            extra_json_schema={"unit": "pixels", "advanced": True},
        ),
    ] = None
    zoom: Annotated[
        int,
        Meta(
            title="Zoom",
            description="How many times frames are enlarged before the model, whose finest features are 4 "
            "pixels wide. 1 is for large, even areas, 4 times faster than 2; 4 is for things of a pixel.",
            ge=1,
            le=4,
            extra_json_schema={"advanced": True},
        ),
    ] = 2
    batch: Annotated[
        int,
        Meta(
            title="Batch size",
            description="Chips a training step.",
            ge=1,
            le=1024,
            extra_json_schema={"unit": "chips", "advanced": True},
        ),
    ] = 4
    learning_rate: Annotated[
        float,
        Meta(
            title="Learning rate",
            description="Peak of the schedule (AdamW, warm-up and cosine).",
            gt=0,
            le=1,
            extra_json_schema={"advanced": True},
        ),
    ] = 1e-3
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


class PredictSpec(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Map a series with a trained model."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            title="Model",
            description="The folder of a model bundle.",
            extra_json_schema={"format": "bundle"},
        ),
    ]
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
            description="A GeoTIFF of the probability of the mapped class, 0 to 1.",
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
    aoi: Annotated[
        str | None,
        Meta(
            title="Area",
            description="Polygons: the map is made inside them alone.",
            extra_json_schema={"format": "polygons"},
        ),
    ] = None
    batch: Annotated[
        int,
        Meta(
            title="Batch size",
            description="Chips that the model sees in one step.",
            ge=1,
            le=1024,
            extra_json_schema={"unit": "chips", "advanced": True},
        ),
    ] = 8


SPECS: dict[str, type[Spec]] = {"finetune": FinetuneSpec, "predict": PredictSpec}


def load(task: str, parameters: Mapping[str, Any]) -> Spec:
    """The task's spec, complete and validated.

    Args:
        task: A key of ``SPECS``.
        parameters: Field values; what has a default may be left out. ``series`` may be one string.

    Raises:
        SpecError: Naming the field, or the task if there is none of that name.
    """
    if task not in SPECS:
        raise SpecError("unknown_task", f"There is no task '{task}'.", f"Take one of: {', '.join(SPECS)}.")
    values = dict(parameters)
    if isinstance(values.get("series"), str):
        values["series"] = [values["series"]]
    try:
        return msgspec.convert(values, SPECS[task])
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at ")
        field = where.strip("`").removeprefix("$.").split("[")[0]
        named = f"Parameter '{field}' of task '{task}' is not valid: " if field else f"Task '{task}': "
        raise SpecError(
            "spec_invalid", f"{named}{reason[:1].lower()}{reason[1:]}.", "Correct it and try again."
        ) from error


def to_dict(spec: Spec) -> dict[str, Any]:
    """The spec as JSON values, as it stands in a bundle and on the wire."""
    values: dict[str, Any] = msgspec.to_builtins(spec)
    return values


def schema(task: str) -> dict[str, Any]:
    """The task's JSON Schema (2020-12): one object, its fields in the order of a form."""
    components = msgspec.json.schema(SPECS[task])
    root: dict[str, Any] = components["$defs"][SPECS[task].__name__]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root}
