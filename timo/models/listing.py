# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about the models there are: the variants, and the model bundles in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from timo.bundle import CARD, WEIGHTS, load_card
from timo.errors import BundleError
from timo.models.operations import Input, encoder_operations, head_operations
from timo.models.registry import HEAD_CHANNELS, VARIANTS, segmenter

# What the variants are counted for: a year of Sentinel-2, a frame a month, one chip of the paper's size.
INPUT = Input(bands=10, dates=12, height=224, width=224)
CLASSES = 6


def variants() -> list[dict[str, Any]]:
    """Sizes of every variant, for `INPUT` and `CLASSES`, with the head of an analyst's fine-tuning.

    Returns:
        For each variant its name, widths, depths, head_channels, the parameters of encoder and segmenter, the
        billions (1e9) of operations of a forward of each, and the name of its pre-trained weights: None, as
        none are published.
    """
    found: list[dict[str, Any]] = []
    for name, options in VARIANTS.items():
        with torch.device("meta"):  # counted, not made: the largest would take gigabytes
            model = segmenter(name, CLASSES, INPUT.bands)
        encoder = encoder_operations(INPUT, **options)
        head = head_operations(INPUT, options["embed_dims"], HEAD_CHANNELS[name], CLASSES)
        found.append(
            {
                "name": name,
                "widths": list(options["embed_dims"]),
                "depths": list(options["depths"]),
                "head_channels": HEAD_CHANNELS[name],
                "encoder_parameters": sum(p.numel() for p in model.encoder.parameters()),
                "segmenter_parameters": sum(p.numel() for p in model.parameters()),
                "encoder_gflop": round(encoder / 1e9, 2),
                "segmenter_gflop": round((encoder + head) / 1e9, 2),
                "pretrained": None,
            }
        )
    return found


def bundles(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """The model bundles that folders are or hold, one level deep, by folder and name of the bundle's folder.

    A bundle that cannot be used is in the list too, with its `problem` in words and None for what is unknown.

    Raises:
        BundleError: If a folder cannot be listed, naming it.
    """
    found: dict[Path, None] = {}  # in order, each once
    for folder in folders:
        try:
            inside = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
            found.update(dict.fromkeys(path for path in inside if (path / CARD).is_file()))
        except OSError as error:
            raise BundleError(
                "folder_unreadable",
                f"The folder '{folder}' cannot be listed: {error.strerror}.",
                "Give a folder that holds model bundles and that you may read.",
            ) from error
    return [_bundle(path) for path in found]


def _bundle(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": folder.resolve().name,
        "path": str(folder),
        "problem": None,
        "architecture": None,
        "head_channels": None,
        "classes": None,
        "dates": None,
        "bands": None,
        "accuracy": None,
        "mean_iou": None,
    }
    try:
        card = load_card(folder)
    except BundleError as error:
        return {**facts, "problem": str(error)}
    if not (folder / WEIGHTS).is_file():
        facts["problem"] = f"'{folder}' has no {WEIGHTS}. Restore the bundle, or train the model again."
    return {
        **facts,
        "name": card.name,
        "architecture": card.architecture.name,
        "head_channels": card.architecture.head_channels,
        "classes": [one.name for one in card.classes],
        "dates": {
            "count": card.dates.count,
            "minimum": card.dates.minimum,
            "first": card.dates.first,
            "last": card.dates.last,
        },
        "bands": [band.role or band.name for band in card.bands],
        "accuracy": _number(card.metrics.get("overall_accuracy")),
        "mean_iou": _number(card.metrics.get("mean_iou")),
    }


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
