# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends processes that a worker left behind: children that left its group, workers whose server was killed.

Every worker has a mark in its environment, which its children inherit; nothing else has it, whatever process
id or name it may have got since.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import psutil

logger = logging.getLogger(__name__)

VARIABLE = "TIMO_WORKER"
WITHIN_S = 2.0
SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def mark_of(home: Path) -> str:
    """What the marks of all workers of a home begin with."""
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16] + ":"


def new_mark(home: Path) -> str:
    """The mark of one worker."""
    return mark_of(home) + secrets.token_hex(8)


def end(mark: str) -> list[int]:
    """End the processes whose mark begins so, and those that they start meanwhile; their ids.

    Takes some milliseconds for each hundred processes of the machine.

    Raises:
        OSError: The processes can't be looked at now, for want of file handles or memory.
    """
    ended: list[int] = []
    for _ in range(5):
        found = list(_marked(mark))
        if not found:
            break
        for process in found:
            _kill(process)
        psutil.wait_procs(found, WITHIN_S)
        ended += [process.pid for process in found]
    if ended:
        logger.warning("ended %d processes that a worker had left behind", len(set(ended)))
    return ended


def _marked(mark: str) -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        try:
            process = psutil.Process(pid)
            marked = process.environ().get(VARIABLE, "").startswith(mark)
            if marked and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.Error:  # it is gone, or another user's
            continue
        except OSError as error:
            if error.errno in SCARCE:
                raise


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        return
