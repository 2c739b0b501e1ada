# SPDX-License-Identifier: GPL-3.0-or-later
"""The real worker with small tasks in the place of the models': the spec's ``model`` says what happens.

Run by the supervisor in tests as the worker's program; pipes, signals and reports are those of the product.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from timo.errors import OutputError, SeriesError
from timo.placing import Placing
from timo_backend import worker


def play(task, spec, reporter):
    act, _, argument = Path(spec.model if task == "predict" else spec.labels).name.partition("-")
    other = Path(spec.out).with_name("act")
    act = other.read_text() if other.exists() else act
    reporter.log(f"pid {os.getpid()}")
    if act == "succeed":
        for step in range(int(argument or 3)):
            reporter.metric("loss", 1.0 / (step + 1), step + 1)
        reporter.metric("never", float("nan"), 1)
        print("a library that prints")
        Path(spec.out).write_text("a map")
        reporter.artifact(Path(spec.out), "map")
        reporter.progress(1.0, "Done")
        return {"out": spec.out, "iou": float("inf")}
    if act == "tick":  # tells so many things, one after the other
        for step in range(int(argument)):
            reporter.metric("loss", 1.0 / (step + 1), step + 1)
            time.sleep(0.001)
        return {}
    if act == "pace":  # tells so many things, a thousand a second
        begun = time.monotonic()
        for step in range(int(argument)):
            reporter.metric("loss", 1.0 / (step + 1), step + 1)
            time.sleep(max(0.0, begun + (step + 1) / 1000 - time.monotonic()))
        return {}
    if act == "chat":  # says so many long things
        for _ in range(int(argument)):
            reporter.log("x" * 4000)
        return {}
    if act == "boast":  # says as much as can be said in the end
        reporter.progress(1.0, "\x01" * 100_000)
        return {"names": "x" * (worker.MAX_LINE - 100)}
    if act == "keep":  # has a checkpoint, and goes on
        reporter.checkpoint()
        tries = Path(spec.out).with_suffix(".tries")
        tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
        reporter.log(f"kept {len(tries.read_text())}")
        while True:
            reporter.check()
            reporter.cancelled.wait(0.02)
    if act == "gpu":  # says which it sees, and has a checkpoint
        reporter.checkpoint()
        reporter.log(f"sees {os.environ.get('CUDA_VISIBLE_DEVICES')}")
        while True:
            reporter.check()
            reporter.cancelled.wait(0.02)
    if act == "learn":  # a training: its last step is what it says at the end
        done = Path(spec.out).with_suffix(".step")
        step = int(done.read_text()) if done.exists() else 0
        while step < int(argument) and not reporter.enough():
            reporter.check()
            step += 1
            done.write_text(str(step))
            reporter.checkpoint()
            reporter.metric("loss", 1.0 / step, step)
            time.sleep(0.01)
        return {"step": step}
    if act == "made":  # dies when its output is whole, before it can say so
        out = Path(spec.out)
        partial, placing = out.with_suffix(".partial"), Placing(out.with_suffix(".placing"))
        again = placing.has(out)
        if out.exists() and not again and not spec.overwrite:
            raise OutputError("output_exists", f"'{out}' exists already.", "Pick another name.")
        partial.write_text("a map")
        placing.note({out: partial})
        partial.replace(out)
        reporter.checkpoint()
        if not again:
            os.kill(os.getpid(), signal.SIGKILL)
        return {}
    if act == "await":  # ends when there is a file beside its output
        while not Path(spec.out).with_suffix(".go").exists():
            time.sleep(0.02)
        return {}
    if act == "hold":  # a task that looks at the flag, as those of the product do
        while True:
            reporter.check()
            reporter.cancelled.wait(0.02)
    if act == "linger":
        reporter.cancelled.wait(float(argument))
        return {}
    if act == "slow":  # a task that takes its time to clean up, but comes to an end
        try:
            time.sleep(3600)
        finally:
            Path(spec.out).write_text("cleaned up")
    if act == "deny":
        raise SeriesError("series_empty", "Folder /x has no rasters.", "Pick another folder.")
    if act == "lack":  # names a path in its error
        raise SeriesError("series_empty", f"Folder {spec.series[0]} has no rasters.", "Pick another folder.")
    if act == "latin":  # names a file whose name is no text
        raise SeriesError("series_empty", "Folder K\udcf6ln is empty.", "Pick another folder.")
    if act == "break":
        raise ZeroDivisionError("a fault of the code")
    if act == "huge":
        reporter.metric("x" * 300_000, 0.0, 1)
    if act == "exit":
        os._exit(3)
    if act == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
        threading.Event().wait()
    if act == "count":  # holds the interpreter's lock for so many seconds: no thread of it says anything
        sys.setswitchinterval(1000.0)
        end = time.monotonic() + float(argument)
        while time.monotonic() < end:
            pass
        sys.setswitchinterval(0.005)
        return {}
    if act == "orphan":  # its child leaves the group, and keeps the worker's pipes
        command = [sys.executable, "-c", "import time; time.sleep(3600)"]
        child = subprocess.Popen(command, start_new_session=True)
        reporter.log(f"child {child.pid}")
        reporter.cancelled.wait(float(argument or 3600))
        reporter.check()
        return {}
    if act == "stubborn":  # neither it nor its children end at SIGTERM; one of them leaves the group
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        command = [sys.executable, "-c", "import time; time.sleep(3600)"]
        for leaves in (False, True):
            reporter.log(f"child {subprocess.Popen(command, start_new_session=leaves).pid}")
        reporter.log("all are there")
        if argument:  # "deaf": it holds the interpreter's lock, and no thread of it hears of a cancel
            sys.setswitchinterval(1000.0)
        while argument:
            pass
        threading.Event().wait()
    if act == "child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        reporter.log(f"child {child.pid}")
        while True:
            reporter.check()
            reporter.cancelled.wait(0.02)
    raise AssertionError(act)


worker.run = play
worker.import_module = lambda name: None

if __name__ == "__main__":
    status = worker.main()
    sys.stderr.flush()
    os._exit(status)
