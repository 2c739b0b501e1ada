# SPDX-License-Identifier: GPL-3.0-or-later
"""Prediction beside TerraTorch's tiled inference: the same models, raster, chips and overlap.

TerraTorch gets an environment of its own, with the torch of this one, in ``build/terratorch``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import rasterio

from benchmarks.results_file import Figure

ROOT = Path(__file__).parents[1]
VENV = ROOT / "build" / "terratorch"
FASTER = {"free": 1.5, "model": 1.0}
LESS_MEMORY = 1 / 3
ROUNDS = {"free": 5, "model": 1}
NAMES = {"free": "a model that costs nothing", "model": "timo_small"}


def installed() -> str:
    """Make the environment, unless it is there; why it can't be made, or nothing."""
    python = VENV / "bin" / "python"
    if (VENV / "done").exists():
        return ""
    same = [f"{name}=={version(name).partition('+')[0]}" for name in ("torch", "torchvision")]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(VENV)],
        [str(python), "-m", "pip", "install", "--quiet", "terratorch", *same, "-e", str(ROOT)],
    ):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            last = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
            return f"not measured: TerraTorch can't be installed here ({last})"
    (VENV / "done").touch()
    return ""


def run(python: str | Path, module: str, kind: str, series: Path, model: Path, out: Path) -> dict[str, float]:
    """One run in a process of its own."""
    command = [str(python), "-m", f"benchmarks.{module}", kind, str(series), str(model), str(out)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    print(module, kind, found, flush=True)
    return found


def compare(kind: str, series: Path, model: Path, folder: Path) -> list[Figure]:
    """Both map the raster in turns, with a model that costs nothing (``free``) or with the bundle's."""
    part = f"Beside TerraTorch's tiled inference, {NAMES[kind]}"
    if missing := installed():
        return [Figure("faster by", None, "x", f"at least {FASTER[kind]}", note=missing, part=part)]
    ours, theirs = folder / "ours.tif", folder / "theirs.tif"
    turns = []
    for _ in range(ROUNDS[kind]):
        for path in folder.glob("ours*"):
            path.unlink()
        mine = run(sys.executable, "prediction_case", kind, series, model, ours)
        turns.append((mine, run(VENV / "bin" / "python", "terratorch_case", kind, series, model, theirs)))
    faster = [b["seconds"] / a["seconds"] for a, b in turns]
    memory = [a["extra_mb"] / b["extra_mb"] for a, b in turns]
    speed, share = median(faster), median(memory)
    with rasterio.open(ours) as one, rasterio.open(theirs) as other:
        side, same = one.width, float(np.mean(one.read(1) == other.read(1)))
    title = f"{part}, {side} pixels a side"
    return [
        Figure(
            "faster by", speed, "x", f"at least {FASTER[kind]}", speed >= FASTER[kind],
            spread=(min(faster), max(faster)), part=title,
        ),
        Figure(
            "share of its memory above what stands after loading", share, "",
            f"at most {LESS_MEMORY:.2g}", share <= LESS_MEMORY, spread=(min(memory), max(memory)), part=title,
        ),
        Figure("memory, ours", median(a["extra_mb"] for a, _ in turns), "MB", part=title),
        Figure("memory, TerraTorch", median(b["extra_mb"] for _, b in turns), "MB", part=title),
        Figure("pixels with the same class", same, "", part=title),
    ]  # fmt: skip
