# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands share: the consoles that they print on, progress, summaries, and ``--json``."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from types import FrameType
from typing import Annotated, Any

import typer
from rich import filesize
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from timo.errors import Cancelled
from timo.tasks.reporter import Reporter

# What analysts name (classes, files) may hold brackets and colons: it is shown as it is.
out = Console(markup=False, emoji=False, highlight=False)
err = Console(stderr=True, markup=False, emoji=False)

LONG = 120  # seconds; more are told in minutes and hours
AsJson = Annotated[
    bool, typer.Option("--json", help="Print a summary as JSON on stdout, and nothing else there.")
]


class TerminalReporter(Reporter):
    """Shows a progress bar with time left, and log lines, on stderr."""

    def __init__(self, title: str) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=err,
        )
        self._task = self._bar.add_task(title, total=1.0, figures="")
        self._figures: dict[str, float] = {}
        self._stopped = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def __enter__(self) -> TerminalReporter:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.live.transient = kind is not None  # what went wrong stands alone
        (self._bar if kind is None else self._bar.live).stop()

    def progress(self, fraction: float, message: str) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=fraction, description=message)

    def metric(self, name: str, value: float, step: int) -> None:
        """Show the latest value of each figure beside the bar."""
        self._figures[name] = value
        figures = "  ".join(f"{n.replace('_', ' ')} {v:.3f}" for n, v in self._figures.items())
        self._bar.update(self._task, figures=figures)

    def log(self, message: str, level: str = "info") -> None:
        """Print a line above the bar."""
        style = "yellow" if level == "warning" else None
        self._bar.console.print(message, style=style, highlight=False, soft_wrap=True)

    def check(self) -> None:
        """Stop at the next step once the terminal asked for it."""
        if self._stopped:
            raise Cancelled

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._stopped:  # asked twice: at once
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._stopped = True


def print_summary(summary: dict[str, Any]) -> None:
    """A task's summary as a table."""
    table = Table(show_header=False, box=None)
    for key, value in summary.items():
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            title, shown = key.replace("_", " "), f"{value:.3f}" if isinstance(value, float) else str(value)
            if isinstance(value, int) and key.endswith("_bytes"):
                title, shown = title.removesuffix(" bytes"), filesize.decimal(value)
            elif isinstance(value, (int, float)) and key == "seconds" and value >= LONG:
                title, shown = "time", str(timedelta(seconds=round(value)))
            table.add_row(title, shown)
    out.print(table)
    if classes := summary.get("per_class"):
        figures = [key for key in classes[0] if key not in ("name", "value")]
        table = Table("Class", *(figure.replace("_", " ") for figure in figures))
        for row in classes:
            table.add_row(row["name"], *(_figure(row[figure]) for figure in figures))
        out.print(table)


def _figure(value: float | int | None) -> str:
    return "" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
