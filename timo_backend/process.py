# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker process: orders go in, lines come out, and nothing of it is left when it has ended."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import queue
import sqlite3
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

import psutil

from timo_backend import groups, leftovers
from timo_backend.protocol import dumps
from timo_backend.store import Job

logger = logging.getLogger(__name__)

MAX_LINE = 256 * 1024
BACKLOG = 4 * 1024 * 1024
"""Bytes of lines that may wait to be recorded: a worker that is faster than the disk is held up."""
GATHER_S = 0.01
"""So long lines are gathered, to be recorded in one step."""
RETRY_S, TRIES = 1.0, 10
"""Until what the disk did not take is written again, without end; what else failed, so many times."""
GRACE_S = {"finetune": 5.0, "pretrain": 5.0}
"""Seconds from the flag to SIGTERM: a training step must end; other tasks have ``GRACE_DEFAULT_S``."""
GRACE_DEFAULT_S = 1.0
KILL_AFTER_S = 5.0
MOST_LOG = 1_000_000
"""Bytes of a job's earlier attempts that stay in its log."""
LOOK_S, QUIET_S, HUNG_S = 2.0, 6.0, 24.0
"""A worker, which says something every two seconds, is ended when it was quiet and idle for half a minute."""


class Owner(Protocol):
    """Who started a worker; called in the event loop's thread."""

    @property
    def stopping(self) -> bool:
        """Whether the server is to end."""

    def record(self, worker: Worker, told: Sequence[bytes]) -> None:
        """Take lines that a worker wrote; ``sqlite3.Error`` if they must come again."""

    def finish(self, worker: Worker, status: int) -> bool:
        """Settle the job of a worker that has ended; False if that must be tried again."""


class Worker:
    """One worker process, and the threads that write its orders, read its lines and wait for its end.

    Args:
        job: What it works on.
        command: The program that speaks the worker's side of the pipes.
        log: Gets what else it prints.
        variables: Of its environment, beside the server's own; its ``leftovers.VARIABLE`` finds its children.
        owner: Records what it tells.

    Raises:
        OSError: It can't be started.
    """

    def __init__(
        self,
        job: Job,
        command: Sequence[str],
        log: Path,
        variables: Mapping[str, str],
        owner: Owner,
    ) -> None:
        self.job = job
        self.log = log
        self._mark = variables[leftovers.VARIABLE]
        self._heard = time.monotonic()  # of it, in the reader's thread
        self._watched: tuple[float, float] | None = None  # since when it was quiet, and its CPU time then
        self.outcome: tuple[str, dict[str, Any]] = ("", {})
        self.kept = False  # a checkpoint
        self.cancelled = False  # which the disk could not be told
        self.ended = asyncio.Event()
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._lines: list[bytes] = []  # not recorded yet
        self._bytes = 0
        self._held = False  # the reader, since too much waits
        self._let_go = -RETRY_S  # when it last was
        self._full = False  # the disk: said once
        self._over = False  # what comes now, of a child that kept the pipe, is no part of the job
        self._room = threading.Condition()
        self._timers: list[asyncio.TimerHandle] = []
        self._reaping = threading.Lock()
        _shorten(log)
        with log.open("ab") as errors:
            # Called in the main thread: the kernel's parent-death signal is tied to the thread that forks.
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=log.parent,  # `python -m` searches it first: not a folder that others write to
                env={**os.environ, **variables},
                **groups.options(),
            )
        self._group = groups.group_of(self._process)
        self._order({"task": job.task, "spec": job.spec, "server": os.getpid()})
        self._reader = threading.Thread(target=self._read, name=f"read {job.id}", daemon=True)
        writer = threading.Thread(target=self._write, name=f"write {job.id}", daemon=True)
        waiter = threading.Thread(target=self._wait, name=f"wait {job.id}", daemon=True)
        try:
            for thread in (writer, self._reader, waiter):
                thread.start()
        except RuntimeError as error:  # no room for another thread
            self._group.kill()
            self._process.wait()
            self._orders.put(b"")
            raise OSError(errno.EAGAIN, str(error)) from error
        self._timers.append(self._loop.call_later(LOOK_S, self._look, time.monotonic()))

    def cancel(self, grace: float | None = None) -> None:
        """Raise the flag; SIGTERM after the grace, SIGKILL of the process group ``KILL_AFTER_S`` later."""
        if grace is None:
            grace = GRACE_S.get(self.job.task, GRACE_DEFAULT_S)
        self._order({"cancel": grace})
        self._timers.append(self._loop.call_later(grace, self._terminate))
        self._timers.append(self._loop.call_later(grace + KILL_AFTER_S, self._kill))

    def finish(self) -> None:
        """Tell a training that it may end with the best of what it has learnt."""
        self._order({"finish": True})

    def _terminate(self) -> None:
        with self._reaping:
            if self._process.returncode is None:
                self._group.terminate()

    def _kill(self) -> None:
        # Until it is reaped, its process id is nobody else's.
        with self._reaping:
            if self._process.returncode is None:
                self._group.kill()

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
            self._heard = time.monotonic()
            with self._room:
                if self._bytes >= BACKLOG:
                    self._held = True
                    self._room.wait_for(lambda: self._bytes < BACKLOG)
                    self._held, self._let_go = False, time.monotonic()
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
        with self._reaping:
            self._group.close()
        self._end_children()
        self._reader.join(KILL_AFTER_S)  # longer only if a child has left the group and kept the pipe
        with suppress(RuntimeError):  # the loop is closed: the server ends
            self._loop.call_soon_threadsafe(self._finish, status)

    def _end_children(self) -> None:
        """End those that have left the group; whatever hinders that, the job comes to its end."""
        for _ in range(TRIES):
            try:
                leftovers.end(self._mark)
                return
            except Exception:  # no file handle is free to look at processes, most of all
                logger.exception("job %s: what its worker left behind can't be looked for", self.job.id)
                time.sleep(RETRY_S)

    # in the loop's thread ----------------------------------------

    def _look(self, due: float) -> None:
        """End the worker if it says nothing for long and doesn't compute either: it hangs, or was stopped."""
        if self._over:
            return
        now = time.monotonic()
        if now - due > LOOK_S or self._held:  # this machine slept, or the disk is full
            self._heard, self._watched = now, None
        if now - self._heard < QUIET_S:
            self._watched = None
        else:
            spent = _cpu_seconds(self._process.pid)
            since, then = self._watched or (now, spent)
            if spent != then:  # it computes in one long call
                since, then = now, spent
            self._watched = since, then
            if now - since > HUNG_S:
                logger.warning("job %s: the worker says and does nothing: it is ended", self.job.id)
                self._kill()
                return
        self._timers.append(self._loop.call_later(LOOK_S, self._look, now + LOOK_S))

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
            self._owner.record(self, told)
        except sqlite3.Error:
            if not self._full:
                logger.exception("job %s: what it tells cannot be recorded", self.job.id)
            self._full = True
            return False
        except Exception:  # a fault of ours: the job goes on without these
            logger.exception("job %s: what it tells cannot be understood", self.job.id)
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
        # A reader that is held back, or just was, has more to bring.
        held = self._held or time.monotonic() - self._let_go < RETRY_S
        left = (self._lines or held) and not self._owner.stopping
        if left or not self._owner.finish(self, status):
            self._loop.call_later(RETRY_S, self._finish, status)
            return
        self._over = True
        for timer in self._timers:
            timer.cancel()
        self._orders.put(b"")
        self.ended.set()


def _shorten(log: Path) -> None:
    """Leave only the end of a log, in its place: a full disk has no room for a copy."""
    with suppress(FileNotFoundError), log.open("r+b") as file:
        if file.seek(0, os.SEEK_END) > MOST_LOG:
            file.seek(-MOST_LOG, os.SEEK_END)
            end = file.read()
            file.seek(0)
            file.write(end)
            file.truncate()


def _cpu_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:  # it has ended
        return 0.0
    except OSError:  # no file handle is free: whether it computes can't be told
        return math.nan  # which differs from all, itself too
    return float(times.user + times.system)
