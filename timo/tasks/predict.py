# SPDX-License-Identifier: GPL-3.0-or-later
"""Map a series with a model bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from timo import bundle
from timo.errors import BundleError
from timo.inference.area import open_area
from timo.inference.blocks import BlockPredictor
from timo.inference.outputs import Layers, Output, check_apart, outputs_of
from timo.inference.polygons import Polygons, polygons_of
from timo.inference.ready import ready_model, ready_series
from timo.inference.running import Job
from timo.inference.sizing import choose
from timo.inference.targets import check_folder, check_raster, check_target
from timo.models.device import compute_on
from timo.series.series import Series
from timo.tasks.planning import carry_out, on_nodes, open_inputs, plan_of, replaceable, shard_of
from timo.tasks.reporter import Reporter
from timo.tasks.room import check_mapping
from timo.tasks.specs import PredictSpec


def run(spec: PredictSpec, reporter: Reporter) -> dict[str, Any]:
    """Predict the classes of a series and write them as a map.

    Killed, cancelled or out of disk, the same spec goes on where it was.

    Returns:
        What was written, and the share of each class; of an estimate, what it would take; of a shard, how
        many blocks are done.

    Raises:
        BundleError, SeriesError, LabelError, OutputError, ModelError: Naming what does not fit.
    """
    return carry_out(spec, Path(spec.out), _prepare, reporter)


def _prepare(spec: PredictSpec, reporter: Reporter) -> Job:
    """Open and check all that a prediction needs."""
    out = Path(spec.out)
    card, series, sources = open_inputs(spec, out, bundle.check_series, reporter)
    layers, outputs = _outputs(spec, card, series)
    check_apart(outputs)
    for output in outputs:
        if output.kind != "maps_per_date" or Path(output.path).parent.exists():
            path = Path(output.path)
            check_raster(path, overwrite=replaceable(spec, out, path), sources=sources)
    area = None if spec.aoi is None else open_area(spec.aoi, series.grid)
    compute = compute_on(spec.device, spec.precision)
    check_mapping(card, series, compute.device)
    values = len(series.dates) * len(series.bands)
    of_pixel = len(card.classes) * (len(series.dates) if card.architecture.per_date else 1)
    size = choose(chip=card.chip, values=values, layers=of_pixel, device=compute.device, batch=spec.batch)
    predictor = BlockPredictor(
        ready_model(Path(spec.model), card, compute.device),
        ready_series(series, card),
        chip=card.chip,
        size=size,
        device=compute.device,
        area=area,
        autocast=compute.autocast,
    )
    polygons = _polygons(spec, series, sources)
    plan = plan_of(spec, card, series, predictor, of_pixel, outputs, polygons)
    return Job(predictor, layers, plan, shard_of(spec), spec.ray, on_nodes(spec, _prepare))


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


def _polygons(spec: PredictSpec, series: Series, sources: list[Path]) -> Polygons | None:
    if spec.polygons is None:
        return None
    path = Path(spec.polygons).absolute()
    check_target(
        path, "GeoPackage", (".gpkg",), overwrite=replaceable(spec, Path(spec.out), path), sources=sources
    )
    return polygons_of(path, spec.minimum_area, series.grid)
