# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a set-up: room for them, the move into place, and their removal. It all waits for disks."""

from __future__ import annotations

import errno
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Tuple

from qgis.PyQt.QtCore import QLockFile

from ..i18n import tr
from .setup_plan import Layout, Lock, UvWheel
from .uv_tool import find, unpack

MOVE_TRIES, MOVE_PAUSE_S = 20, 0.5
"""A virus scanner on Windows may hold a new file for some seconds."""


@dataclass
class Room:
    """The place that a set-up works in.

    Attributes:
        trouble: Why it can't work there, a sentence; empty: it can.
        layout: Where things will lie.
        uv: The program; None: it must be fetched.
        lock: Held so that no other QGIS works there, too.
    """

    trouble: str = ""
    layout: Optional[Layout] = None
    uv: Optional[Path] = None
    lock: Optional[QLockFile] = field(default=None, repr=False)


@dataclass(frozen=True)
class Leftover:
    """Folders of earlier set-ups, and their size in bytes."""

    folders: Tuple[Path, ...] = ()
    size: int = 0


def size(folder: Path) -> int:
    """Bytes of all files in a folder; what goes away meanwhile is not counted."""
    total = 0
    waiting = [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def free(folder: Path) -> Optional[int]:
    """Bytes that are free where a folder is, or will be; None: nobody knows."""
    for place in (folder, *folder.parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def make_room(
    home: Path,
    version: str,
    packages: Lock,
    wheel: Optional[UvWheel],
    system: str,
    wheels: Optional[Path] = None,
) -> Room:
    """Look whether a set-up can work, and make its folder.

    Args:
        home: The backend's folder.
        version: The release that is set up.
        packages: What is installed.
        wheel: The uv of this platform.
        system: As ``Machine`` names it.
        wheels: The folder of wheels that is installed from, which may hold uv, too.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout = Layout.free(home, version)
        lock = _lock(home)
        if lock is None:
            return Room(tr("Another QGIS is setting TiMo up at this moment: wait for it."))
        shutil.rmtree(layout.part, ignore_errors=True)
        layout.work.mkdir(exist_ok=True)
        there, needed = free(home), packages.needed - size(layout.cache)
    except OSError as error:
        return Room(
            tr(
                "The folder {folder} cannot be written to ({reason}): make it writable, or name another one "
                "in the variable TIMO_HOME.",
                folder=home,
                reason=error.strerror or error,
            )
        )
    if there is not None and there < needed:
        lock.unlock()
        return Room(
            tr(
                "{needed:.1f} GB are needed in {folder}, and {free:.1f} GB are free: make room.",
                needed=needed / 1e9,
                folder=home,
                free=there / 1e9,
            )
        )
    return Room(layout=layout, uv=_uv(layout, wheel, system, wheels), lock=lock)


def _lock(home: Path) -> Optional[QLockFile]:
    """The lock of set-ups in a home, held; None: another QGIS holds it.

    Raises:
        PermissionError: The home cannot be written to.
    """
    lock = QLockFile(str(home / "setup.lock"))
    lock.setStaleLockTime(0)
    if lock.tryLock(0):
        return lock
    if lock.error() == QLockFile.LockError.LockFailedError:
        return None
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _is_working(home: Path) -> bool:
    """Whether a set-up goes on in a home, or may."""
    with suppress(OSError):
        lock = _lock(home)
        if lock is not None:
            lock.unlock()
            return False
    return True


def _uv(layout: Layout, wheel: Optional[UvWheel], system: str, wheels: Optional[Path]) -> Optional[Path]:
    if wheel is None:
        return find(layout.home / "uv")
    fetched = layout.uv(wheel, system)
    found = find(fetched)
    if found is None and wheels is not None and not unpack(wheels / wheel.name, wheel, system, fetched):
        return fetched
    return found


def put_in_place(layout: Layout) -> str:
    """Give the environment its name, and remove what is left over; what is wrong, or empty."""
    said = move(layout.part, layout.target)
    if not said:
        shutil.rmtree(layout.work, ignore_errors=True)
    return said


def move(part: Path, target: Path) -> str:
    """Give a folder that is done its name, in place of one that has it; what is wrong, or empty."""
    old = target.with_name(f"{target.name}.old")
    said = ""
    for _ in range(MOVE_TRIES):
        try:
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
                os.replace(target, old)  # noqa: PTH105
            os.replace(part, target)  # noqa: PTH105
        except OSError as error:
            said = str(error)
            time.sleep(MOVE_PAUSE_S)
        else:
            shutil.rmtree(old, ignore_errors=True)
            return ""
    return said


def left_over(home: Path, program: Optional[Path]) -> Leftover:
    """What earlier set-ups have left in a home: environments, and what a failed one has downloaded.

    Args:
        home: The backend's folder.
        program: The backend's that is used: its environment is none of them.
    """
    used = program.resolve().parents if program is not None else ()
    found = [folder for folder in home.glob("environment-*") if folder.resolve() not in used]
    work = Layout(home, "").work
    if work.exists() and not _is_working(home):
        found.append(work)
    sizes = {folder: size(folder) for folder in sorted(found)}
    return Leftover(tuple(folder for folder, bytes_ in sizes.items() if bytes_), sum(sizes.values()))


def remove_left(home: Path, left: Leftover) -> str:
    """Remove what earlier set-ups have left; what is wrong, or empty."""
    try:
        lock = _lock(home)
        if lock is None:
            return tr("Another QGIS is setting TiMo up at this moment: wait for it.")
        try:
            for folder in filter(Path.exists, left.folders):
                shutil.rmtree(folder)
        finally:
            lock.unlock()
    except OSError as error:
        what = error.filename or home
        return tr("{file} cannot be removed: {why}.", file=what, why=error.strerror or error)
    return ""


def remove(layout: Layout, *, downloads: bool) -> None:
    """Remove what is not done.

    Args:
        layout: Where it lies.
        downloads: Also what was downloaded, which Retry would use.
    """
    shutil.rmtree(layout.work if downloads else layout.part, ignore_errors=True)
