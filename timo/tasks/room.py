# SPDX-License-Identifier: GPL-3.0-or-later
"""A job that can't fit is told so before it starts.

What is counted is the least that a task takes for sure: what passes here may still run out of memory.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from timo import bundle
from timo.disk import free
from timo.errors import ModelError, OutputError
from timo.memory import total
from timo.models.device import compute_on
from timo.models.registry import HEAD_CHANNELS
from timo.models.weights import encoder_of
from timo.series.series import Series
from timo.series.words import sized
from timo.tasks.specs import FinetuneSpec, PretrainSpec
from timo.training.sizing import least_bytes


def check_finetune(spec: FinetuneSpec) -> None:
    """Refuse a fine-tuning that can't fit, by its model alone.

    Raises:
        BundleError: The model to start from is none.
        ModelError: The device is not there, or has too little memory (``does_not_fit``).
        OutputError: The disk has no room for the bundle (``does_not_fit``).
    """
    name = bundle.load_card(Path(spec.start)).architecture.name if spec.start else spec.model
    model = _without_values(
        bundle.Architecture(
            name=name, in_chans=1, num_classes=1, head_channels=HEAD_CHANNELS.get(name, 0), zoom=spec.zoom,
            kind="classifier" if spec.classify == "chips" else "segmenter", per_date=spec.per_date,
        )
    )  # fmt: skip
    if spec.learn != "all":
        encoder_of(model).requires_grad_(False)
    _check_training(name, model, spec)


def check_pretrain(spec: PretrainSpec) -> None:
    """Refuse a pre-training that can't fit, by its model alone; errors as of ``check_finetune``."""
    model = _without_values(
        bundle.Architecture(
            name=spec.model, in_chans=1, num_classes=0, head_channels=0, zoom=spec.zoom, kind="autoencoder"
        )
    )
    _check_training(spec.model, model, spec)


def check_mapping(card: bundle.Card, series: Series, device: torch.device, *, features: bool = False) -> None:
    """Refuse a map that can't fit: the model's weights and a chip of the series.

    Args:
        card: The model's.
        series: In the model's bands.
        device: Where the model shall be.
        features: Whether the encoder alone is used.

    Raises:
        ModelError: ``does_not_fit``.
    """
    try:
        model = _without_values(card.architecture)
    except RuntimeError:  # loading it says so
        return
    # Norms and the biases before them become one.
    weights = [one for one in (encoder_of(model) if features else model).parameters() if one.ndim > 1]
    chip = torch.float32.itemsize * len(series.dates) * len(series.bands) * card.chip**2
    _check_memory(
        f"Model '{card.name}' with one chip of the series",
        sum(one.nbytes for one in weights) + chip,
        device,
        "Choose another device, a smaller model, or fewer dates.",
    )


def _without_values(architecture: bundle.Architecture) -> nn.Module:
    with torch.device("meta"):
        return architecture.build()


def _check_training(name: str, model: nn.Module, spec: FinetuneSpec | PretrainSpec) -> None:
    device = compute_on(spec.device, spec.precision).device
    action = "Choose a smaller model, or another device."
    _check_memory(f"Training {name}", least_bytes(model), device, action)
    _check_disk(Path(spec.out), sum(one.nbytes for one in model.state_dict().values()))


def _check_memory(what: str, needed: int, device: torch.device, action: str) -> None:
    there = total(device)
    if needed <= there:
        return
    name = f"the GPU '{torch.cuda.get_device_name(device)}'" if device.type == "cuda" else "this machine"
    raise ModelError(
        "does_not_fit",
        f"{what} takes at least {sized(needed)} of memory, and {name} has {sized(there)} in all.",
        action,
        detail={"needed": needed, "there": there},
    )


def _check_disk(out: Path, needed: int) -> None:
    """The bundle's weights are written as they are; its folder is begun beside it, anew."""
    there = free(out.parent)
    if there is None:
        return
    there += bundle.unfinished_bytes(out)
    if needed > there:
        raise OutputError(
            "does_not_fit",
            f"The model bundle '{out}' takes at least {sized(needed)}, and its disk has {sized(there)} free.",
            "Make room on the disk, pick a folder on another one, or choose a smaller model.",
            retryable=True,
            detail={"needed": needed, "there": there},
        )
