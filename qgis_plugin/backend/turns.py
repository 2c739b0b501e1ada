# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn comes when: the order of the jobs that wait, and the requests that change it."""

from __future__ import annotations

from typing import Collection, Iterable, List, Optional, Sequence, Tuple

from .jobs import JobView

TOP, UP, DOWN = "top", "up", "down"


def in_turn(jobs: Iterable[JobView]) -> List[JobView]:
    """The jobs that wait in the queue, the next one first."""
    waiting = [job for job in jobs if job.waiting and not job.dry_run]
    return sorted(waiting, key=lambda job: (-job.priority, job.place))


def jobs_before(job: JobView, jobs: Iterable[JobView]) -> int:
    """How many jobs have their turn before one that waits: those that run, and those ahead in the queue."""
    mine = (-job.priority, job.place)
    return sum(
        1
        for other in jobs
        if other.id != job.id
        and not other.final
        and other.state != "paused"
        and (not other.waiting or (-other.priority, other.place) < mine)
    )


def moves(waiting: Sequence[str], moving: Collection[str], before: Optional[str]) -> List[Tuple[str, str]]:
    """The requests ``order`` that bring jobs before another one, or to the end.

    The protocol puts a job before another, never behind one: to the end means that those that stood behind
    go before them.

    Args:
        waiting: Ids of the jobs that wait, the next one first.
        moving: Those that shall move; they keep their order.
        before: The job that they shall be before, none of them; None: the end.

    Returns:
        Pairs (job, before), to be sent in this order.
    """
    chosen = [job for job in waiting if job in moving]
    if not chosen:
        return []
    if before is not None:
        return [(job, before) for job in chosen]
    behind = [job for job in waiting[waiting.index(chosen[0]) :] if job not in moving]
    return [(job, chosen[0]) for job in behind]


def step(waiting: Sequence[str], moving: Collection[str], where: str) -> List[Tuple[str, str]]:
    """The requests that bring jobs, gathered, a step ``up`` or ``down``, or to the ``top``.

    Returns:
        As ``moves``; empty where they are there already.
    """
    chosen = [job for job in waiting if job in moving]
    others = [job for job in waiting if job not in moving]
    if not chosen:
        return []
    first, last = waiting.index(chosen[0]), waiting.index(chosen[-1]) - len(chosen) + 1
    place = {TOP: 0, UP: max(first - 1, 0), DOWN: min(last + 1, len(others))}[where]
    if [*others[:place], *chosen, *others[place:]] == list(waiting):
        return []
    return moves(waiting, chosen, others[place] if place < len(others) else None)
