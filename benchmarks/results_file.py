# SPDX-License-Identifier: GPL-3.0-or-later
"""How a benchmark's figures are printed and kept."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
WIDTH = 150  # of the table where the output is no terminal
# What the speed of matrix products hangs on.
FLAGS = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_bf16",
    "asimd",
    "sve",
    "bf16",
)


@dataclass(frozen=True)
class Figure:
    """One measured number, and what it can be held to.

    Attributes:
        name: What was measured.
        value: The number; None where it could not be measured, and `note` says why.
        unit: Its unit.
        limit: What it shall reach, in words.
        reached: Whether it does.
        physical: What it could reach at best on this machine, and where that comes from.
        spread: The least and the greatest of several measurements of which `value` is the median.
        note: More to say about it.
        part: The part of the benchmark that it belongs to, in words; figures of a part follow each other.
    """

    name: str
    value: float | None
    unit: str
    limit: str = ""
    reached: bool | None = None
    physical: str = ""
    spread: tuple[float, float] | None = None
    note: str = ""
    part: str = ""


def report(name: str, title: str, figures: list[Figure], folder: Path = RESULTS, **machine: object) -> None:
    """Print a table, and write ``FOLDER/NAME.json``.

    Args:
        name: The benchmark's.
        title: What was run, and with what.
        figures: The rows.
        folder: Where to write.
        **machine: What else is to be known of the machine.
    """
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    physical = any(figure.physical for figure in figures)
    table = Table("What", "Measured", "Shall be", *(["Physical limit"] if physical else []), title=title)
    for figure, before in zip(figures, [None, *figures]):
        if figure.part and (before is None or figure.part != before.part):
            table.add_section()
            table.add_row(figure.part, style="bold")
        mark = {None: "", True: " (reached)", False: " (NOT reached)"}[figure.reached]
        cells = [figure.name, _measured(figure), figure.limit + mark]
        table.add_row(*cells, *([figure.physical] if physical else []))
    console.print(table)
    folder.mkdir(exist_ok=True, parents=True)
    record = {
        "benchmark": name,
        "title": title,
        "date": date.today().isoformat(),
        "machine": {
            "processor": platform.machine(),
            **processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": version("torch"),
            **machine,
        },
        "figures": [asdict(figure) for figure in figures],
    }
    (folder / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")


def _measured(figure: Figure) -> str:
    if figure.value is None:
        return figure.note
    text = f"{figure.value:.4g} {figure.unit}".rstrip()
    if figure.spread and len(set(figure.spread)) > 1:
        text += f" ({figure.spread[0]:.4g} to {figure.spread[1]:.4g})"
    return f"{text}, {figure.note}" if figure.note else text


def processor() -> dict[str, object]:
    """The processor's name and those of its flags that matter here, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {"model": platform.processor(), "flags": []}
    facts = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    has = set((facts.get("flags") or facts.get("features") or "").split())
    return {"model": facts.get("model name", ""), "flags": [flag for flag in FLAGS if flag in has]}
