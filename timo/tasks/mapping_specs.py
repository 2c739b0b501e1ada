# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of the tasks that use models; see ``timo.tasks.specs``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from timo.tasks.fields import Bundle, ClassField, ClassNames, IgnoredValue, ModelBatch, Spec


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
    dry_run: Annotated[
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
    names: ClassNames = msgspec.field(default_factory=list)
    ignore: IgnoredValue = None
    batch: ModelBatch = 8
