# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre-train an encoder on series without labels, into a model bundle that a fine-tuning starts from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from timo import __version__, bundle
from timo.report.training import training_page
from timo.series.places import Place, open_places
from timo.series.prepared import PreparedSeries, Statistics, statistics
from timo.tasks.reporter import Reporter
from timo.tasks.specs import PretrainSpec, to_dict
from timo.training.checkpoint import Checkpoint, fingerprint
from timo.training.device import fabric_for
from timo.training.engine import Fit, Schedule, fit
from timo.training.objectives import ReconstructionObjective
from timo.training.unlabelled import UnlabelledChips

MOST_DATES = 12  # of a chip, as many as the paper's; of longer series some are drawn


def run(spec: PretrainSpec, reporter: Reporter) -> dict[str, Any]:
    """Learn to fill in what is hidden of the series, and write the encoder that does it best.

    Returns:
        The bundle's folder and its figures.

    Raises:
        SpecError, SeriesError, OutputError, ModelError: Naming what is at fault.
    """
    started = time.monotonic()
    out = Path(spec.out)
    bundle.check_writable(out, overwrite=spec.overwrite)
    reporter.progress(0.0, "Reading the series")
    places = _open(spec.series)
    for place in places:
        for problem in place.series.problems:
            reporter.log(f"{place.name}: {problem}", "warning")
    keys = list(dict.fromkeys(key for place in places for key in place.series.keys))
    figures = [statistics([place.series], spec.seed) for place in places]
    chips = UnlabelledChips(
        [PreparedSeries(place.series, one, keep=True) for place, one in zip(places, figures, strict=True)],
        [[keys.index(key) for key in place.series.keys] for place in places],
        count=len(keys),
        dates=MOST_DATES,
        chip=spec.chip,
        batch=spec.batch,
        seed=spec.seed,
    )
    fabric = fabric_for(spec.device, spec.seed, spec.precision)
    architecture = bundle.Architecture(
        name=spec.model, in_chans=len(keys), num_classes=0, head_channels=0, zoom=spec.zoom,
        position="date", kind="autoencoder",
    )  # fmt: skip
    model = architecture.build()
    files = [Path(path) for place in places for files in place.series.files for path in files]
    key = fingerprint(to_dict(msgspec.structs.replace(spec, overwrite=False)), files)
    checkpoint = Checkpoint(out.with_name(f"{out.name}.training"), key)
    outcome = fit(
        fabric,
        model,
        ReconstructionObjective(zoom=spec.zoom, seed=spec.seed),
        chips,
        Schedule(spec.epochs, spec.learning_rate),
        reporter,
        checkpoint,
    )
    model.load_state_dict(outcome.state)
    seconds = time.monotonic() - started
    card = _card(spec, places, keys, figures, architecture, outcome, seconds)
    bundle.save(out, card, model, report=training_page, overwrite=spec.overwrite)
    checkpoint.remove()
    reporter.artifact(out, "bundle")
    reporter.progress(1.0, "Pre-trained")
    return {
        "bundle": str(out),
        "model": spec.model,
        "places": len(places),
        "bands": len(keys),
        "epoch": outcome.epoch,
        "seconds": round(seconds, 1),
        **outcome.figures,
    }


def _open(sources: Sequence[str]) -> list[Place]:
    """Each folder and each table as places of their own; files that are named one by one as one place."""
    alone = [item for item in sources if Path(item).is_dir() or item.lower().endswith(".csv")]
    files = [item for item in sources if item not in alone]
    places = []
    for item in [*alone, *([files] if files else [])]:
        name = item if isinstance(item, str) else item[0]
        for place in open_places(item):
            places.append(Place(f"{name}: {place.name}" if place.name else name, place.series))
    return places


def _card(
    spec: PretrainSpec,
    places: Sequence[Place],
    keys: Sequence[str],
    figures: Sequence[Statistics],
    architecture: bundle.Architecture,
    outcome: Fit,
    seconds: float,
) -> bundle.Card:
    bands = []
    for key in keys:
        place, one = next((p, f) for p, f in zip(places, figures, strict=True) if key in p.series.keys)
        i = place.series.keys.index(key)
        band = place.series.bands[i]
        bands.append(
            bundle.BandCard(
                key=key, name=band.name, role=band.role, sensor=band.sensor, scale=band.scale,
                offset=band.offset, nodata=band.nodata, mean=float(one.mean[i]), std=float(one.std[i]),
            )
        )  # fmt: skip
    first = places[0].series
    return bundle.Card(
        format=bundle.FORMAT,
        task="pretraining",
        name=Path(spec.out).name,
        architecture=architecture,
        classes=[],
        bands=bands,
        dates=bundle.DatesCard(
            count=max(len(place.series) for place in places),
            first=min(place.series.dates[0] for place in places).isoformat(),
            last=max(place.series.dates[-1] for place in places).isoformat(),
            minimum=1,
        ),
        ground_sample_distance=[float(side) for side in first.grid.pixel_size],
        crs=first.grid.crs,
        chip=spec.chip,
        nodata=255,
        metrics=outcome.figures,
        training={
            "spec": to_dict(spec),
            "epoch": outcome.epoch,
            "history": outcome.history,
            "places": [place.name for place in places],
            "started_from": "random weights",
            "seconds": round(seconds, 1),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "versions": {"timo": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
        },
        licence="Of whoever trained it: the weights come from the images named here.",
        weights_sha256="",
    )
