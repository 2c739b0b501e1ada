# SPDX-License-Identifier: GPL-3.0-or-later
"""One job, in a process of its own: ``python -m timo_backend.worker``, started by the supervisor.

On standard input comes one JSON line ``{"task", "spec", "server"}`` (``server``: the pid to die with), later
perhaps ``{"finish": true}`` or ``{"cancel": grace}``; its end means that the server is gone. On standard
output go JSON lines ``{"kind", "body"}``: ``ready``, ``beat``, ``checkpoint``, the events ``progress``,
``metric``, ``log``, ``artifact``, and at last ``done`` or ``error``. All else that anything prints goes to
standard error, which is the job's log file.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from timo import access
from timo.errors import Cancelled, TimoError
from timo.series import readable
from timo.tasks import run, specs
from timo.tasks.reporter import Reporter
from timo_backend import paths
from timo_backend.fingerprint import digest
from timo_backend.lines import MOST_TEXT
from timo_backend.protocol import dumps

NICENESS = 5
"""Added to the process's niceness, so that QGIS stays quick while a model runs on the same cores."""

MAX_LINE = 256 * 1024
PROGRESS_EVERY_S = 0.1
# The time left follows the pace of about the last half minute: reading data at first says little about it.
PACE_EVERY_S, PACE_SAMPLES, PACE_LEAST_S = 0.5, 60, 1.5
EXIT_CANCELLED = 75
BEAT_S = 2.0
# A task in one long call of a library sees neither flag nor signal: so long after the signal it is ended.
AFTER_TERM_S = 0.5


class Terminated(BaseException):
    """The server's SIGTERM; not an Exception, so that no ``except Exception`` of a library swallows it."""


class PipeReporter(Reporter):
    """Writes what the task tells as JSON lines.

    Args:
        pipe: Where the lines go.
    """

    def __init__(self, pipe: IO[str]) -> None:
        self._pipe = pipe
        self._writing = threading.Lock()
        self._told = -PROGRESS_EVERY_S
        self._pace: deque[tuple[float, float]] = deque(maxlen=PACE_SAMPLES)
        self.cancelled = threading.Event()
        self.finish = threading.Event()

    def tell(self, kind: str, body: dict[str, Any]) -> None:
        """One line. A body over the limit is a fault of the task's code."""
        line = dumps({"kind": kind, "body": body})
        if (size := len(line.encode(errors="replace"))) >= MAX_LINE:
            raise ValueError(f"a worker's line of kind {kind} has {size} bytes, over {MAX_LINE}")
        with self._writing:
            self._pipe.write(line + "\n")
            self._pipe.flush()

    def progress(self, fraction: float, message: str) -> None:
        """Sends at most ten a second, with the seconds left as the pace of late suggests them."""
        if not math.isfinite(fraction):
            return  # how far it is, is not known
        now = time.monotonic()
        if now - self._told < PROGRESS_EVERY_S and fraction < 1:
            return
        self._told = now
        fraction = min(max(fraction, 0.0), 1.0)
        told = {"fraction": fraction, "message": message[:MOST_TEXT], "eta_s": self._left(now, fraction)}
        self.tell("progress", told)

    def _left(self, now: float, fraction: float) -> float | None:
        if not self._pace or now - self._pace[-1][0] >= PACE_EVERY_S:
            self._pace.append((now, fraction))
        begun, done = self._pace[0]
        if fraction >= 1:
            return 0.0
        if now - begun < PACE_LEAST_S or fraction <= done:
            return None
        return (1 - fraction) * (now - begun) / (fraction - done)

    def metric(self, name: str, value: float, step: int) -> None:
        """One figure of a curve."""
        self.tell("metric", {"name": name, "value": value, "step": step})

    def log(self, message: str, level: str = "info") -> None:
        """A line for the analyst."""
        self.tell("log", {"level": level, "message": message[:MOST_TEXT]})

    def artifact(self, path: Path, kind: str) -> None:
        """A finished output."""
        size, sha256 = digest(path)
        self.tell("artifact", {"path": str(path), "kind": kind, "size": size, "sha256": sha256})

    def checkpoint(self) -> None:
        """The job, queued again, goes on from here."""
        self.tell("checkpoint", {})

    def enough(self) -> bool:
        """Whether the analyst wants no more of a training."""
        return self.finish.is_set()

    def check(self) -> None:
        """Raise Cancelled once the server has asked for it."""
        if self.cancelled.is_set():
            raise Cancelled


def main() -> int:
    """Run the job that standard input names; the process's exit status."""
    orders, pipe = _take_pipes()
    order = json.loads(orders.readline())
    _die_with(order["server"])
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    reporter = PipeReporter(pipe)
    running = threading.Event()
    threading.Thread(target=_listen, args=(orders, reporter, running), daemon=True).start()
    threading.Thread(target=_beat, args=(reporter,), daemon=True).start()
    try:
        spec = specs.load(order["task"], order["spec"])
        if allowed := access.present():  # links may have been changed since the server looked
            paths.demand(order["task"], specs.to_dict(spec), allowed)
            readable.narrow()
        import_module(f"timo.tasks.{order['task']}")
        # Until here SIGTERM ends the process at once, and nothing is left; from here on the task cleans up.
        signal.signal(signal.SIGTERM, _terminate)
        running.set()
        reporter.tell("ready", {})
        summary = run(order["task"], spec, reporter)
        reporter.tell("done", summary)
    except Cancelled:
        return EXIT_CANCELLED
    except Terminated:
        if not reporter.cancelled.is_set():  # a signal from outside: the server is to see it as such
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        return EXIT_CANCELLED
    except TimoError as error:
        reporter.tell("error", error.to_dict())
        return 1
    except Exception as error:
        traceback.print_exc()
        reporter.tell("error", _internal(order["task"], error))
        return 1
    return 0


def _take_pipes() -> tuple[IO[bytes], IO[str]]:
    """The two pipes to the server, moved away so that neither a print nor a child process can meet them."""
    orders = os.fdopen(os.dup(0), "rb")
    # A file's name may be no text; what is said of it still comes through.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace", newline="\n")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return orders, pipe


def _die_with(server: int) -> None:
    """Have the kernel end this process when the server ends; the end of standard input does so elsewhere."""
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != server:  # it ended before the line above
        os._exit(1)


def _listen(orders: IO[bytes], reporter: PipeReporter, running: threading.Event) -> None:
    for line in orders:
        order = json.loads(line)
        if "finish" in order:
            reporter.finish.set()
            continue
        reporter.cancelled.set()
        if not running.is_set():
            os._exit(EXIT_CANCELLED)
        end = threading.Timer(order["cancel"] + AFTER_TERM_S, os._exit, (EXIT_CANCELLED,))
        end.daemon = True
        end.start()
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # the server is gone: this process and its children with it
    os._exit(1)


def _beat(reporter: PipeReporter) -> None:
    """Show that this process isn't stopped."""
    while True:
        reporter.tell("beat", {})
        time.sleep(BEAT_S)


def _terminate(_signal: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def _internal(task: str, error: Exception) -> dict[str, Any]:
    return TimoError(
        "internal",
        f"Task '{task}' failed unexpectedly ({type(error).__name__}: {str(error)[:500]}).",
        "Send the job's log file with a report of what you did.",
        detail={"traceback": traceback.format_exc()[-20000:]},
    ).to_dict()


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Torch's own tear-down takes long and can crash: all is written, so leave.
    os._exit(status)
