# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a job as a pure state machine: ``(state, event) -> state``, no input and no output."""

from __future__ import annotations

from enum import Enum


class State(str, Enum):
    """Where a job stands."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    PAUSING = "pausing"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether a job never leaves this state."""
        return self in FINAL

    @property
    def active(self) -> bool:
        """Whether a worker process belongs to a job in this state."""
        return self in ACTIVE


class Happening(str, Enum):
    """What can happen to a job."""

    START = "start"
    """Its worker process is being started."""
    UNSTARTED = "unstarted"
    """The system has no room for a process now: it waits for its turn again."""
    READY = "ready"
    """The worker has loaded the task and begins."""
    SUCCEED = "succeed"
    """The worker reported the task's summary."""
    FAIL = "fail"
    """The worker reported an error, or ended without a report."""
    CANCEL = "cancel"
    """A client wants it stopped."""
    PAUSE = "pause"
    """A client wants it to wait, and its worker to end."""
    RESUME = "resume"
    """A client wants a job that waits so to have its turn."""
    STOPPED = "stopped"
    """The worker of a job that was to be cancelled, or paused, has ended without a result."""
    LOST = "lost"
    """The server ended while the job had a worker."""
    REQUEUE = "requeue"
    """It goes on from its checkpoint."""
    GIVE_UP = "give_up"
    """It cannot go on."""


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
ACTIVE = frozenset({State.STARTING, State.RUNNING, State.CANCELLING, State.PAUSING})

TRANSITIONS: dict[tuple[State, Happening], State] = {
    (State.QUEUED, Happening.START): State.STARTING,
    (State.QUEUED, Happening.CANCEL): State.CANCELLED,
    (State.STARTING, Happening.UNSTARTED): State.QUEUED,
    (State.CANCELLING, Happening.UNSTARTED): State.CANCELLED,
    (State.PAUSING, Happening.UNSTARTED): State.PAUSED,
    (State.STARTING, Happening.READY): State.RUNNING,
    (State.STARTING, Happening.FAIL): State.FAILED,
    (State.STARTING, Happening.CANCEL): State.CANCELLING,
    (State.STARTING, Happening.LOST): State.INTERRUPTED,
    (State.RUNNING, Happening.SUCCEED): State.SUCCEEDED,
    (State.RUNNING, Happening.FAIL): State.FAILED,
    (State.RUNNING, Happening.CANCEL): State.CANCELLING,
    (State.RUNNING, Happening.LOST): State.INTERRUPTED,
    # Done before it saw the flag, its outputs are written: to call it cancelled would be a lie.
    (State.CANCELLING, Happening.SUCCEED): State.SUCCEEDED,
    (State.CANCELLING, Happening.FAIL): State.CANCELLED,
    (State.CANCELLING, Happening.STOPPED): State.CANCELLED,
    (State.CANCELLING, Happening.LOST): State.CANCELLED,
    (State.QUEUED, Happening.PAUSE): State.PAUSED,
    (State.STARTING, Happening.PAUSE): State.PAUSING,
    (State.RUNNING, Happening.PAUSE): State.PAUSING,
    (State.INTERRUPTED, Happening.PAUSE): State.PAUSED,
    (State.PAUSING, Happening.STOPPED): State.PAUSED,
    (State.PAUSING, Happening.LOST): State.PAUSED,
    (State.PAUSING, Happening.SUCCEED): State.SUCCEEDED,
    (State.PAUSING, Happening.FAIL): State.FAILED,
    (State.PAUSING, Happening.CANCEL): State.CANCELLING,
    (State.PAUSED, Happening.RESUME): State.QUEUED,
    (State.PAUSED, Happening.CANCEL): State.CANCELLED,
    (State.INTERRUPTED, Happening.REQUEUE): State.QUEUED,
    (State.INTERRUPTED, Happening.GIVE_UP): State.FAILED,
    (State.INTERRUPTED, Happening.CANCEL): State.CANCELLED,
}


def advance(state: State, happening: Happening) -> State | None:
    """The state that follows, or None where this cannot happen in ``state`` (and so changes nothing)."""
    return TRANSITIONS.get((state, happening))
