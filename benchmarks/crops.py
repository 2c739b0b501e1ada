# SPDX-License-Identifier: GPL-3.0-or-later
"""How long training and mapping 20 dates of 11 bands take, as an analyst would type it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.results_file import Figure, report

ROOT = Path(__file__).parents[1]
CROPS = ROOT.parent / "shared" / "data" / "crops_belgium"
TIMO = Path(sys.executable).with_name("timo")
LIMIT_MINUTES = 4


def main() -> None:
    if not CROPS.is_dir():
        print(f"Not measured: the series '{CROPS.name}' is not on this machine.")
        return
    with tempfile.TemporaryDirectory() as folder:
        bundle, out = Path(folder) / "crops", Path(folder) / "crops.tif"
        series, labels = ["--series", str(CROPS)], ["--labels", str(CROPS / "labels.tif")]
        trained, training = _timed("finetune", *series, *labels, "--out", str(bundle))
        _, mapping = _timed("predict", *series, "--model", str(bundle), "--out", str(out))
    minutes = (training + mapping) / 60
    report(
        "crops",
        "timo finetune and timo predict on crops_belgium (60 x 101 pixels, 20 dates, 11 bands)",
        [
            Figure("finetune", training, "s"),
            Figure("predict", mapping, "s"),
            Figure("together", minutes, "min", f"at most {LIMIT_MINUTES}", minutes <= LIMIT_MINUTES),
            Figure("validation accuracy (spatial blocks)", trained["overall_accuracy"], ""),
            Figure("validation mean IoU", trained["mean_iou"], ""),
        ],
    )


def _timed(*arguments: str) -> tuple[dict, float]:
    started = time.perf_counter()
    run = subprocess.run([str(TIMO), *arguments, "--json"], check=True, capture_output=True, text=True)
    return json.loads(run.stdout), time.perf_counter() - started


if __name__ == "__main__":
    main()
