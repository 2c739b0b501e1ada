# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of ``benchmarks.prediction`` in a process of its own; prints JSON.

``python -m benchmarks.prediction_case free|limit|model FOLDER BUNDLE OUT``
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import rasterio
import rasterio.shutil
import torch
from rasterio.windows import Window
from torch import nn

from benchmarks.memory import memory_mb, reset_peak
from timo import bundle, tasks
from timo.inference.chips import blocks
from timo.inference.ready import ready_model
from timo.inference.sizing import choose
from timo.models.zoom import Zoomed
from timo.tasks.specs import load


class Free(nn.Module):
    """Costs nothing: the first date's bands are the classes' scores."""

    def __init__(self, in_chans: int) -> None:
        super().__init__()
        self.in_chans, self.position = in_chans, "index"

    def forward(self, series: torch.Tensor, valid: None = None, dates: torch.Tensor | None = None) -> Any:
        """(B, T, C, H, W) -> (B, C, H, W)."""
        return series[:, 0]


def free(arguments: dict[str, str]) -> dict[str, float]:
    """The pipeline with a model that costs nothing."""
    channels = len(bundle.load_card(Path(arguments["model"])).bands)
    return run(arguments, lambda *_: Free(channels))


def model(arguments: dict[str, str]) -> dict[str, float]:
    """The real model; ``model_seconds`` is the time in its forward."""
    inside = 0.0
    forward = Zoomed.forward

    def timed(self: Zoomed, *inputs: Any, **named: Any) -> Any:
        nonlocal inside
        started = time.perf_counter()
        result = forward(self, *inputs, **named)
        inside += time.perf_counter() - started
        return result

    with patch.object(Zoomed, "forward", timed):
        return {**run(arguments, ready_model), "model_seconds": inside}


def run(arguments: dict[str, str], make_model: Callable[..., nn.Module]) -> dict[str, float]:
    """``timo predict``; opening and checking the series, and loading the model, are part of it."""
    loaded = measuring = 0.0

    def made(*inputs: Any) -> nn.Module:
        nonlocal loaded, measuring
        model = make_model(*inputs)
        started = time.perf_counter()
        loaded = reset_peak()
        measuring = time.perf_counter() - started
        return model

    with patch("timo.tasks.predict.ready_model", made):
        started = time.perf_counter()
        summary = tasks.run("predict", load("predict", arguments))
        seconds = time.perf_counter() - started - measuring
    extra = memory_mb("VmHWM") - loaded
    return {"seconds": seconds, "pixels": summary["pixels_mapped"], "extra_mb": extra}


def limit(arguments: dict[str, str]) -> dict[str, float]:
    """Reading the same blocks with rasterio and writing the same output, with no model."""
    card = bundle.load_card(Path(arguments["model"]))
    files = sorted(Path(arguments["series"]).glob("*.*"))
    started = time.perf_counter()
    with rasterio.open(files[0]) as first:
        height, width, values = first.height, first.width, first.count * len(files)
        profile = {"crs": first.crs, "transform": first.transform}
    size = choose(chip=card.chip, values=values, layers=len(card.classes), device=torch.device("cpu"))
    out, raw = Path(arguments["out"]), Path(arguments["out"]).with_suffix(".raw.tif")
    options = {"driver": "GTiff", "dtype": "uint8", "count": 1, "tiled": True, "compress": "deflate",
               "height": height, "width": width, "nodata": 255}  # fmt: skip

    def read(window: Window) -> Iterator[np.ndarray]:
        return pool.map(lambda path: sources[path].read(window=window), files)

    with ThreadPoolExecutor(size.threads) as pool, rasterio.open(raw, "w", **options, **profile) as target:
        sources = {path: rasterio.open(path) for path in files}
        for block in blocks(height, width, size.side):
            top, left = max(block.row - card.chip // 2, 0), max(block.column - card.chip // 2, 0)
            bottom = min(block.row + block.height + card.chip // 2, height)
            right = min(block.column + block.width + card.chip // 2, width)
            first_date, *_ = read(Window(left, top, right - left, bottom - top))
            inner = first_date[0, block.row - top :, block.column - left :][: block.height, : block.width]
            target.write(
                (inner % 4).astype(np.uint8), 1, window=Window.from_slices(block.rows, block.columns)
            )
    rasterio.shutil.copy(
        raw, out, driver="COG", compress="deflate", blocksize=512, overview_resampling="mode",
        num_threads="all_cpus",
    )  # fmt: skip
    return {"seconds": time.perf_counter() - started, "pixels": height * width}


def main() -> None:
    kind, series, folder, out = sys.argv[1:]
    arguments = {"series": series, "model": folder, "out": out, "device": "cpu"}
    found = {"free": free, "limit": limit, "model": model}[kind](arguments)
    # Not getrusage: its peak is also that of the process that started this one.
    found["peak_mb"] = memory_mb("VmHWM")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
