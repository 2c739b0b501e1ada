# SPDX-License-Identifier: GPL-3.0-or-later
"""How a benchmark's figures are printed and kept."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One measured number; ``limit`` says in words what it shall reach, ``reached`` whether it does."""

    name: str
    value: float
    unit: str
    limit: str = ""
    reached: bool | None = None


def report(name: str, title: str, figures: list[Figure]) -> None:
    """Print a table, and write ``results/NAME.json``."""
    table = Table("What", "Measured", "Shall be", title=title)
    for figure in figures:
        mark = {None: "", True: " (reached)", False: " (NOT reached)"}[figure.reached]
        table.add_row(figure.name, f"{figure.value:.4g} {figure.unit}", figure.limit + mark)
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    record = {
        "benchmark": name,
        "date": date.today().isoformat(),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "figures": [asdict(figure) for figure in figures],
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
