# SPDX-License-Identifier: GPL-3.0-or-later
"""Map a series with a model bundle."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from timo import bundle
from timo.errors import BundleError
from timo.inference.area import open_area
from timo.inference.blocks import BlockPredictor
from timo.inference.chips import Rectangle
from timo.inference.estimate import estimate
from timo.inference.outputs import Layers, Output, check_apart, outputs_of
from timo.inference.partial import Partial, partial_folder
from timo.inference.plans import Done
from timo.inference.polygons import Polygons, polygons_of
from timo.inference.ready import ready_model, ready_series
from timo.inference.running import Job, run_job
from timo.inference.sizing import choose
from timo.inference.targets import check_folder, check_raster, check_target
from timo.series.series import Series, open_series
from timo.tasks.planning import absolute, inputs_of, plan_of, shard_of
from timo.tasks.reporter import Reporter
from timo.tasks.specs import PredictSpec, load
from timo.training.device import fabric_for


def run(spec: PredictSpec, reporter: Reporter) -> dict[str, Any]:
    """Predict the classes of a series and write them as a map.

    Killed, cancelled or out of disk, the same spec goes on where it was.

    Returns:
        What was written, and the share of each class; of an estimate, what it would take; of a shard, how
        many blocks are done.

    Raises:
        BundleError, SeriesError, LabelError, OutputError, ModelError: Naming what does not fit.
    """
    started = time.monotonic()
    reporter.progress(0.0, "Reading the model and the series")
    job = _prepare(spec, reporter)
    if spec.estimate:
        return estimate(job.predictor, job.plan, reporter)
    summary = run_job(job, partial_folder(Path(spec.out)), reporter, overwrite=spec.overwrite)
    return {**summary, "seconds": round(time.monotonic() - started, 1)}


def _prepare(spec: PredictSpec, reporter: Reporter) -> Job:
    """Open and check all that a prediction needs."""
    shard = shard_of(spec)
    card = bundle.load_card(Path(spec.model))
    opened = open_series(spec.series)
    sources = inputs_of(spec, opened)
    check_raster(Path(spec.out), overwrite=spec.overwrite, sources=sources)
    series = bundle.check_series(card, opened)
    for warning in doubts(card, series):
        reporter.log(warning, "warning")
    layers, outputs = _outputs(spec, card, series)
    check_apart(outputs)
    for output in outputs:
        if output.kind != "maps_per_date" or Path(output.path).parent.exists():
            check_raster(Path(output.path), overwrite=spec.overwrite, sources=sources)
    area = None if spec.aoi is None else open_area(spec.aoi, series.grid)
    fabric = fabric_for(spec.device, precision=spec.precision)
    values = len(series.dates) * len(series.bands)
    of_pixel = len(card.classes) * (len(series.dates) if card.architecture.per_date else 1)
    size = choose(chip=card.chip, values=values, layers=of_pixel, device=fabric.device, batch=spec.batch)
    predictor = BlockPredictor(
        ready_model(Path(spec.model), card, fabric),
        ready_series(series, card),
        chip=card.chip,
        size=size,
        device=fabric.device,
        area=area,
        autocast=fabric.autocast,
    )
    polygons = _polygons(spec, series, sources)
    plan = plan_of(spec, card, series, predictor, of_pixel, outputs, polygons)
    work = functools.partial(work_on_node, absolute(spec))
    return Job(predictor, layers, plan, shard, spec.ray, work)


def _outputs(spec: PredictSpec, card: bundle.Card, series: Series) -> tuple[Layers, list[Output]]:
    named = {"map": spec.out, "confidence": spec.confidence, "probabilities": spec.probabilities}
    paths = {kind: str(Path(path).absolute()) for kind, path in named.items() if path is not None}
    dated: dict[str, str] = {}
    if spec.per_date is not None:
        if not card.architecture.per_date:
            raise BundleError(
                "bundle_not_per_date",
                f"Model '{card.name}' makes one map for the whole series, not one for every date.",
                "Leave the maps of every date out, or take a model that was trained for them.",
            )
        folder, stem = Path(spec.per_date).absolute(), Path(spec.out).stem
        check_folder(folder.parent)
        for date in series.dates:
            dated[date.isoformat()] = str(folder / f"{stem}_{date.isoformat()}.tif")
    layers = Layers(card, [*paths, *(["maps_per_date"] if dated else [])])
    return layers, outputs_of(card, layers, paths, dated)


def doubts(card: bundle.Card, series: Series) -> list[str]:
    """What lets the map be worse than the model's figures promise."""
    doubts = []
    if len(series.dates) != card.dates.count:
        doubts.append(
            f"The series has {len(series.dates)} dates; model '{card.name}' was trained on "
            f"{card.dates.count} ({card.dates.first} to {card.dates.last}). "
            "It tells dates by their order: the map may be poor."
        )
    ratio, side = bundle.pixel_ratio(card, series.grid), series.grid.ground_sample_distance
    if ratio is not None and side is not None and not 0.75 < ratio < 1.33:
        doubts.append(
            f"The series has pixels of {side:.3g} m, model '{card.name}' was trained on "
            f"{side / ratio:.3g} m: the map may be poor."
        )
    return doubts


def _polygons(spec: PredictSpec, series: Series, sources: list[Path]) -> Polygons | None:
    if spec.polygons is None:
        return None
    path = Path(spec.polygons).absolute()
    check_target(path, "GeoPackage", (".gpkg",), overwrite=spec.overwrite, sources=sources)
    return polygons_of(path, spec.minimum_area, series.grid)


def work_on_node(values: dict[str, Any], folder: str) -> Callable[[Rectangle], Done]:
    """Get ready to predict blocks of a plan, in a process of a cluster.

    Args:
        values: Of the spec.
        folder: The folder of blocks, on storage that all nodes share.
    """
    spec = load("predict", values)
    assert isinstance(spec, PredictSpec)  # noqa: S101
    job, partial = _prepare(spec, Reporter()), Partial.open(Path(folder))
    job.resume(partial)
    return functools.partial(job.predict, partial=partial)
