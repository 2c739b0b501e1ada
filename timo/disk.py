# SPDX-License-Identifier: GPL-3.0-or-later
"""What a disk has room for, and why something could not be written."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from pathlib import Path

from timo.errors import OutputError

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_NOTHING = 1 << 20  # bytes: what is left of a disk that a file has just filled


def unwritten(what: str, path: Path, error: BaseException, why: str) -> OutputError:
    """The error of something that could not be written.

    Args:
        what: The beginning of the sentence, such as ``The model bundle '/m'``.
        path: Where it should stand; need not be there.
        error: What was raised.
        why: That in words.

    Returns:
        ``disk_full``, which can succeed later, or ``output_unwritable``.
    """
    if is_full(error, path):
        return OutputError(
            "disk_full",
            f"{what} cannot be written: {why}.",
            "Make room on the disk, or pick another folder, and run it again.",
            retryable=True,
        )
    return OutputError(
        "output_unwritable",
        f"{what} cannot be written: {why}.",
        "Pick a folder that you may write to, on a disk with space.",
    )


def fresh(path: Path) -> Path:
    """A path at which nothing stands: what was left there is removed; of a link, not what it leads to.

    Raises:
        OSError: It can't be removed.
    """
    path.unlink(missing_ok=True)
    return path


def write_whole(path: Path, content: bytes, *, replace: bool = True) -> bool:
    """Put a small file in place as a whole; of several processes that do, none sees another's half.

    Args:
        path: Of the file.
        content: Of the file.
        replace: One that stands there.

    Returns:
        Whether it was put there.

    Raises:
        OSError: It can't be.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh(partial).write_bytes(content)
        sync(partial)
        if not replace:
            try:
                os.link(partial, path)
                return True
            except OSError:  # it is there, or there are no hard links here
                if path.exists():
                    return False
        partial.replace(path)
        return True
    finally:
        partial.unlink(missing_ok=True)


def replace_folder(partial: Path, folder: Path) -> None:
    """Put a folder in place, also of one that stands there: one of the two is whole at any moment.

    Raises:
        OSError: It can't be; what stood there does so still.
    """
    if not folder.exists():
        partial.rename(folder)
        return
    replaced = _aside(folder)
    folder.rename(replaced)
    try:
        partial.rename(folder)
    except BaseException:  # also of a signal that ends the process
        if not folder.exists():
            replaced.rename(folder)
        raise
    shutil.rmtree(replaced, ignore_errors=True)  # the next one removes what somebody reads


def _aside(folder: Path) -> Path:
    """Where a folder goes while another takes its place; what was left there is removed, if it can be."""
    names = (f".{folder.name}.replaced{number or ''}" for number in itertools.count())
    for path in map(folder.with_name, names):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            break
    return path


def sync(path: Path) -> None:
    """Have a file's content on the disk."""
    with path.open("r+b") as file:  # Windows syncs no file that is open for reading alone
        os.fsync(file.fileno())


def is_full(error: BaseException, path: Path) -> bool:
    """Whether an error came from a full disk: torch and GDAL tell it in their own words, or as another."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        cause = cause.__cause__ or cause.__context__
    folder = next((place for place in (path, *path.parents) if place.is_dir()), None)
    left = None if folder is None else free(folder)
    return left is not None and left < _NOTHING


def free(folder: Path) -> int | None:
    """Bytes that may be written to a folder's disk; None where it doesn't tell, as some network drives."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return usage.free if usage.total else None
