# SPDX-License-Identifier: GPL-3.0-or-later
"""How a running task tells its progress, and learns that it must stop."""

from __future__ import annotations

from pathlib import Path


class Reporter:
    """Receives what a task tells. This one is silent; the command line and the worker draw and send.

    Every method may be called from the task's thread alone, as often as once a step.
    """

    def progress(self, fraction: float, message: str) -> None:
        """The share of the whole task that is done, 0 to 1, and what is being done now."""

    def metric(self, name: str, value: float, step: int) -> None:
        """One figure of a curve: ``name`` at ``step`` (for training, the epoch, from 1)."""

    def log(self, message: str, level: str = "info") -> None:
        """A line for the analyst; ``level`` is ``info`` or ``warning``."""

    def artifact(self, path: Path, kind: str) -> None:
        """A finished output; there may be several of one kind.

        Kinds: ``bundle``, ``map``, ``confidence``, ``probabilities``, ``maps_per_date``, ``polygons``,
        ``report`` and ``errors``; and ``preview``, a picture of a training that is there while it runs, told
        again whenever it is replaced.
        """

    def checkpoint(self) -> None:
        """What was done so far is kept: the same task, run again, goes on from here."""

    def enough(self) -> bool:
        """Whether a training may end now, with the best of what it has learnt."""
        return False

    def check(self) -> None:
        """Raise ``timo.errors.Cancelled`` when the task is to stop; called at each step."""
