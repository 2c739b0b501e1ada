# SPDX-License-Identifier: GPL-3.0-or-later
"""How a job's end is told where the task itself says nothing of it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timo_backend.protocol import shortened


def crashed(status: int) -> bool:
    """Whether a process ended by no will of its own: by a signal, or by one of Windows' own statuses."""
    return status < 0 or status >= 0xC0000000


def interrupted(what: str) -> dict[str, Any]:
    """The error of a job whose server ended while it ran."""
    return _error(
        "interrupted", f"The backend {what} while this job was running.", "Run it again.", retryable=True
    )


def not_started(error: OSError) -> dict[str, Any]:
    """The error of a job whose worker can't be started."""
    return _error(
        "worker_not_started",
        f"The worker process of this job could not be started: {error.strerror or error}.",
        "Install the backend anew.",
    )


def with_log(error: Mapping[str, Any], log: Path) -> dict[str, Any]:
    """The error that a task reported, shortened, with its log file."""
    brief = shortened(error)
    return {**brief, "detail": {**brief["detail"], "log": str(log)}}


def died(status: int, log: Path) -> dict[str, Any]:
    """The error of a job whose worker ended without a report, by its exit status (negative: a signal)."""
    if not crashed(status):
        return _error(
            "worker_ended",
            f"The worker process of this job ended with status {status} before the job was done.",
            f"See the log file {log}.",
            detail={"status": status, "log": str(log)},
        )
    name = f"{status:#x}" if status > 0 else str(-status)
    if -status in set(signal.Signals):
        name = signal.Signals(-status).name
    advice = {
        "SIGKILL": "If the computer ran out of memory, close other programs or choose a smaller batch; "
        "then run it again.",
    }
    return _error(
        "worker_killed",
        f"The worker process of this job was killed from outside by signal {name}."
        if name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
        else f"The worker process of this job crashed with signal {name}.",
        advice.get(name, f"Run it again; if it happens again, send the log file {log} with a report."),
        retryable=True,
        detail={"signal": name, "log": str(log)},
    )


def _error(
    code: str, message: str, action: str, *, retryable: bool = False, detail: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "action": action,
        "retryable": retryable,
        "detail": dict(detail or {}),
    }
