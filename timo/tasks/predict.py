# SPDX-License-Identifier: GPL-3.0-or-later
"""Map a series with a model bundle."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timo import __version__, bundle
from timo.errors import BundleError, OutputError
from timo.inference.blocks import Block, BlockPredictor
from timo.inference.ready import ready_model, ready_series
from timo.inference.writer import (
    PROBABILITY_NODATA,
    PROBABILITY_SCALE,
    RasterWriter,
    check_folder,
    check_raster,
    map_type,
)
from timo.series.series import Series, open_series
from timo.tasks.reporter import Reporter
from timo.tasks.specs import PredictSpec, to_dict
from timo.training.device import fabric_for


def run(spec: PredictSpec, reporter: Reporter) -> dict[str, Any]:
    """Predict the classes of a series and write them as a map.

    Returns:
        What was written, and the share of each class.

    Raises:
        BundleError, SeriesError, LabelError, OutputError, ModelError: Naming what does not fit.
    """
    started = time.monotonic()
    reporter.progress(0.0, "Reading the model and the series")
    card = bundle.load_card(Path(spec.model))
    opened = open_series(spec.series)
    outputs = _check_outputs(spec, opened)
    series = bundle.check_series(card, opened)
    for warning in doubts(card, series):
        reporter.log(warning, "warning")
    area = None
    if spec.aoi is not None:
        from timo.series.labels import polygon_mask

        area = polygon_mask(Path(spec.aoi), series.grid)
    fabric = fabric_for(spec.device)
    predictor = BlockPredictor(
        ready_model(Path(spec.model), card, fabric),
        ready_series(series, card),
        chip=card.chip,
        batch=spec.batch,
        device=fabric.device,
        area=area,
    )
    every = _dated(spec, card, series)
    counts = _write(spec, card, series, predictor, every, reporter)
    for kind, path in outputs.items():
        reporter.artifact(path, kind)
    mapped = int(counts.sum())
    if not mapped:
        reporter.log("The map is empty: no pixel of the series has data in the area.", "warning")
    if spec.per_date:
        reporter.artifact(Path(spec.per_date), "maps_per_date")
    return {
        "map": str(outputs["map"]),
        **{kind: str(path) for kind, path in outputs.items() if kind != "map"},
        "model": card.name,
        "dates": len(series.dates),
        "pixels_mapped": mapped,
        "classes": [
            {"value": c.value, "name": c.name, "color": c.color, "pixels": int(n)}
            for c, n in zip(card.classes, counts, strict=True)
        ],
        "seconds": round(time.monotonic() - started, 1),
    }


def _dated(spec: PredictSpec, card: bundle.Card, series: Series) -> list[Path]:
    """The maps of every date, in order; none where they aren't asked for."""
    if spec.per_date is None:
        return []
    if not card.architecture.per_date:
        raise BundleError(
            "bundle_not_per_date",
            f"Model '{card.name}' makes one map for the whole series, not one for every date.",
            "Leave the maps of every date out, or take a model that was trained for them.",
        )
    folder = Path(spec.per_date)
    check_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    paths = [folder / f"{Path(spec.out).stem}_{date.isoformat()}.tif" for date in series.dates]
    for path in paths:
        check_raster(path, overwrite=spec.overwrite)
    return paths


def _check_outputs(spec: PredictSpec, series: Series) -> dict[str, Path]:
    named = {"map": spec.out, "confidence": spec.confidence, "probabilities": spec.probabilities}
    outputs = {kind: Path(path) for kind, path in named.items() if path is not None}
    sources = [Path(path) for files in series.files for path in files]
    places: set[Path] = set()
    for path in outputs.values():
        check_raster(path, overwrite=spec.overwrite, sources=sources)
        if path.resolve() in places:
            raise OutputError(
                "outputs_collide",
                f"Two outputs have the same name '{path}'.",
                "Give each output a name of its own.",
            )
        places.add(path.resolve())
    return outputs


def doubts(card: bundle.Card, series: Series) -> list[str]:
    """What lets the map be worse than the model's figures promise."""
    doubts = []
    if len(series.dates) != card.dates.count:
        doubts.append(
            f"The series has {len(series.dates)} dates; model '{card.name}' was trained on "
            f"{card.dates.count} ({card.dates.first} to {card.dates.last}). "
            "It tells dates by their order: the map may be poor."
        )
    ratio = series.grid.pixel_size[0] / card.ground_sample_distance[0]
    if series.grid.crs == card.crs and not 0.75 < ratio < 1.33:
        doubts.append(
            f"The series has pixels of {series.grid.pixel_size[0]:g}, model '{card.name}' was trained on "
            f"{card.ground_sample_distance[0]:g}: the map may be poor."
        )
    return doubts


def _write(
    spec: PredictSpec,
    card: bundle.Card,
    series: Series,
    predictor: BlockPredictor,
    every: list[Path],
    reporter: Reporter,
) -> NDArray[np.int64]:
    """Write all outputs; pixels of each class, (K,). Of a model of every date, those of the last."""
    scheme = card.scheme()
    values = [c.value for c in card.classes]
    dtype, nodata = map_type(values)
    if card.nodata not in values and np.can_cast(np.min_scalar_type(card.nodata), dtype):
        nodata = card.nodata
    lookup = np.array(values, dtype)
    names = [c.name for c in card.classes]
    tags = _provenance(spec, card, series)
    counts = np.zeros(len(values), np.int64)
    total, done = max(predictor.count_chips(), 1), 0

    def step(chips: int) -> None:
        nonlocal done
        reporter.check()
        done += chips
        reporter.progress(done / total, "Mapping")

    writers: list[RasterWriter] = []
    with contextlib.ExitStack() as stack:

        def writer(path: str, **options: Any) -> RasterWriter:
            writers.append(stack.enter_context(RasterWriter(Path(path), series.grid, tags=tags, **options)))
            return writers[-1]

        classes = writer(spec.out, dtype=dtype, nodata=nodata, bands=["class"], scheme=scheme)
        confidence = spec.confidence and writer(
            spec.confidence, dtype="float32", nodata=float("nan"), bands=["confidence"]
        )
        probabilities = spec.probabilities and writer(
            spec.probabilities, dtype="uint8", nodata=PROBABILITY_NODATA, bands=names
        )
        dated = [
            writer(str(path), dtype=dtype, nodata=nodata, bands=["class"], scheme=scheme) for path in every
        ]
        for block in predictor.run(step):
            if block.probabilities.ndim == 4:  # T K H W
                for t, one in enumerate(dated):
                    mapped = lookup[block.probabilities[t].argmax(0)]
                    one.write(np.where(block.valid, mapped, nodata).astype(dtype), block.rows, block.columns)
                block = replace(block, probabilities=block.probabilities[-1])  # noqa: PLW2901
            best = block.probabilities.argmax(0)
            classes.write(
                np.where(block.valid, lookup[best], nodata).astype(dtype), block.rows, block.columns
            )
            counts += np.bincount(best[block.valid], minlength=len(values))
            if confidence:
                confidence.write(_confidence(block), block.rows, block.columns)
            if probabilities:
                probabilities.write(_scaled(block), block.rows, block.columns)
        for each in writers:
            each.finish()
    return counts


def _confidence(block: Block) -> NDArray[np.float32]:
    return np.where(block.valid, block.probabilities.max(0), np.nan).astype(np.float32)


def _scaled(block: Block) -> NDArray[np.uint8]:
    scaled = np.round(block.probabilities * PROBABILITY_SCALE)
    return np.where(block.valid, scaled, PROBABILITY_NODATA).astype(np.uint8)


def _provenance(spec: PredictSpec, card: bundle.Card, series: Series) -> dict[str, str]:
    """What made the map; goes into the file's metadata."""
    return {
        "TIFFTAG_SOFTWARE": f"TiMo for QGIS {__version__}",
        "TIMO_MODEL": card.name,
        "TIMO_MODEL_SHA256": card.weights_sha256,
        "TIMO_SPEC": json.dumps(to_dict(spec)),
        "TIMO_DATES": ", ".join(date.isoformat() for date in series.dates),
        "TIMO_SOURCES": ", ".join(Path(path).name for files in series.files for path in files),
    }
