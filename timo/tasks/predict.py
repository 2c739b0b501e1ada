# SPDX-License-Identifier: GPL-3.0-or-later
"""Map a series with a model bundle."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch

from timo import __version__, bundle
from timo.errors import BundleError, LabelError, ModelError
from timo.inference.area import open_area
from timo.inference.blocks import BlockPredictor
from timo.inference.chips import Rectangle
from timo.inference.estimate import estimate
from timo.inference.joining import join
from timo.inference.memory import Shortage
from timo.inference.outputs import Layers, Output, check_apart, outputs_of
from timo.inference.partial import Done, Partial, Plan, Shard, Source, fingerprint, partial_folder
from timo.inference.polygons import Polygons, polygons_of
from timo.inference.ready import ready_model, ready_series
from timo.inference.sizing import block_bytes, choose
from timo.inference.targets import check_folder, check_raster, check_target
from timo.series.facts import is_remote
from timo.series.series import Series, open_series
from timo.series.words import counted
from timo.tasks.reporter import Reporter
from timo.tasks.specs import PredictSpec, load, to_dict
from timo.training.device import fabric_for

MAPPED = 0.95  # of the progress; the rest is joining the blocks
# What a run may change without making another map: where it computes, and how much of it.
_NOT_THE_MAP = ("device", "overwrite", "batch", "shard", "ray", "estimate")


@dataclass
class _Job:
    """A prediction that is ready to run."""

    spec: PredictSpec
    card: bundle.Card
    series: Series
    predictor: BlockPredictor
    layers: Layers
    plan: Plan
    shard: Shard
    halved_batch: bool = False
    """Since memory didn't suffice."""


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
        return estimate(job.predictor, job.plan, job.layers, reporter)
    folder = partial_folder(Path(spec.out))
    partial = Partial.begin(folder, job.plan, overwrite=spec.overwrite)
    with partial.held(job.shard):
        _map(job, partial, reporter)
        if job.shard.of > 1:
            summary = {"partial": str(folder), "shard": str(job.shard), "blocks": len(partial.done)}
        else:
            summary = finish(partial, reporter, overwrite=spec.overwrite)
    return {**summary, "seconds": round(time.monotonic() - started, 1)}


def finish(partial: Partial, reporter: Reporter, *, overwrite: bool) -> dict[str, Any]:
    """Join the blocks; also what ``timo merge`` does. The folder of blocks is the caller's to remove.

    Returns:
        What was written, and the share of each class.

    Raises:
        OutputError: Blocks are missing, or a raster can't be written.
    """

    def tick(share: float) -> None:
        reporter.check()
        reporter.progress(MAPPED + (1 - MAPPED) * share, "Writing the map")

    plan, counts = partial.plan, partial.counts()
    join(partial, overwrite=overwrite, tick=tick)
    of_dates = [output for output in plan.outputs if output.kind == "maps_per_date"]
    single = [output for output in plan.outputs if output not in of_dates]
    for output in single:
        reporter.artifact(Path(output.path), output.kind)
    if of_dates:
        reporter.artifact(Path(of_dates[0].path).parent, "maps_per_date")
    extra = {} if plan.polygons is None else {"polygons": plan.polygons.path}
    for kind, path in extra.items():
        reporter.artifact(Path(path), kind)
    mapped = int(counts.sum())
    if not mapped:
        reporter.log("The map is empty: no pixel of the series has data in the area.", "warning")
    classes = single[0].classes
    return {
        **{output.kind: output.path for output in single},
        **extra,
        **plan.summary,
        "pixels_mapped": mapped,
        "classes": [
            {"value": c.value, "name": c.name, "color": c.color, "pixels": int(n)}
            for c, n in zip(classes, counts, strict=True)
        ],
    }


def _prepare(spec: PredictSpec, reporter: Reporter) -> _Job:
    """Open and check all that a prediction needs."""
    shard = _shard(spec)
    card = bundle.load_card(Path(spec.model))
    opened = open_series(spec.series)
    sources = [Path(path) for files in opened.files for path in files]
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
    return _Job(spec, card, series, predictor, layers, _plan(spec, card, series, predictor, outputs), shard)


def _shard(spec: PredictSpec) -> Shard:
    """The spec's shard; the whole if it names none."""
    if spec.shard is None:
        return Shard()
    number, of = map(int, spec.shard.split("/"))
    if not 1 <= number <= of:
        raise ModelError(
            "shard_invalid",
            f"There is no part {number} of {of}.",
            f"Give a part from 1/{of} to {of}/{of}.",
        )
    return Shard(number, of)


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
    ratio = series.grid.pixel_size[0] / card.ground_sample_distance[0]
    if series.grid.crs == card.crs and not 0.75 < ratio < 1.33:
        doubts.append(
            f"The series has pixels of {series.grid.pixel_size[0]:g}, model '{card.name}' was trained on "
            f"{card.ground_sample_distance[0]:g}: the map may be poor."
        )
    return doubts


def _plan(
    spec: PredictSpec, card: bundle.Card, series: Series, predictor: BlockPredictor, outputs: list[Output]
) -> Plan:
    sources = [_source(path) for path in dict.fromkeys(path for files in series.files for path in files)]
    values = {key: value for key, value in to_dict(spec).items() if key not in _NOT_THE_MAP}
    decides = {
        "version": __version__,
        "spec": values,
        "sources": sources,
        "weights": card.weights_sha256,
        "area": None if spec.aoi is None else _source(spec.aoi.partition("|")[0]),
    }
    return Plan(
        fingerprint=fingerprint(decides),
        sources=sources,
        grid=series.grid.to_dict(),
        side=predictor.size.side,
        batch=predictor.size.batch,
        outputs=outputs,
        polygons=_polygons(spec, series),
        tags=_provenance(spec, card, series, sources),
        summary={"model": card.name, "dates": len(series.dates)},
    )


def _polygons(spec: PredictSpec, series: Series) -> Polygons | None:
    if spec.polygons is None:
        return None
    path = Path(spec.polygons).absolute()
    check_target(path, "GeoPackage", (".gpkg",), overwrite=spec.overwrite)
    return polygons_of(path, spec.minimum_area, series.grid)


def _source(path: str) -> Source:
    try:
        found = None if is_remote(Path(path)) else Path(path).stat()
    except OSError:  # a subdataset, a virtual file, or an extent
        found = None
    if found is None:
        return Source(path=path, size=None, modified=None)
    return Source(path=path, size=found.st_size, modified=found.st_mtime_ns)


def _provenance(
    spec: PredictSpec, card: bundle.Card, series: Series, sources: list[Source]
) -> dict[str, str]:
    """What made the map; goes into the files' metadata."""
    named = (Path(one.path).name + ("" if one.size is None else f" ({one.size} bytes)") for one in sources)
    versions = {
        "timo": __version__,
        "torch": str(torch.__version__),
        "rasterio": rasterio.__version__,
        "GDAL": rasterio.__gdal_version__,
    }
    return {
        "TIFFTAG_SOFTWARE": f"TiMo for QGIS {__version__}",
        "TIMO_MODEL": card.name,
        "TIMO_MODEL_SHA256": card.weights_sha256,
        "TIMO_SPEC": json.dumps(to_dict(spec)),
        "TIMO_DATES": ", ".join(date.isoformat() for date in series.dates),
        "TIMO_SOURCES": ", ".join(named),
        "TIMO_VERSIONS": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def _map(job: _Job, partial: Partial, reporter: Reporter) -> None:
    """Predict the blocks that aren't done; a thread writes them while the model works on the next."""
    predictor, shard = job.predictor, job.shard
    predictor.size = replace(predictor.size, side=partial.plan.side, batch=partial.plan.batch)
    todo, chips = _wanted(job, partial)
    if not todo and shard.of == 1 and not any(done.bytes for done in partial.done.values()):
        raise LabelError(
            "area_outside", "No pixel of the area lies on the series.", "Give an area of the same place."
        )
    before = len(partial.done)
    if before and todo:
        reporter.log(f"Going on: {counted(before, 'block is', 'blocks are')} done already.")
    share = before / max(before + len(todo), 1)  # of the blocks, when it was interrupted
    seen = 0

    def step(count: int) -> None:
        nonlocal seen
        reporter.check()
        seen += count
        reporter.progress(MAPPED * (share + (1 - share) * min(seen / chips, 1)), "Mapping")

    if job.spec.ray is not None:
        _map_on_cluster(job, partial, todo, step, reporter)
        return
    with ThreadPoolExecutor(1) as writer:
        writing: Future[None] | None = None

        def settle() -> None:
            if writing is not None:
                writing.result()

        def short(shortage: Shortage) -> Iterable[Rectangle]:
            settle()
            _shrink(job, partial, shortage, reporter)
            return partial.todo(shard)

        with closing(predictor.run(todo, step, short)) as blocks:
            for block in blocks:
                layers, counts = job.layers.of(block)
                settle()
                writing = writer.submit(partial.add, block.place, layers, counts, shard)
        settle()


def _map_on_cluster(
    job: _Job,
    partial: Partial,
    todo: list[Rectangle],
    step: Callable[[int], None],
    reporter: Reporter,
) -> None:
    """The nodes write the blocks' files; the journal is written here."""
    from timo.inference.cluster import Cluster

    def done(block: Rectangle, made: Done) -> None:
        partial.enter(block, made, job.shard)
        step(len(job.predictor.chips(block)))

    with Cluster(str(job.spec.ray)) as cluster:
        work = functools.partial(predict_on_node, to_dict(job.spec), str(partial.folder))
        cluster.run(todo, work, done, reporter.check, reporter.log)


def predict_on_node(values: dict[str, Any], folder: str) -> Callable[[Rectangle], Done]:
    """Get ready to predict blocks of a plan, in a process of a cluster.

    Args:
        values: Of the spec.
        folder: The folder of blocks, on storage that all nodes share.
    """
    spec = load("predict", values)
    assert isinstance(spec, PredictSpec)  # noqa: S101
    job = _prepare(spec, Reporter())
    partial = Partial.open(Path(folder))
    job.predictor.size = replace(job.predictor.size, side=partial.plan.side, batch=partial.plan.batch)

    def predict(block: Rectangle) -> Done:
        (found,) = job.predictor.run([block], lambda _: None)
        return partial.write(block, *job.layers.of(found))

    return predict


def _wanted(job: _Job, partial: Partial) -> tuple[list[Rectangle], int]:
    """The shard's blocks that aren't done, and the chips they take; what lies outside the area is done."""
    todo, chips = [], 0
    nothing = np.zeros(len(job.card.classes), np.int64)
    for block in partial.todo(job.shard):
        count = len(job.predictor.chips(block))
        if count:
            todo.append(block)
            chips += count
        else:
            partial.add(block, {}, nothing, job.shard)
    return todo, chips


def _shrink(job: _Job, partial: Partial, shortage: Shortage, reporter: Reporter) -> None:
    """Make batches, then blocks smaller; the third time there is nothing left to try.

    Raises:
        ModelError: ``out_of_memory``, with what was needed.
    """
    predictor, plan = job.predictor, partial.plan
    size = predictor.size
    values, layers = len(job.series.dates) * len(job.series.bands), len(job.card.classes)
    side = plan.side >> plan.halved
    gigabytes = f"{shortage.available / 2**30:.1f} GB"
    if plan.halved:
        needed = block_bytes(side, job.card.chip, values, layers)
        raise ModelError(
            "out_of_memory",
            f"The memory of the {shortage.where} is not enough, even for blocks of {side} pixels and "
            f"{counted(size.batch, 'chip', 'chips')} at once: {gigabytes} was free, and blocks alone take "
            f"{needed / 2**30:.1f} GB.",
            "Close other programs, choose another device, or take fewer dates.",
        )
    if size.batch > 1 and not job.halved_batch:
        job.halved_batch = True
        predictor.size = replace(size, batch=size.batch // 2)
        partial.smaller(batch=predictor.size.batch)
        now = f"the model now takes {counted(predictor.size.batch, 'chip', 'chips')} at once"
    else:
        partial.smaller(halve=True)
        now = f"blocks now have {side // 2} pixels a side"
    reporter.log(
        f"The memory of the {shortage.where} was not enough ({gigabytes} was free): {now}.", "warning"
    )
