# SPDX-License-Identifier: GPL-3.0-or-later
"""What systems do differently with files and processes; ``platform`` is ``sys.platform``, faked in tests."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

REPLACE_TRIES, REPLACE_EVERY_S = 20, 0.05
# Locked is a byte that nobody reads: on Windows a locked one can't be.
_LOCKED_BYTE = 2**30


def lock(handle: IO[str], platform: str = sys.platform) -> None:
    """Lock a file for this process.

    Raises:
        OSError: Another has it.
    """
    if platform == "win32":
        import msvcrt

        handle.seek(_LOCKED_BYTE)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def replace(part: Path, path: Path, platform: str = sys.platform) -> None:
    """Put a file in another's place; on Windows wait a second while a client reads the old one.

    Raises:
        OSError: It can't be.
    """
    for left in reversed(range(REPLACE_TRIES)):
        try:
            part.replace(path)
            return
        except PermissionError:
            if platform != "win32" or not left:
                raise
            time.sleep(REPLACE_EVERY_S)


def is_foreign(folder: Path, platform: str = sys.platform) -> bool:
    """Whether a folder belongs to another user."""
    return platform != "win32" and folder.stat().st_uid != os.getuid()


def is_open(folder: Path, platform: str = sys.platform) -> bool:
    """Whether others may look into a folder; on Windows, where no mode says it, of a new one: perhaps."""
    if platform == "win32":
        return not any(folder.iterdir())
    return bool(stat.S_IMODE(folder.stat().st_mode) & 0o077)


def close(
    folder: Path, platform: str = sys.platform, run: Callable[[Sequence[str]], object] | None = None
) -> None:
    """Let nobody but this user look into a folder.

    Raises:
        OSError: It can't be.
    """
    if platform != "win32":
        folder.chmod(0o700)
        return
    # What the folder has from the one above is taken away; what lies in it has its rights from here.
    user = f"{os.environ.get('USERDOMAIN', '.')}\\{os.environ.get('USERNAME', '')}"
    command = ["icacls", str(folder), "/inheritance:r", "/grant:r", f"{user}:(OI)(CI)F"]
    try:
        (run or _run)(command)
    except subprocess.SubprocessError as error:
        raise OSError(f"its access list cannot be set: {error}") from error


def stop_signals(platform: str = sys.platform) -> list[int]:
    """The signals that mean that the server shall end."""
    names = ["SIGINT", "SIGTERM", "SIGBREAK" if platform == "win32" else "SIGHUP"]
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)
