# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the queue: one job at a time, each in a worker process, watched until nothing of it is left."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from timo_backend import lines
from timo_backend.protocol import dumps
from timo_backend.states import Happening, State
from timo_backend.store import Job, Store

logger = logging.getLogger(__name__)

MAX_LINE = 256 * 1024
BACKLOG = 4 * 1024 * 1024
"""Bytes of lines that may wait to be recorded: a worker that is faster than the disk is held up."""
GATHER_S = 0.01
"""So long lines are gathered, to be recorded in one step."""
RETRY_S = 1.0
"""Until what the disk did not take is written again."""
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
SCARCE_S = 5.0
"""Until a worker is started again for which the system had no room."""

GRACE_S = {"finetune": 5.0}
"""Seconds from the flag to SIGTERM: a training step must end; other tasks have ``GRACE_DEFAULT_S``."""
GRACE_DEFAULT_S = 1.0
KILL_AFTER_S = 5.0


class Supervisor:
    """Starts the next job when there is none, and records what its worker tells.

    All methods are called in the event loop's thread.

    Args:
        store: Where jobs stand; this is the only one that changes their states beside ``submit``.
        logs: The folder of the workers' log files, ``JOB.log``.
        changed: Called with a job's id whenever events of it were recorded.
        worker_command: The program that speaks the worker's side of the pipes.
    """

    def __init__(
        self,
        store: Store,
        logs: Path,
        changed: Callable[[str], None],
        worker_command: Sequence[str] = (sys.executable, "-m", "timo_backend.worker"),
    ) -> None:
        self._store = store
        self._logs = logs
        self._changed = changed
        self._command = list(worker_command)
        self._worker: _Worker | None = None
        self._stopping = False
        self._again: asyncio.TimerHandle | None = None
        self._unwritten: Callable[[], object] | None = None  # what became of a job that could not be started

    @property
    def busy(self) -> bool:
        """Whether a worker process runs, or is to be started as soon as there is room for it."""
        return self._worker is not None or self._again is not None

    @property
    def stopping(self) -> bool:
        """Whether the server is to end."""
        return self._stopping

    def running(self) -> list[str]:
        """The ids of the jobs that have a worker process."""
        return [] if self._worker is None else [self._worker.job.id]

    def wake(self) -> None:
        """Start the next job of the queue, if none runs."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        try:
            if self._unwritten is not None:
                self._unwritten()
                self._unwritten = None
            while self._worker is None and not self._stopping:
                job = self._store.next_queued()
                if job is None:
                    return
                if not self._start(job):
                    self._later(SCARCE_S)
                    return
        except sqlite3.Error:
            logger.exception("the next job cannot be started")
            self._later(RETRY_S)

    def _later(self, seconds: float) -> None:
        self._again = asyncio.get_running_loop().call_later(seconds, self.wake)

    def cancel(self, ident: str) -> State:
        """Stop a job, wherever it stands; its state then.

        Raises:
            BackendError: There is no such job.
        """
        worker = self._worker if self._worker is not None and self._worker.job.id == ident else None
        try:
            new = self._store.advance(ident, Happening.CANCEL)
        except sqlite3.Error:
            if worker is not None:  # it may be what fills the disk
                worker.cancel()
            raise
        if new is None:
            return self._store.job(ident).state
        if worker is not None:
            worker.cancel()
        self._changed(ident)
        return new

    async def stop(self) -> None:
        """End the worker, and start no other."""
        self._stopping = True
        worker = self._worker
        if worker is not None:
            worker.cancel(grace=0)
            await worker.ended.wait()

    def _start(self, job: Job) -> bool:
        """Start a job's worker, or record why it can't be; False if there is no room for a process now."""
        self._store.advance(job.id, Happening.START)
        try:
            self._worker = _Worker(job, self._spec(job), self._command, self._logs / f"{job.id}.log", self)
        except OSError as error:
            scarce = error.errno in SCARCE
            logger.warning("job %s: its worker cannot be started: %s", job.id, error)
            reason = _error(
                "worker_not_started",
                f"The worker process of this job could not be started: {error.strerror or error}.",
                "Install the backend anew.",
            )
            happening = Happening.UNSTARTED if scarce else Happening.FAIL
            self._unwritten = functools.partial(self._store.advance, job.id, happening, error=reason)
            self._unwritten()
            self._unwritten = None
            self._changed(job.id)
            return not scarce
        self._changed(job.id)
        return True

    def _spec(self, job: Job) -> Mapping[str, Any]:
        """A job's parameters; one that goes on may replace an output that it has made itself."""
        out = job.spec.get("out")
        new = isinstance(out, str) and not os.path.lexists(out)
        return (
            {**job.spec, "overwrite": True}
            if self._store.made_new(job.id, new) and job.attempt > 1
            else job.spec
        )

    def record(self, worker: _Worker, told: Sequence[bytes]) -> None:
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

    def finish(self, worker: _Worker, status: int) -> bool:
        """Settle the job of a worker that has ended; False if the disk doesn't take it yet.

        A server that is to end leaves that to the next one.
        """
        try:
            self._settle(worker, status)
        except sqlite3.Error:
            logger.exception("job %s: its end could not be recorded", worker.job.id)
            if not self._stopping:
                return False
        self._worker = None
        self._changed(worker.job.id)
        self.wake()
        return True

    def _settle(self, worker: _Worker, status: int) -> None:
        ident, (kind, body) = worker.job.id, worker.outcome
        state = self._store.job(ident).state
        if kind == "done":
            if state is State.STARTING:
                self._store.advance(ident, Happening.READY)
            self._store.advance(ident, Happening.SUCCEED, summary=body)
        elif state is State.CANCELLING:
            self._store.advance(ident, Happening.STOPPED)
        elif kind == "error":
            self._store.advance(ident, Happening.FAIL, error=_with_log(body, worker.log))
        elif self._stopping:
            self._store.settle_lost(ident, interrupted("was stopped"), crashed=False)
        elif status < 0:
            self._store.settle_lost(ident, _died(status, worker.log), crashed=True)
        else:
            self._store.advance(ident, Happening.FAIL, error=_died(status, worker.log))
        logger.info("job %s: %s, exit status %s", ident, self._store.job(ident).state.value, status)


class _Worker:
    """One worker process and the two threads that watch it: one reads its lines, one waits for its end."""

    def __init__(
        self, job: Job, spec: Mapping[str, Any], command: Sequence[str], log: Path, supervisor: Supervisor
    ) -> None:
        self.job = job
        self.log = log
        self.outcome: tuple[str, dict[str, Any]] = ("", {})
        self.kept = False  # a checkpoint
        self.ended = asyncio.Event()
        self._supervisor = supervisor
        self._loop = asyncio.get_running_loop()
        self._orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._lines: list[bytes] = []  # not recorded yet
        self._bytes = 0
        self._held = False  # the reader, since too much waits
        self._full = False  # the disk: said once
        self._over = False  # what comes now, of a child that kept the pipe, is no part of the job
        self._room = threading.Condition()
        self._timers: list[asyncio.TimerHandle] = []
        self._reaping = threading.Lock()
        with log.open("ab") as errors:
            # Called in the main thread: the kernel's parent-death signal is tied to the thread that forks.
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=log.parent,  # `python -m` searches it first: not a folder that others write to
                start_new_session=True,  # a process group of its own, to be ended with its children
            )
        self._order({"task": job.task, "spec": spec, "server": os.getpid()})
        self._reader = threading.Thread(target=self._read, name=f"read {job.id}", daemon=True)
        writer = threading.Thread(target=self._write, name=f"write {job.id}", daemon=True)
        waiter = threading.Thread(target=self._wait, name=f"wait {job.id}", daemon=True)
        try:
            for thread in (writer, self._reader, waiter):
                thread.start()
        except RuntimeError as error:  # no room for another thread
            _signal(self._process, group=True)
            self._process.wait()
            self._orders.put(b"")
            raise OSError(errno.EAGAIN, str(error)) from error

    def cancel(self, grace: float | None = None) -> None:
        """Raise the flag; SIGTERM after the grace, SIGKILL of the process group ``KILL_AFTER_S`` later."""
        if grace is None:
            grace = GRACE_S.get(self.job.task, GRACE_DEFAULT_S)
        self._order({"cancel": grace})
        self._timers.append(self._loop.call_later(grace, self._terminate))
        self._timers.append(self._loop.call_later(grace + KILL_AFTER_S, self._kill))

    def _terminate(self) -> None:
        with self._reaping:
            if self._process.returncode is None:
                _signal(self._process, group=False)

    def _kill(self) -> None:
        # Until it is reaped, its process id is nobody else's.
        with self._reaping:
            if self._process.returncode is None:
                _signal(self._process, group=True)

    def _order(self, order: Mapping[str, Any]) -> None:
        self._orders.put(dumps(order).encode() + b"\n")

    # in the three threads ----------------------------------------

    def _write(self) -> None:
        assert self._process.stdin is not None  # noqa: S101
        # A worker that does not read holds up this thread alone; of one that has ended, _wait tells.
        with suppress(OSError, ValueError), self._process.stdin as pipe:
            while order := self._orders.get():
                pipe.write(order)
                pipe.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        with self._process.stdout as pipe:
            self._take_lines(pipe)

    def _take_lines(self, pipe: IO[bytes]) -> None:
        while line := pipe.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                logger.error("job %s: the worker wrote a line over %d bytes", self.job.id, MAX_LINE)
                self._kill()
                return
            with self._room:
                self._held = self._bytes >= BACKLOG
                self._room.wait_for(lambda: self._bytes < BACKLOG)
                self._held = False
                self._lines.append(line)
                self._bytes += len(line)
                if len(self._lines) > 1:  # the drain that the first one called for takes this one too
                    continue
            with suppress(RuntimeError):  # the loop is closed: the server ends
                self._loop.call_soon_threadsafe(self._loop.call_later, GATHER_S, self._drain)

    def _wait(self) -> None:
        if os.name == "posix":
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            self._kill()  # its children
            with self._reaping:
                status = self._process.wait()
        else:
            status = self._process.wait()
        self._reader.join(KILL_AFTER_S)  # longer only if a child has left the group and kept the pipe
        with suppress(RuntimeError):  # the loop is closed: the server ends
            self._loop.call_soon_threadsafe(self._finish, status)

    # in the loop's thread ----------------------------------------

    def _drain(self) -> None:
        if not self._record():
            self._loop.call_later(RETRY_S, self._drain)
        elif self._lines and not self._over:
            self._loop.call_soon(self._drain)  # after what else has to be done

    def _record(self) -> bool:
        """Record the lines that wait; False if the disk doesn't take them: they stay, the worker waits."""
        if self._over or not (told := self._lines[:]):
            return True
        try:
            self._supervisor.record(self, told)
        except sqlite3.Error:
            if not self._full:
                logger.exception("job %s: what it tells cannot be recorded", self.job.id)
            self._full = True
            return False
        if self._full:
            logger.info("job %s: what it tells is recorded again", self.job.id)
        self._full = False
        with self._room:
            del self._lines[: len(told)]
            self._bytes -= sum(map(len, told))
            self._room.notify()
        return True

    def _finish(self, status: int) -> None:
        while self._lines and self._record():
            pass
        # A reader that was held back has more to bring.
        left = (self._lines or self._held) and not self._supervisor.stopping
        if left or not self._supervisor.finish(self, status):
            self._loop.call_later(RETRY_S, self._finish, status)
            return
        self._over = True
        for timer in self._timers:
            timer.cancel()
        self._orders.put(b"")
        self.ended.set()


def interrupted(what: str) -> dict[str, Any]:
    """The error of a job whose server ended while it ran."""
    return _error(
        "interrupted", f"The backend {what} while this job was running.", "Run it again.", retryable=True
    )


def _signal(process: subprocess.Popen[bytes], *, group: bool) -> None:
    """SIGTERM to the process, or SIGKILL to it and all its children."""
    if os.name != "posix":
        process.kill() if group else process.terminate()
        return
    with suppress(ProcessLookupError, PermissionError):
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGTERM)


def _with_log(error: Mapping[str, Any], log: Path) -> dict[str, Any]:
    return {**error, "detail": {**error["detail"], "log": str(log)}}


def _died(status: int, log: Path) -> dict[str, Any]:
    if status >= 0:
        return _error(
            "worker_ended",
            f"The worker process of this job ended with status {status} before the job was done.",
            f"See the log file {log}.",
            detail={"status": status, "log": str(log)},
        )
    name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
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
