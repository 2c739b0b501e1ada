# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks that make rasters plan alike: shards, a fingerprint, provenance."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import rasterio
import torch
from rasterio.errors import RasterioError

from timo import __version__, bundle
from timo.errors import SpecError
from timo.inference.blocks import BlockPredictor
from timo.inference.cluster import Predict
from timo.inference.estimate import estimate
from timo.inference.node import Node
from timo.inference.outputs import Output
from timo.inference.partial import Partial, partial_folder, placed
from timo.inference.plans import Plan, Shard, Source, fingerprint
from timo.inference.polygons import Polygons
from timo.inference.running import Job, run_job
from timo.inference.targets import check_raster
from timo.series.facts import is_remote, open_raster
from timo.series.series import Series, open_series
from timo.tasks.extents import read_extent
from timo.tasks.reporter import Reporter
from timo.tasks.specs import MappingSpec, to_dict

# What a run may change without making another map: where it computes, and how much of it.
_NOT_THE_MAP = ("device", "overwrite", "batch", "shard", "ray", "dry_run", "polygons", "minimum_area")
S = TypeVar("S", bound=MappingSpec)
_PATHS = ("series", "model", "out", "confidence", "probabilities", "per_date", "polygons", "aoi")


def shard_of(spec: MappingSpec) -> Shard:
    """The spec's shard; the whole if it names none."""
    if spec.shard is None:
        return Shard()
    number, of = map(int, spec.shard.split("/"))
    if not 1 <= number <= of:
        raise SpecError(
            "shard_invalid",
            f"There is no part {number} of {of}.",
            f"Give a part from 1/{of} to {of}/{of}.",
        )
    return Shard(number, of)


def plan_of(
    spec: MappingSpec,
    card: bundle.Card,
    series: Series,
    predictor: BlockPredictor,
    depth: int,
    outputs: list[Output],
    polygons: Polygons | None = None,
) -> Plan:
    """What a task makes, and a fingerprint of all that decides its pixels.

    Args:
        spec: The task's.
        card: The model's.
        series: In the model's bands.
        predictor: Of its blocks.
        depth: Numbers of a pixel while it is computed.
        outputs: The rasters; the first is the map.
        polygons: To make of the map.
    """
    sources = [_source(path) for path in files_of(series)]
    values = {key: value for key, value in to_dict(spec).items() if key not in _NOT_THE_MAP}
    decides = {
        "version": __version__,
        "spec": values,
        "sources": sources,
        "card": card,
        "dates": series.days.tolist(),
        "grid": predictor.grid.to_dict(),
        "device": predictor.device.type if spec.precision == "auto" else None,
        "area": None if spec.aoi is None else _source(spec.aoi.partition("|")[0]),
    }
    return Plan(
        fingerprint=fingerprint(decides),
        sources=sources,
        grid=predictor.grid.to_dict(),
        side=predictor.size.side,
        batch=predictor.size.batch,
        outputs=outputs,
        polygons=polygons,
        depth=depth,
        tags=_provenance(spec, card, series, sources),
        summary={"model": card.name, "dates": len(series.dates)},
    )


def files_of(series: Series) -> list[str]:
    """All files that a series reads, those that its virtual rasters (VRT) refer to among them."""
    found = dict.fromkeys(path for files in series.files for path in files)
    for path in list(found):
        if path.lower().endswith(".vrt") and not is_remote(Path(path)):
            try:
                with open_raster(Path(path)) as source:
                    found.update(dict.fromkeys(source.files))
            except RasterioError:  # reading it will say so
                continue
    return list(found)


def inputs_of(spec: MappingSpec, series: Series) -> list[Path]:
    """What no output may replace."""
    area = [] if spec.aoi is None or read_extent(spec.aoi) else [spec.aoi.partition("|")[0]]
    return [Path(path) for path in (*files_of(series), *area)]


def carry_out(
    spec: S, out: Path, prepare: Callable[[S, Reporter], Job], reporter: Reporter
) -> dict[str, Any]:
    """Prepare a task, and run or estimate it.

    Args:
        spec: The task's.
        out: Its first output.
        prepare: Opens and checks all that it needs.
        reporter: Told about progress.

    Returns:
        The task's summary.
    """
    started = time.monotonic()
    reporter.progress(0.0, "Reading the model and the series")
    job = prepare(spec, reporter)
    if spec.dry_run:
        return estimate(job, partial_folder(out), reporter, overwrite=spec.overwrite)
    summary = run_job(job, partial_folder(out), reporter, overwrite=spec.overwrite)
    return {**summary, "seconds": round(time.monotonic() - started, 1)}


def open_inputs(
    spec: MappingSpec, out: Path, fit: Callable[[bundle.Card, Series], Series], reporter: Reporter
) -> tuple[bundle.Card, Series, list[Path]]:
    """The model's card, the series in its bands, and the files that no output may replace.

    Args:
        spec: The task's.
        out: Its first output: refused before hours of work if it can't be written.
        fit: ``bundle.check_series`` or ``bundle.fit_series``.
        reporter: Told what lets the result be poor.

    Raises:
        BundleError, SeriesError, OutputError: Naming what does not fit.
    """
    card = bundle.load_card(Path(spec.model))
    opened = open_series(spec.series)
    sources = inputs_of(spec, opened)
    check_raster(out, overwrite=replaceable(spec, out, out), sources=sources)
    series = fit(card, opened)
    for warning in doubts(card, series):
        reporter.log(warning, "warning")
    return card, series, sources


def replaceable(spec: MappingSpec, out: Path, path: Path) -> bool:
    """Whether a file may be replaced: also if it is this task's, interrupted while it put all in place.

    Args:
        spec: The task's.
        out: Its first output.
        path: The file.
    """
    return spec.overwrite or placed(partial_folder(out), path.absolute())


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


def on_nodes(spec: S, prepare: Callable[[S, Reporter], Job]) -> Callable[[str], Predict]:
    """What a process of a cluster does, of the folder of blocks; its working folder is another."""
    return functools.partial(_on_node, prepare, _absolute(spec))


def _on_node(prepare: Callable[[S, Reporter], Job], spec: S, folder: str) -> Predict:
    return Node(prepare(spec, Reporter()), Partial.open(Path(folder))).predict


def _absolute(spec: S) -> S:
    """The spec with absolute paths."""

    def whole(path: str) -> str:
        return path if "://" in path or read_extent(path) else os.path.abspath(path)  # noqa: PTH100 - keeps globs

    changed: dict[str, Any] = {}
    for name in _PATHS:
        value = getattr(spec, name, None)
        if isinstance(value, str):
            changed[name] = whole(value)
        elif isinstance(value, list):
            changed[name] = [whole(one) for one in value]
    return msgspec.structs.replace(spec, **changed)


def _source(path: str) -> Source:
    try:
        found = None if is_remote(Path(path)) else Path(path).stat()
    except OSError:  # a subdataset, a virtual file, or an extent
        found = None
    if found is None:
        return Source(path=path, size=None, modified=None)
    return Source(path=path, size=found.st_size, modified=found.st_mtime_ns)


def _provenance(
    spec: MappingSpec, card: bundle.Card, series: Series, sources: list[Source]
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
