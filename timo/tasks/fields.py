# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that several tasks have, with their titles, help and ranges; see ``timo.tasks.specs``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Sources = Annotated[
    list[Annotated[str, Meta(min_length=1)]],
    Meta(
        title="Series",
        description="Dated rasters: a folder, a glob, files, a CSV with columns path,date, or a STAC search "
        "that was saved as .json.",
        min_length=1,
        extra_json_schema={"format": "series", "network": True},
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
NewBundle = Annotated[
    str,
    Meta(
        min_length=1,
        title="Model",
        description="The folder of the new model bundle.",
        extra_json_schema={"format": "folder-out"},
    ),
]
Variant = Annotated[
    Literal["timo_tiny", "timo_small", "timo_base"],
    Meta(
        title="Size",
        description="The model variant: larger ones learn finer differences and take longer. They start "
        "from random weights: no pre-trained ones are published yet.",
    ),
]
Seed = Annotated[
    int,
    Meta(
        title="Seed",
        description="Same seed, data and machine, same model.",
        ge=0,
        le=2**31 - 1,
        extra_json_schema={"advanced": True},
    ),
]
Zoom = Annotated[
    int,
    Meta(
        title="Zoom",
        description="How many times frames are enlarged before the model, whose finest features are 4 "
        "pixels wide. 1 is for large, even areas, 4 times faster than 2; 4 is for things of a pixel.",
        ge=1,
        le=4,
        extra_json_schema={"advanced": True},
    ),
]
TrainingBatch = Annotated[
    int,
    Meta(
        title="Batch size",
        description="Chips a training step.",
        ge=1,
        le=1024,
        extra_json_schema={"unit": "chips", "advanced": True},
    ),
]
LearningRate = Annotated[
    float,
    Meta(
        title="Learning rate",
        description="Peak of the schedule (AdamW, warm-up and cosine).",
        gt=0,
        le=1,
        extra_json_schema={"advanced": True},
    ),
]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    Meta(
        title="Precision",
        description="Of the model's arithmetic; auto takes bfloat16 on a GPU that has it, else float32.",
        extra_json_schema={"advanced": True},
    ),
]
Bundle = Annotated[
    str,
    Meta(
        min_length=1,
        title="Model",
        description="The folder of a model bundle.",
        extra_json_schema={"format": "bundle"},
    ),
]
ModelBatch = Annotated[
    int,
    Meta(
        title="Batch size",
        description="Chips that the model sees in one step.",
        ge=1,
        le=1024,
        extra_json_schema={"unit": "chips", "advanced": True},
    ),
]
ClassField = Annotated[
    str | None,
    Meta(title="Class field", description="The field that holds the class; needed for polygons and points."),
]
IgnoredValue = Annotated[
    int | None,
    Meta(
        title="Ignored value",
        description="The value of a label raster that means not labelled, beside its nodata value.",
        extra_json_schema={"advanced": True},
    ),
]


ClassNames = Annotated[
    list[str],
    Meta(
        title="Class names",
        description="CODE=NAME for each class that the labels hold as a code.",
        extra_json_schema={"advanced": True},
    ),
]


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all tasks share."""

    series: Sources
    device: Device = "auto"
    overwrite: Overwrite = False
