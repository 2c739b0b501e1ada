# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks, by name. A task's module, and torch with it, is imported when it runs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from timo.tasks.reporter import Reporter
from timo.tasks.specs import SPECS, Spec


def run(task: str, spec: Spec, reporter: Reporter | None = None) -> dict[str, Any]:
    """Run one task to its end.

    Args:
        task: A key of ``timo.tasks.specs.SPECS``.
        spec: The task's validated parameters.
        reporter: Told about progress; silent when left out.

    Returns:
        The task's summary: JSON values only.

    Raises:
        TimoError: The input or an output is at fault, or the task was cancelled.
    """
    if task not in SPECS:
        raise ValueError(f"no task {task!r}; there are {', '.join(SPECS)}")
    module = import_module(f"timo.tasks.{task}")
    summary: dict[str, Any] = module.run(spec, reporter or Reporter())
    return summary
