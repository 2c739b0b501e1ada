# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of this process, as Linux tells it."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

CLEAR_REFS = Path("/proc/self/clear_refs")


def can_measure() -> bool:
    """Whether the peak of a process's memory can be told: Linux alone has it where it is read from."""
    return CLEAR_REFS.exists()


def reset_peak() -> float:
    """Let the peak count from here; gives the MB that stand."""
    gc.collect()
    with suppress(AttributeError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)  # what loading has freed would hide as much of the run's need
    CLEAR_REFS.write_text("5")
    return memory_mb("VmRSS")


def memory_mb(field: str) -> float:
    """A field of the process's status: ``VmRSS`` is what it holds now, ``VmHWM`` its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024
