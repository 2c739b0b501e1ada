# SPDX-License-Identifier: GPL-3.0-or-later
"""TerraTorch's tiled inference over a raster, in a process and an environment of its own; prints JSON.

``python -m benchmarks.terratorch_case free|model FOLDER BUNDLE OUT``. What is measured begins when the model
is loaded, and ends when the map is written. All but the chips' side, their overlap and their number in a
batch is TerraTorch's default. Reading is leaner than its own data modules: plain rasterio.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from terratorch.tasks.tiled_inference import tiled_inference  # type: ignore[import-not-found]

from benchmarks.memory import memory_mb, reset_peak
from benchmarks.prediction_case import Free
from timo import bundle
from timo.inference.ready import ready_model
from timo.series.series import open_series

BATCH = 8  # as ours on a CPU


def main() -> None:
    kind, series, folder, out = sys.argv[1:]
    card = bundle.load_card(Path(folder))
    opened = bundle.check_series(card, open_series(series))
    dates = torch.from_numpy(opened.days)
    files = [next(Path(series).glob(f"*{day:%Y%m%d}*")) for day in opened.dates]
    cpu = torch.device("cpu")
    model = Free(len(card.bands)) if kind == "free" else ready_model(Path(folder), card, cpu)
    mean, std, scale, offset = (
        np.array([getattr(band, name) for band in card.bands], np.float32)[:, None, None]
        for name in ("mean", "std", "scale", "offset")
    )

    def forward(chips: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, K, H, W)."""
        scores = model(chips.transpose(1, 2), None, dates.expand(len(chips), -1))
        # The free model's are a view of the chips: kept until the end, they would keep all dates of them.
        return scores.clone() if kind == "free" else scores

    loaded = reset_peak()
    started = time.perf_counter()
    with rasterio.open(files[0]) as first:
        profile, names = first.profile, list(first.descriptions)
    values = np.empty((len(card.bands), len(files), profile["height"], profile["width"]), np.float32)
    for date, file in enumerate(files):
        with rasterio.open(file) as source:
            here = values[:, date]
            source.read([names.index(band.name) + 1 for band in card.bands], out=here)
        here *= scale
        here += offset
        here -= mean
        here /= std
    scores = tiled_inference(
        forward, torch.from_numpy(values)[None], crop=card.chip, stride=card.chip // 2, batch_size=BATCH
    )
    classes = np.array([c.value for c in card.classes], np.uint8)[scores[0].argmax(0).numpy()]
    profile.update(count=1, dtype="uint8", nodata=255)
    with rasterio.open(out, "w", **profile) as target:
        target.write(classes, 1)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "extra_mb": memory_mb("VmHWM") - loaded}))


if __name__ == "__main__":
    main()
