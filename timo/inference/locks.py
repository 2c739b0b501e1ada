# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may work in a prediction's folder of blocks: one process a shard, or one for the whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from timo.errors import OutputError
from timo.inference.plans import WHOLE, Shard
from timo.inference.targets import told

_PATIENCE = 2  # seconds: others hold a lock for a moment, to see whether it is free


@contextlib.contextmanager
def locked(folder: Path, shard: Shard) -> Iterator[None]:
    """A shard keeps out others of its number, and whoever wants the whole; the whole keeps out all.

    Raises:
        OutputError: ``partial_in_use``.
    """
    with _lock(folder, folder / _lock_name(shard)):
        if shard == WHOLE:
            demand_free(folder, but=WHOLE)
        else:
            with _lock(folder, folder / _lock_name(WHOLE)):
                pass
        yield


def demand_free(folder: Path, but: Shard) -> None:
    """Fail if another shard than ``but`` is being worked on.

    Raises:
        OutputError: ``partial_in_use``.
    """
    for lock in folder.glob("shard-*.lock"):
        if lock.name != _lock_name(but):
            with contextlib.suppress(FileNotFoundError), _lock(folder, lock):
                pass


def _lock_name(shard: Shard) -> str:
    return f"shard-{shard.number}-of-{shard.of}.lock"


@contextlib.contextmanager
def _lock(folder: Path, file: Path) -> Iterator[None]:
    lock = filelock.FileLock(file, timeout=_PATIENCE)
    with told(folder):
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise _in_use(folder) from error
    try:
        yield
    finally:
        lock.release()


def _in_use(folder: Path) -> OutputError:
    return OutputError(
        "partial_in_use",
        f"Another process is writing to '{folder}'.",
        "Wait until it has ended, or cancel it.",
        retryable=True,
    )
