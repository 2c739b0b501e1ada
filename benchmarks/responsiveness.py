# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the plugin holds QGIS's interface at once: in the demo, and with hundreds of layers and jobs."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.backend import server, spec
from benchmarks.results_file import Figure, report
from tests.timo_backend.conftest import wait_until_running

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "bench" / "demo"
LIMIT_MS = 50
LAYERS, LABELS, JOBS, SECONDS = 200, 5000, 500, 10
LOAD_MS = 100
EVENTS = 600_000  # a thousand a second, for longer than it takes


def main() -> None:
    report(
        "responsiveness",
        "QGIS while jobs run: the slowest of the plugin's slots on its main thread",
        [*in_the_demo(), *with_much_to_do()],
    )


def in_the_demo() -> list[Figure]:
    """A training and a map, from the click on."""
    demo = [sys.executable, str(ROOT / "tools" / "demo.py"), "--headless", "--epochs", "5", "--out", str(OUT)]
    subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)
    slot = json.loads((OUT / "summary.json").read_text())["slowest_slot"]
    return _figures("The demo, cut short", slot)


def with_much_to_do() -> list[Figure]:
    """The dock opened, and all pages used, in a large project while a job tells 1,000 things a second."""
    sys.path.insert(0, str(ROOT / "tools"))
    from qgis_run import make_profile, qgis, wait_for

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rasters = folder / "rasters"
        rasters.mkdir()
        for number in range(LAYERS):
            write_raster(rasters, number)
        with server(folder) as running, running.client() as client:
            wait_until_running(client, client.submit("predict", spec(f"pace-{EVENTS}")))
            for number in range(1, JOBS):
                client.submit("predict", spec("hold", folder / f"map-{number}.tif"))
            make_profile(folder)
            task = {"out": name, "headless": True, "folder": str(rasters),
                    "labels": LABELS, "jobs": JOBS, "seconds": SECONDS}  # fmt: skip
            with qgis(task, folder, "busy_qgis.py") as process:
                facts = wait_for(process, folder)
        lines = (folder / "slots.jsonl").read_text(encoding="utf-8").splitlines()
    slots: list[dict[str, Any]] = sorted(map(json.loads, lines), key=lambda slot: -slot["ms"])
    longest = max(slots, key=lambda slot: slot["ms"] + slot["qgis_ms"])
    busiest = max(slots, key=lambda slot: slot["cpu_ms"])
    part = f"{facts['layers']} layers, {facts['jobs']} jobs"
    pace, load = facts["events_per_second"], facts["load_ms"]
    return [
        *_figures(part, slots[0]),
        Figure(
            f"longest with QGIS's own work: {longest['slot']}",
            longest["ms"] + longest["qgis_ms"],
            "ms",
            part=part,
        ),
        Figure(f"most processor time, with QGIS's: {busiest['slot']}", busiest["cpu_ms"], "ms", part=part),
        Figure(
            "load when QGIS starts, as QGIS counts",
            load,
            "ms",
            f"under {LOAD_MS} ms",
            load < LOAD_MS,
            part=part,
        ),
        Figure("events of the running job that arrived", pace, "/s", "at least 900", pace >= 900, part=part),
    ]


def write_raster(folder: Path, number: int) -> None:
    """A small dated raster of four bands."""
    day = dt.date(2020, 1, 1) + dt.timedelta(5 * number)
    pixels = np.random.default_rng(number).uniform(0, 0.4, (4, 64, 64)).astype(np.float32)
    with rasterio.open(
        folder / f"S2_{day:%Y%m%d}.tif", "w", driver="GTiff", count=4, height=64, width=64, dtype="float32",
        crs="EPSG:32633", transform=rasterio.Affine(10, 0, 500000, 0, -10, 5400000), nodata=-9999,
    ) as out:  # fmt: skip
        out.write(pixels)
        out.descriptions = ("blue", "green", "red", "nir")


def _figures(part: str, slot: dict[str, Any]) -> list[Figure]:
    ms = slot["ms"]
    return [
        Figure(slot["slot"], ms, "ms", f"at most {LIMIT_MS} ms", ms <= LIMIT_MS, part=part),
        Figure("beside it, inside QGIS itself", slot["qgis_ms"], "ms", part=part),
    ]


if __name__ == "__main__":
    main()
