# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the plugin holds QGIS's interface at once while it trains and maps: the demo, cut short."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.results_file import Figure, report

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "bench" / "demo"
LIMIT_MS = 50


def main() -> None:
    demo = [sys.executable, str(ROOT / "tools" / "demo.py"), "--headless", "--epochs", "5", "--out", str(OUT)]
    subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)
    slot = json.loads((OUT / "summary.json").read_text())["slowest_slot"]
    report(
        "responsiveness",
        "QGIS while jobs run: the slowest of the plugin's slots on its main thread",
        [
            Figure(slot["slot"], slot["ms"], "ms", f"at most {LIMIT_MS} ms", slot["ms"] <= LIMIT_MS),
            Figure("beside it, inside QGIS itself", slot["qgis_ms"], "ms"),
        ],
    )


if __name__ == "__main__":
    main()
