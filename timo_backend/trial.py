# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether torch can use the GPUs, as ``timo_backend.probe`` finds out in a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from timo_backend import groups, leftovers

PROBE = (sys.executable, "-m", "timo_backend.probe")
WITHIN_S = 60.0
"""Torch on a cold disk takes half of this to load; a driver that hangs never answers."""
AGAIN = "Start the backend anew; if it happens again, install it anew."


class Tried(Struct, frozen=True):
    """One GPU that torch sees.

    Args:
        id: Its UUID.
        works: Whether a small computation ran on it.
        capability: Its architecture as CUDA numbers it, ``8.6``.
        error: Why the computation did not run; else empty.
    """

    id: str
    works: bool
    capability: str
    error: str = ""


class Trial(Struct, frozen=True):
    """What torch can do on this computer.

    Args:
        torch: Its version; empty where it could not be loaded.
        cuda: The CUDA version that it is built for; None of a build for the CPU alone.
        architectures: What it has code for, ``sm_86``.
        gpus: The CUDA GPUs that it sees.
        mps_built: Whether it has MPS.
        mps: Whether MPS can be used.
        error: Why it sees no GPU, or could not be loaded; else empty.
    """

    torch: str = ""
    cuda: str | None = None
    architectures: tuple[str, ...] = ()
    gpus: tuple[Tried, ...] = ()
    mps_built: bool = False
    mps: bool = False
    error: str = ""


class Probe:
    """The process that finds it out; it ends with this one.

    Args:
        command: The program; prints a ``Trial`` as the last line of its standard output, and ends when its
            standard input does.
        home: The server's: its next server ends the process if this one could not.

    Raises:
        OSError: It can't be started.
    """

    def __init__(self, command: Sequence[str], home: Path) -> None:
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=home,  # as a worker's
            env={**os.environ, leftovers.VARIABLE: leftovers.new_mark(home)},
            **groups.options(),
        )

    async def trial(self) -> Trial:
        """What it found out; a sentence in ``error`` if it found out nothing within ``WITHIN_S``."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bytes] = loop.create_future()

        def tell(told: bytes) -> None:
            if not found.done():  # the time is over
                found.set_result(told)

        def read() -> None:  # in a thread that holds nobody up if the driver hangs for ever
            assert self._process.stdout is not None  # noqa: S101
            with self._process.stdout as pipe:
                told = pipe.read()
            self._process.wait()
            with suppress(RuntimeError):  # the loop is closed: the server ends
                loop.call_soon_threadsafe(tell, told)

        threading.Thread(target=read, name="probe", daemon=True).start()
        try:
            return _read(await asyncio.wait_for(found, WITHIN_S))
        except asyncio.TimeoutError:
            return Trial(
                error=f"Torch did not say within {WITHIN_S:g} seconds whether it can be used. {AGAIN}"
            )
        finally:
            self.end()

    def end(self) -> None:
        """End the process."""
        self._process.kill()


def _read(told: bytes) -> Trial:
    """The last line: libraries may have printed others."""
    try:
        return msgspec.json.decode(told.splitlines()[-1], type=Trial)
    except (IndexError, msgspec.MsgspecError, UnicodeError):
        return Trial(error=f"Torch ended before it could say whether it can be used. {AGAIN}")
