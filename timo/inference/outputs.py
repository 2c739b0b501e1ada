# SPDX-License-Identifier: GPL-3.0-or-later
"""The rasters that a prediction makes, and a block's share of each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray

from timo.bundle import Card, ClassCard
from timo.errors import OutputError
from timo.inference.blocks import Block

PROBABILITY_SCALE = 250
PROBABILITY_NODATA = 255


class Output(Struct, frozen=True, kw_only=True):
    """One raster.

    Attributes:
        kind: What it is to the analyst: ``map``, ``confidence``, ``probabilities`` or ``maps_per_date``.
        layer: The layer of a block that holds its bands.
        first: Its first band's index in the layer.
        path: Where it shall stand.
        dtype: Its data type.
        nodata: Its nodata value; None is NaN.
        bands: Their names.
        classes: Of the values, if they are classes.
        tags: What only this one has in its metadata.
    """

    kind: str
    layer: str
    first: int = 0
    path: str
    dtype: str
    nodata: int | None
    bands: list[str]
    classes: list[ClassCard] = []
    tags: dict[str, str] = {}


def map_type(values: Sequence[int]) -> tuple[str, int]:
    """Data type and nodata value of a map of these class values: the smallest that has room for both."""
    for dtype in ("uint8", "uint16", "int32"):
        info = np.iinfo(dtype)
        if info.min <= min(values) and max(values) <= info.max:
            taken = set(values)
            for nodata in itertools.chain((info.max, info.min), range(info.max)):
                if nodata not in taken:
                    return dtype, int(nodata)
    raise OutputError(
        "class_values", "The class values do not fit a raster of 32 bits.", "Renumber the classes from 1."
    )


class Layers:
    """Makes of each block what the outputs hold of it.

    Args:
        card: The model's.
        wanted: Names of layers: ``map``, ``confidence``, ``probabilities``, ``maps_per_date``.
    """

    def __init__(self, card: Card, wanted: Sequence[str]) -> None:
        self.wanted = tuple(wanted)
        self.values = [c.value for c in card.classes]
        self.classes = len(self.values)
        self.dtype, self.nodata = map_type(self.values)
        if card.nodata not in self.values and np.can_cast(np.min_scalar_type(card.nodata), self.dtype):
            self.nodata = card.nodata
        self._lookup = np.array(self.values, self.dtype)

    def of(self, block: Block) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
        """The block's layers by name, (bands, height, width) each, and its pixels of each class, (K,).

        Of a model of every date, map, confidence and counts are those of the last.
        """
        found: dict[str, NDArray[Any]] = {}
        probabilities, valid = block.probabilities, block.valid
        if probabilities.ndim == 4:
            if "maps_per_date" in self.wanted:
                found["maps_per_date"] = self._classes(_best(probabilities, 1), valid)
            probabilities = probabilities[-1]
        best = _best(probabilities, 0)
        found["map"] = self._classes(best[None], valid)
        if "confidence" in self.wanted:
            first, second = _two_best(probabilities)
            nothing = first.new_tensor(float("nan"))
            found["confidence"] = torch.stack([first, first - second]).where(valid, nothing).cpu().numpy()
        if "probabilities" in self.wanted:
            scaled = (probabilities * PROBABILITY_SCALE).round_().to(torch.uint8)
            found["probabilities"] = scaled.masked_fill_(~valid, PROBABILITY_NODATA).cpu().numpy()
        of_invalid = self.classes
        counts = best.where(valid, of_invalid).flatten().bincount(minlength=self.classes + 1)
        return found, counts[:-1].cpu().numpy()

    def _classes(self, best: torch.Tensor, valid: torch.Tensor) -> NDArray[Any]:
        mapped: NDArray[Any] = self._lookup[best.cpu().numpy()]
        mapped[:, ~valid.cpu().numpy()] = self.nodata
        return mapped


def _best(probabilities: torch.Tensor, dimension: int) -> torch.Tensor:
    """Index of the most probable class; of equals the first.

    On a CPU several times as fast as torch's ``max``: it is the number of leading classes below the maximum.
    """
    highest = probabilities.amax(dimension)
    first, *others = probabilities.unbind(dimension)
    below = first < highest
    best = below.to(torch.uint8 if probabilities.shape[dimension] < 255 else torch.int32)
    for one in others[:-1]:
        below &= one < highest
        best += below
    return best


def _two_best(probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest and the second largest of each pixel; of one class alone the second is 0."""
    first, second = probabilities[0], torch.zeros_like(probabilities[0])
    for one in probabilities[1:]:  # on a CPU many times as fast as torch's topk
        second = torch.maximum(second, torch.minimum(first, one))
        first = torch.maximum(first, one)
    return first, second


def outputs_of(
    card: Card, layers: Layers, paths: Mapping[str, str], dates: Mapping[str, str]
) -> list[Output]:
    """The rasters, in the order in which an analyst is told of them.

    Args:
        card: The model's.
        layers: Says type and nodata of class values.
        paths: By kind; ``map`` at least.
        dates: Paths of the maps of each date, by date (ISO 8601), in the order of the series.
    """
    names = [c.name for c in card.classes]
    of_classes: dict[str, Any] = {
        "dtype": layers.dtype, "nodata": layers.nodata, "bands": ["class"], "classes": card.classes,
    }  # fmt: skip
    made = {
        "map": of_classes,
        "confidence": {"dtype": "float32", "nodata": None, "bands": ["confidence", "margin"]},
        "probabilities": {"dtype": "uint8", "nodata": PROBABILITY_NODATA, "bands": names},
    }
    outputs = [Output(kind=kind, layer=kind, path=path, **made[kind]) for kind, path in paths.items()]
    layer = "maps_per_date"
    for index, (date, path) in enumerate(dates.items()):
        tags = {"TIMO_DATE": date}
        outputs.append(Output(kind=layer, layer=layer, first=index, path=path, tags=tags, **of_classes))
    return outputs


def check_apart(outputs: Sequence[Output]) -> None:
    """Fail if two rasters have one path.

    Raises:
        OutputError: ``outputs_collide``.
    """
    places = [Path(output.path).resolve() for output in outputs]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise OutputError(
                "outputs_collide",
                f"Two outputs have the same name '{outputs[number].path}'.",
                "Give each output a name of its own.",
            )
