# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the queue: one job a device, each in a worker process, watched until nothing of it is left."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from timo_backend import confinement, leftovers, lines, slots
from timo_backend.devices import Devices
from timo_backend.endings import crashed, died, interrupted, not_started, with_log
from timo_backend.errors import BackendError
from timo_backend.grants import Grants
from timo_backend.process import RETRY_S, Worker
from timo_backend.states import Happening, State
from timo_backend.store import Job, Store

logger = logging.getLogger(__name__)

SCARCE = frozenset(
    {
        errno.EAGAIN,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOSPC,
        getattr(errno, "EDQUOT", errno.ENOSPC),
    }
)
PAUSE_GRACE_S = 30.0
"""Seconds until a worker that shall pause gets SIGTERM: its state shall be kept."""
TRAININGS = frozenset({"finetune", "pretrain"})
SCARCE_S = 5.0
"""Until a worker is started again for which the system had no room."""


class Supervisor:
    """Starts the next job of each device that has none, and records what their workers tell.

    All methods are called in the event loop's thread.

    Args:
        store: Where jobs stand; this is the only one that changes their states beside ``submit``.
        logs: The home's folder of the workers' log files, ``JOB.log``.
        changed: Called with a job's id whenever events of it were recorded.
        grants: Which folders jobs may use.
        devices: Of this computer; ``wake`` when its ``gpus`` are known.
        worker_command: The program that speaks the worker's side of the pipes.
    """

    def __init__(
        self,
        store: Store,
        logs: Path,
        changed: Callable[[str], None],
        grants: Grants,
        devices: Devices,
        worker_command: Sequence[str] = (sys.executable, "-m", "timo_backend.worker"),
    ) -> None:
        self._store = store
        self._logs = logs
        self._changed = changed
        self._grants = grants
        self._devices = devices
        self._command = list(worker_command)
        self._workers: dict[str, Worker] = {}  # by slot
        self._stopping = False
        self._again: asyncio.TimerHandle | None = None
        # What became of a job that could not be started, where the disk did not take it.
        self._unwritten: tuple[str, Callable[[], object]] | None = None

    @property
    def busy(self) -> bool:
        """Whether a worker process runs, or is to be started as soon as there is room for it."""
        return bool(self._workers) or self._again is not None

    @property
    def stopping(self) -> bool:
        """Whether the server is to end."""
        return self._stopping

    def running(self) -> list[str]:
        """The ids of the jobs that have a worker process."""
        return [worker.job.id for worker in self._workers.values()]

    def wake(self) -> None:
        """Start the next jobs of the queue, as far as the devices that they need are free."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        try:
            self._write_unwritten()
            while not self._stopping and (found := self._next()) is not None:
                if not self._start(*found):
                    self._later(SCARCE_S)
                    return
        except sqlite3.Error:
            logger.exception("the next job cannot be started")
            self._later(RETRY_S)

    def _next(self) -> tuple[Job, str] | None:
        """The job whose turn it is, of those whose device is free, and its slot."""
        gpus = self._devices.gpus
        if slots.CPU in self._workers and all(gpu in self._workers for gpu in gpus or ()):
            return None
        for ident, device, gpu in self._store.queued():
            known = gpus if gpu is None or self._devices.decided else None
            slot = slots.slot_for(device, gpu, known, self._workers)
            if slot is not None:
                return self._store.job(ident), slot
        return None

    def _write_unwritten(self) -> None:
        if self._unwritten is not None:
            ident, write = self._unwritten
            write()
            self._unwritten = None
            self._changed(ident)

    def _later(self, seconds: float) -> None:
        self._again = asyncio.get_running_loop().call_later(seconds, self.wake)

    def cancel(self, ident: str) -> State:
        """Stop a job, wherever it stands; its state then.

        Raises:
            BackendError: There is no such job.
        """
        return self._end(ident, Happening.CANCEL)

    def pause(self, ident: str) -> State:
        """End a job's worker, and let the job wait until ``resume``; its state then.

        Raises:
            BackendError: There is no such job.
        """
        return self._end(ident, Happening.PAUSE)

    def resume(self, ident: str) -> State:
        """Let a job that was paused have its turn again; its state then.

        Raises:
            BackendError: There is no such job, or its worker has not ended yet (``job_pausing``).
        """
        new = self._store.advance(ident, Happening.RESUME)
        if new is None:
            state = self._store.job(ident).state
            if state is State.PAUSING:
                raise BackendError(
                    "job_pausing",
                    f"Job '{ident}' is still being paused.",
                    "Wait until it is paused.",
                    retryable=True,
                )
            return state
        self._changed(ident)
        asyncio.get_running_loop().call_soon(self.wake)
        return new

    def finish_early(self, ident: str) -> State:
        """Let a training end with the best of what it has learnt, now or when it goes on; its state.

        Raises:
            BackendError: There is no such job, or it is no training.
        """
        job = self._store.job(ident)
        if job.task not in TRAININGS:
            raise BackendError(
                "not_training", f"Job '{ident}' is no training: it has nothing to keep.", "Cancel it instead."
            )
        if not job.state.final:
            self._store.want_end(ident)
            worker = self._worker_of(ident)
            if worker is not None:
                worker.finish()
        return job.state

    def _end(self, ident: str, happening: Happening) -> State:
        worker = self._worker_of(ident)
        try:
            new = self._store.advance(ident, happening)
        except sqlite3.Error:
            if worker is not None and happening is Happening.CANCEL:  # it may be what fills the disk
                worker.cancel()
                worker.cancelled = True
            raise
        if new is None:
            return self._store.job(ident).state
        if worker is not None:
            worker.cancel(None if happening is Happening.CANCEL else PAUSE_GRACE_S)
        self._changed(ident)
        return new

    def _worker_of(self, ident: str) -> Worker | None:
        return next((worker for worker in self._workers.values() if worker.job.id == ident), None)

    async def stop(self) -> None:
        """End the workers, and start no other."""
        self._stopping = True
        workers = list(self._workers.values())
        for worker in workers:
            worker.cancel(grace=0)
        await asyncio.gather(*(worker.ended.wait() for worker in workers))

    def _start(self, job: Job, slot: str) -> bool:
        """Start a job's worker, or record why it can't be; False if there is no room for a process now."""
        enough = self._store.wants_end(job.id)
        refusal = None if slot in (slots.CPU, *(self._devices.gpus or ())) else self._devices.refusal(slot)
        self._store.advance(job.id, Happening.START, device=slot)
        if refusal is not None:  # of a GPU that was there when it was chosen
            self._stay(job.id, Happening.FAIL, refusal.to_dict())
            return True
        log = self._logs / f"{job.id}.log"
        try:
            worker = Worker(job, self._command, log, self._environment(job, slot), self)
        except OSError as error:
            scarce = error.errno in SCARCE
            logger.warning("job %s: its worker cannot be started: %s", job.id, error)
            self._stay(job.id, Happening.UNSTARTED if scarce else Happening.FAIL, not_started(error))
            return not scarce
        self._workers[slot] = worker
        if enough:
            worker.finish()
        self._changed(job.id)
        return True

    def _stay(self, ident: str, happening: Happening, error: Mapping[str, Any]) -> None:
        """Record what became of a job that was not started."""
        self._unwritten = ident, functools.partial(self._store.advance, ident, happening, error=error)
        self._write_unwritten()

    def _environment(self, job: Job, slot: str) -> dict[str, str]:
        allowed = self._grants.of_job(job.owner, job.roots)
        return {
            leftovers.VARIABLE: leftovers.new_mark(self._logs.parent),
            **slots.environment(slot, self._devices.spared),
            **confinement.environment(job.task, job.spec, allowed),
        }

    def record(self, worker: Worker, told: Sequence[bytes]) -> None:
        """Take lines that a worker wrote.

        Raises:
            sqlite3.Error: They are not recorded; the same may be tried again.
        """
        events: list[tuple[str, str, float]] = []
        for line in told:
            kind, body = lines.read(line) or ("", None)
            if kind in lines.EVENTS:
                events.append((kind, msgspec.json.encode(body).decode(), time.time()))
            elif kind == "ready":
                self._store.advance(worker.job.id, Happening.READY)
            elif kind == "beat":
                continue
            elif kind == "checkpoint":
                if not worker.kept:
                    self._store.keep(worker.job.id)
                worker.kept = True
            elif kind:
                worker.outcome = (kind, msgspec.to_builtins(body))
            else:
                logger.warning(
                    "job %s: a line of the worker is not understood: %r", worker.job.id, line[:200]
                )
        if events:
            self._store.history.append(worker.job.id, events)
        self._changed(worker.job.id)

    def finish(self, worker: Worker, status: int) -> bool:
        """Settle the job of a worker that has ended; False if the disk doesn't take it yet.

        A server that is to end leaves that to the next one.
        """
        try:
            self._settle(worker, status)
        except sqlite3.Error:
            logger.exception("job %s: its end could not be recorded", worker.job.id)
            if not self._stopping:
                return False
        self._workers = {slot: other for slot, other in self._workers.items() if other is not worker}
        self._changed(worker.job.id)
        self.wake()
        return True

    def _settle(self, worker: Worker, status: int) -> None:
        ident, (kind, body) = worker.job.id, worker.outcome
        if worker.cancelled:  # the disk had no room to say so then
            self._store.advance(ident, Happening.CANCEL)
        state = self._store.job(ident).state
        if kind == "done":
            if state is State.STARTING:
                self._store.advance(ident, Happening.READY)
            self._store.advance(ident, Happening.SUCCEED, summary=body)
        elif state is State.CANCELLING or (state is State.PAUSING and kind != "error"):
            self._store.advance(ident, Happening.STOPPED)
        elif kind == "error":
            self._store.advance(ident, Happening.FAIL, error=with_log(body, worker.log))
        elif self._stopping:
            self._store.settle_lost(ident, interrupted("was stopped"), crashed=False)
        elif crashed(status):
            self._store.settle_lost(ident, died(status, worker.log), crashed=True)
        else:
            self._store.advance(ident, Happening.FAIL, error=died(status, worker.log))
        logger.info("job %s: %s, exit status %s", ident, self._store.job(ident).state.value, status)
