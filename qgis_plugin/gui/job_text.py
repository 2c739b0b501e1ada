# SPDX-License-Identifier: GPL-3.0-or-later
"""A job in lines of plain text: to be read in the panel, and to be sent to somebody who shall help."""

from __future__ import annotations

import json
from typing import List

from ..backend.jobs import JobView
from ..i18n import tr
from ..percent import percent
from .times import when


def describe(job: JobView, turn: str = "", device: str = "") -> str:
    """What became of a job: the error and what to do first, then times, accuracy and outputs.

    Args:
        job: The job.
        turn: When its turn comes, in words.
        device: The name of what it runs or ran on.
    """
    lines = [f"{job.task_name} {job.name}: {job.state_name.lower()}"]
    error = job.error or {}
    if error:
        lines += [str(error.get("message", "")), str(error.get("action", ""))]
    lines.append(turn)
    if job.started and job.ended:
        lines.append(tr("Started {start}, ended {end}", start=when(job.started), end=when(job.ended)))
    elif job.started:
        lines.append(tr("Started {start}", start=when(job.started)))
    if device:
        lines.append(tr("On {device}", device=device))
    if job.attempt > 1:
        lines.append(tr("Attempt {number}", number=job.attempt))
    lines += accuracy(job)
    lines += [message for level, message in job.logs if level == "warning"][-5:]
    return "\n".join(line for line in lines if line)


def accuracy(job: JobView) -> List[str]:
    """How good the model is, in a line; none where that is not known."""
    share = (job.summary or {}).get("overall_accuracy")
    if not isinstance(share, (int, float)):
        return []
    text = percent(share, 1)
    if job.task == "evaluate":
        return [tr("{share} % of the labelled pixels right", share=text)]
    return [tr("{share} % of the validation pixels right", share=text)]


def report(job: JobView, device: str = "") -> str:
    """All that helps to find out what happened: parameters, error, outputs and log.

    Args:
        job: The job.
        device: The name of what it ran on.
    """
    parts = [describe(job, device=device), tr("Job {job}", job=job.id)]
    parts.append(json.dumps(dict(job.spec), indent=1, ensure_ascii=False, default=str))
    if job.error:
        parts.append(json.dumps(dict(job.error), indent=1, ensure_ascii=False, default=str))
    parts.append("\n".join(f"{kind}: {path}" for kind, path in job.outputs().items()))
    parts.append("\n".join(f"{level}: {message}" for level, message in job.logs))
    return "\n\n".join(part for part in parts if part)
