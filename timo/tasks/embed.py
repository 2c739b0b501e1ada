# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's features of a series as a raster: for clustering, change or a classifier of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from timo import bundle
from timo.errors import BundleError
from timo.inference.area import open_area
from timo.inference.blocks import Block, BlockPredictor
from timo.inference.outputs import Output
from timo.inference.ready import ready_series
from timo.inference.running import Job
from timo.inference.sizing import choose
from timo.models.device import compute_on
from timo.models.zoom import enlarged
from timo.tasks.planning import carry_out, on_nodes, open_inputs, plan_of, shard_of
from timo.tasks.reporter import Reporter
from timo.tasks.room import check_mapping
from timo.tasks.specs import EmbedSpec

STEM = 4  # pixels of a first-stage feature; each stage after it halves the rows and columns


class Features(nn.Module):
    """A stage of an encoder, the mean over the dates.

    Args:
        encoder: A ``TiMoEncoder``.
        zoom: How many times its frames are enlarged.
        stage: 1 to 4.
    """

    def __init__(self, encoder: nn.Module, zoom: int, stage: int) -> None:
        super().__init__()
        self.encoder, self.zoom, self.stage = encoder, zoom, stage

    def forward(
        self, series: torch.Tensor, valid: torch.Tensor | None = None, dates: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(B, T, C, H, W) -> (B, D, H / stride, W / stride)."""
        frames, seen = enlarged(series, valid, self.zoom)
        features: torch.Tensor = self.encoder(frames, seen, dates)[self.stage - 1]
        return features.mean(1)


class FeatureLayers:
    """Features where the series has data, NaN elsewhere; there are no classes to count."""

    classes = 1

    def of(self, block: Block) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
        """See ``timo.inference.running.Layers``."""
        nothing = block.probabilities.new_tensor(float("nan"))
        values = block.probabilities.where(block.valid, nothing).cpu().numpy()
        return {"features": values}, np.array([int(block.valid.sum())], np.int64)


def run(spec: EmbedSpec, reporter: Reporter) -> dict[str, Any]:
    """Write the features of a stage; interrupted, the same spec goes on where it was.

    Returns:
        What was written; of an estimate, what it would take; of a shard, how many blocks are done.

    Raises:
        BundleError, SeriesError, LabelError, OutputError, ModelError: Naming what does not fit.
    """
    return carry_out(spec, Path(spec.out), _prepare, reporter)


def _prepare(spec: EmbedSpec, reporter: Reporter) -> Job:
    card, series, _ = open_inputs(spec, Path(spec.out), bundle.fit_series, reporter)
    stride = _stride(card, spec.stage)
    compute = compute_on(spec.device, spec.precision)
    check_mapping(card, series, compute.device, features=True)
    encoder: Any = bundle.load_model(Path(spec.model), card).encoder
    depth = int(encoder.embed_dims[spec.stage - 1])
    values = len(series.dates) * len(series.bands)
    size = choose(
        chip=card.chip, values=values, layers=depth, device=compute.device, batch=spec.batch, stride=stride
    )
    predictor = BlockPredictor(
        Features(encoder, card.architecture.zoom, spec.stage).eval().to(compute.device),
        ready_series(series, card),
        chip=card.chip,
        size=size,
        device=compute.device,
        autocast=compute.autocast,
        stride=stride,
    )
    if spec.aoi is not None:
        predictor.area = open_area(spec.aoi, predictor.grid)
    names = [f"feature {number}" for number in range(1, depth + 1)]
    output = Output(
        kind="features", layer="features", path=str(Path(spec.out).absolute()), dtype="float32",
        nodata=None, bands=names, tags={"TIMO_STAGE": str(spec.stage)},
    )  # fmt: skip
    plan = plan_of(spec, card, series, predictor, depth, [output])
    return Job(predictor, FeatureLayers(), plan, shard_of(spec), spec.ray, on_nodes(spec, _prepare))


def _stride(card: bundle.Card, stage: int) -> int:
    """Pixels of the series, along each side, for a feature.

    Raises:
        BundleError: It is no whole number.
    """
    pixels, zoom = STEM << (stage - 1), card.architecture.zoom
    if pixels % zoom:
        raise BundleError(
            "stage_between_pixels",
            f"Model '{card.name}' enlarges its frames {zoom} times: features of stage {stage} lie between "
            "pixels.",
            "Take another stage.",
        )
    return pixels // zoom
