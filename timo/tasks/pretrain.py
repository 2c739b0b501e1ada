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
from lightning_fabric import Fabric

from timo import __version__, bundle
from timo.models.mae import TiMoMAE
from timo.report.reconstruction import Example, reconstruction_section
from timo.report.training import training_page
from timo.series.places import Place, open_places
from timo.series.prepared import PreparedSeries, Statistics, statistics
from timo.tasks.reporter import Reporter
from timo.tasks.room import check_pretrain
from timo.tasks.specs import PretrainSpec, to_dict
from timo.training.bands import BandsOfBatch
from timo.training.checkpoint import Checkpoint, fingerprint, placing_in
from timo.training.device import fabric_for
from timo.training.engine import Fit, Schedule, fit
from timo.training.objectives import ReconstructionObjective
from timo.training.unlabelled import UnlabelledChips

MOST_DATES = 12  # of a chip, as many as the paper's; of longer series some are drawn
EXAMPLES = 3  # chips whose reconstruction is shown in the report


def run(spec: PretrainSpec, reporter: Reporter) -> dict[str, Any]:
    """Learn to fill in what is hidden of the series, and write the encoder that does it best.

    Returns:
        The bundle's folder and its figures.

    Raises:
        SpecError, SeriesError, OutputError, ModelError: Naming what is at fault.
    """
    started = time.monotonic()
    out = Path(spec.out)
    folder = out.with_name(f"{out.name}.training")
    plain = to_dict(msgspec.structs.replace(spec, overwrite=False))
    bundle.check_writable(out, overwrite=spec.overwrite, placing=placing_in(folder))
    check_pretrain(spec)
    reporter.progress(0.0, "Reading the series")
    opened = _open(spec.series)
    places = [place for of_source in opened for place in of_source]
    for place in places:
        for problem in place.series.problems:
            reporter.log(f"{place.name}: {problem}", "warning")
    keys = list(dict.fromkeys(key for place in places for key in place.series.keys))
    figures = [statistics([place.series], spec.seed) for place in places]
    chips = UnlabelledChips(
        [PreparedSeries(place.series, one, keep=True) for place, one in zip(places, figures, strict=True)],
        [source for source, of_source in enumerate(opened) for _ in of_source],
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
    model = BandsOfBatch(architecture)
    files = [Path(path) for place in places for files in place.series.files for path in files]
    checkpoint = Checkpoint(folder, fingerprint(plain, files))
    bundle.check_writable(out, overwrite=spec.overwrite, placing=checkpoint.placing)
    objective = ReconstructionObjective(zoom=spec.zoom, seed=spec.seed)
    outcome = fit(
        fabric,
        model,
        objective,
        chips,
        Schedule(spec.epochs, spec.learning_rate),
        reporter,
        checkpoint,
    )
    model.load_state_dict(outcome.state)
    seconds = time.monotonic() - started
    card = _card(spec, places, keys, figures, architecture, outcome, seconds)
    shown = reconstruction_section(
        _examples(fabric, model.model, objective, chips, places, keys),
        hidden=model.model.mask_ratio,
        loss=outcome.figures["reconstruction_loss"],
    )
    bundle.save(
        out,
        card,
        model.model,
        report=lambda card: training_page(card, more=[shown]),
        overwrite=spec.overwrite,
        placing=checkpoint.placing,
    )
    reporter.artifact(out, "bundle")
    checkpoint.remove()
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


def _open(sources: Sequence[str]) -> list[list[Place]]:
    """The places of each source: of each folder and each table; of all files that are named one by one."""
    alone = [item for item in sources if Path(item).is_dir() or item.lower().endswith(".csv")]
    files = [item for item in sources if item not in alone]
    found = []
    for item in [*alone, *([files] if files else [])]:
        name = item if isinstance(item, str) else item[0]
        places = open_places(item)
        found.append([Place(f"{name}: {one.name}" if one.name else name, one.series) for one in places])
    return found


@torch.inference_mode()
def _examples(
    fabric: Fabric,
    model: TiMoMAE,
    objective: ReconstructionObjective,
    chips: UnlabelledChips,
    places: Sequence[Place],
    keys: Sequence[str],
) -> list[Example]:
    """What the model makes of a few chips, with the bands that their places have."""
    model.eval()
    examples = []
    for number, batch in chips.examples(EXAMPLES):
        filled = objective.filled(model, fabric.to_device(batch))
        place = places[number]
        bands = [keys.index(key) for key in place.series.keys]
        days = batch.dates[0].numpy().astype("datetime64[D]")
        examples.append(
            Example(
                place=Path(place.name).name,
                bands=place.series.keys,
                dates=[str(day) for day in days],
                there=batch.series[0, :, bands].numpy(),
                seen=filled.seen[0].cpu().numpy(),
                filled=filled.frames[0, :, bands].cpu().numpy(),
                loss=filled.loss,
            )
        )
    return examples


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
            "extents": [place.series.grid.degrees for place in places if place.series.grid.degrees],
            "places": [place.name for place in places],
            "started_from": "random weights",
            "seconds": round(seconds, 1),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "versions": {"timo": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
        },
        licence="Of whoever trained it: the weights come from the images named here.",
        weights_sha256="",
    )
