# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job in a real QGIS, from dated layers to a map whose accuracy is known: see ``build/demo/``.

With a display QGIS opens on it and stays open; without one it runs under Xvfb and ends by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from qgis_run import ROOT, RunError, call, make_profile, qgis, stop_backend, wait_for

DEMO = ROOT / "build" / "demo"
SERIES = DEMO / "series"
LABELS = ROOT / "resources" / "demo"
SCREENSHOTS = ("series", "train", "predict", "jobs", "map")
MADE = (
    *("home", "profile", "bundle", "labels.*", "map.*", "map-confidence.*", "demo.qgz", "*.png"),
    *("task.json", "qgis.json*", "qgis.log", "slots.jsonl", "accuracy.json", "summary.json"),
)


def main() -> int:
    """Run the demo; 0 if it left all that it promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, help="train for as many epochs (default: the plugin's)")
    parser.add_argument("--headless", action="store_true", help="on a virtual screen in any case")
    parser.add_argument("--out", type=Path, default=DEMO, help="the folder for what it makes")
    arguments = parser.parse_args()
    out = arguments.out.absolute()
    headless = arguments.headless or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    began = time.monotonic()
    try:
        print("Getting the series", flush=True)
        call([sys.executable, ROOT / "tools" / "demo_data.py"], "The demo's series could not be made")
        _clean(out)
        make_profile(out)
        labels = _copy_labels(out)
        task = {"series": str(SERIES), "labels": str(labels), "out": str(out), "headless": headless}
        with qgis({**task, "epochs": arguments.epochs}, out, "demo_qgis.py") as process:
            facts = wait_for(process, out)
        summary = _assess(labels, {**facts, "seconds": round(time.monotonic() - began, 1)}, out)
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if headless:
            stop_backend(out)
    forest = summary["random_forest"]["overall_accuracy"]
    print(f"\nOverall accuracy {summary['overall_accuracy']:.3f} (random forest {forest:.3f}), ", end="")
    print(f"in {summary['seconds']:.0f} s. Map, model, summary.json and pictures are in {out}.")
    return 0


def _clean(out: Path) -> None:
    """Take away what an earlier demo left, and nothing else: the download and the series stay."""
    out.mkdir(parents=True, exist_ok=True)
    stop_backend(out)
    for pattern in MADE:
        for path in out.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _copy_labels(out: Path) -> Path:
    """Labels that QGIS may write to: it touches every GeoPackage that it opens."""
    for name in ("labels.gpkg", "labels.qml"):
        shutil.copyfile(LABELS / name, out / name)
    return out / "labels.gpkg"


def _assess(labels: Path, facts: dict[str, Any], out: Path) -> dict[str, Any]:
    """Measure the map on the kept polygons, and write all that is known of the run to ``summary.json``."""
    figures = out / "accuracy.json"
    command = [sys.executable, ROOT / "tools" / "demo_accuracy.py", "--map", facts["map"], "--labels", labels]
    call([*command, "--series", SERIES, "--json", figures], "The map could not be assessed", show=True)
    accuracy: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    missing = [name for name in SCREENSHOTS if not (out / f"{name}.png").is_file()]
    if missing:
        raise RunError(f"The screenshot {missing[0]}.png was not made: see {out / 'qgis.log'}.")
    summary = {
        "overall_accuracy": accuracy["timo"]["overall_accuracy"],
        **accuracy,
        **facts,
        "slowest_slot": _slowest_slot(out),
        "screenshots": [f"{name}.png" for name in SCREENSHOTS],
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _slowest_slot(out: Path) -> dict[str, Any]:
    """The plugin's slot that held QGIS's interface longest from the first job on, in ms.

    What a call into QGIS itself takes, such as opening a layer, stands apart in ``qgis_ms``.
    """
    lines = (out / "slots.jsonl").read_text(encoding="utf-8").splitlines()
    slots: list[dict[str, Any]] = [json.loads(line) for line in lines]
    first = next(number for number, slot in enumerate(slots) if slot["slot"] == "TrainPage._on_run")
    return max(slots[first:], key=lambda slot: float(slot["ms"]))


if __name__ == "__main__":
    sys.exit(main())
