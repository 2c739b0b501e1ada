# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with jobs as they stand now, and why something cannot be done."""

from __future__ import annotations

from typing import Callable, Dict, Sequence

from ..i18n import tr
from .jobs import JobView

TRAININGS = frozenset({"finetune", "pretrain"})

Rule = Callable[[JobView], bool]

_CAN: Dict[str, Rule] = {
    "cancel": lambda job: not job.final and job.state != "cancelling",
    "pause": lambda job: job.state in ("queued", "starting", "running"),
    "resume": lambda job: job.state == "paused",
    "finish": lambda job: job.task in TRAININGS and not job.final and job.state != "cancelling",
    "order": lambda job: job.waiting,
    "retry": lambda job: job.state in ("failed", "cancelled"),
    "remove": lambda job: job.final,
}


def can(action: str, job: JobView) -> bool:
    """Whether an action makes sense for a job.

    Args:
        action: A request (``cancel``, ``pause``, ``resume``, ``finish``, ``order``, ``retry``, ``remove``).
        job: The job.
    """
    return _CAN[action](job)


def works_lost(job: JobView) -> bool:
    """Whether cancelling a job throws work away."""
    return job.state in ("starting", "running", "pausing", "paused") and job.fraction > 0


def why_not(action: str, jobs: Sequence[JobView], ready: bool) -> str:
    """Why an action cannot be taken for any of some jobs; empty if it can for one at least.

    Args:
        action: As for ``can``.
        jobs: Those that are selected.
        ready: Whether the backend is there.
    """
    if not jobs:
        return tr("Pick a job first.")
    if not ready:
        return tr("The backend is not ready: see the top of this panel.")
    if any(can(action, job) for job in jobs):
        return ""
    return {
        "cancel": tr("The job has ended, or is being stopped already."),
        "pause": tr("Only a job that waits or runs can be paused."),
        "resume": tr("The job is not paused."),
        "finish": tr("Only a training that has not ended can stop early and keep its best."),
        "order": tr("Only a job that waits has a place in the queue."),
        "retry": tr("Only a job that failed or was cancelled can be tried again."),
        "remove": tr("Only a job that has ended can be removed: cancel it first."),
    }[action]
