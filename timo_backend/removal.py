# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes jobs that have ended, and what they alone have in the home; outputs are the analyst's, and stay."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from timo.access import real
from timo_backend.errors import RequestError
from timo_backend.store import Job, Store

logger = logging.getLogger(__name__)

COPIES = "copies"
"""The home's folder of files that a client made for its jobs."""
LEARNT, STATE = ".training", ("checkpoint.pt", "checkpoint.partial", "placing", ".placing.*")
"""What a training that has not come to its end leaves in ``OUT.training``."""
BLOCKS, PLAN = ".partial", "plan.json"
"""A map that has not come to its end leaves the folder ``OUT.partial`` with this file."""


class Removal:
    """What of a home goes with its jobs: the database's rows first, in one step, then files.

    Beside a job's log that is what it left to go on from, and the copies that were made for it; both only
    in the home, and only where no other job names the same. What is to be deleted stands in the database
    until it is gone, so that a server that is killed meanwhile leaves nothing behind for good.

    Args:
        store: Of the jobs.
        home: The home's folder.
        logs: Its folder of the workers' log files.
    """

    def __init__(self, store: Store, home: Path, logs: Path) -> None:
        self._store, self._home, self._logs = store, Path(real(home)), logs

    def measure(self, jobs: Sequence[Job]) -> int:
        """How many bytes ``remove`` would free."""
        return self._store.gone.size_of([job.id for job in jobs]) + sum(map(_size, self._files(jobs)))

    def remove(self, jobs: Sequence[Job]) -> int:
        """Remove these jobs, and say how many bytes that frees.

        Raises:
            BackendError: One of them has not ended (``job_not_ended``); then none is removed.
            sqlite3.Error: The database did not take it; then none is removed.
        """
        if running := [job.id for job in jobs if not job.state.final]:
            raise RequestError(
                "job_not_ended",
                f"Job '{running[0]}' has not ended.",
                "Cancel it first, or wait for its end.",
                detail={"jobs": running},
            )
        freed = self._store.gone.size_of([job.id for job in jobs])
        self._store.gone.add([job.id for job in jobs], map(str, self._files(jobs)))
        return freed + self.finish()

    def finish(self) -> int:
        """Delete what stands to be deleted; how many bytes that frees. What can't be stays there."""
        freed = 0
        for name in self._store.gone.litter():
            path = Path(name)
            size = _size(path)
            try:
                if self._is_wanted(path):
                    size = 0
                else:
                    delete(path)
                self._store.gone.forget_litter(name)
            except (OSError, sqlite3.Error) as error:  # on Windows, a file that somebody reads; a full disk
                logger.warning("%s cannot be deleted now: %s", path, error)
                continue
            freed += size
        return freed

    def _is_wanted(self, path: Path) -> bool:
        """Whether a newer job goes on from what could not be deleted before that was submitted."""
        return any(
            place.name.endswith(end) and self._store.named("out", str(place)[: -len(end)], ())
            for place in (path, path.parent)
            for end in (LEARNT, BLOCKS)
        )

    def _files(self, jobs: Sequence[Job]) -> Iterator[Path]:
        """What the jobs alone have on disk, parts of a folder before the folder."""
        going = [job.id for job in jobs]
        for job in jobs:
            log = self._logs / f"{job.id}.log"
            if log.is_file():
                yield log
            yield from self._left(str(job.spec.get("out", "")), going)
            yield from self._copy(str(job.spec.get("labels", "")), going)

    def _left(self, out: str, going: Collection[str]) -> Iterator[Path]:
        """What a job that did not come to its end left beside its output."""
        learnt, blocks = Path(f"{out}{LEARNT}"), Path(f"{out}{BLOCKS}")
        state = list(filter(_is_plain, _state_in(learnt)))
        mapped = _is_folder(blocks) and _is_plain(blocks / PLAN)
        if not (state or mapped) or not self._has(Path(out)) or self._store.named("out", out, going):
            return
        if state:
            yield from state
            yield learnt
        if mapped:
            yield blocks

    def _copy(self, labels: str, going: Collection[str]) -> Iterator[Path]:
        """The copy of a layer that was made for a job."""
        path = Path(labels.partition("|")[0])
        if (
            _is_plain(path)
            and real(path.parent) == real(self._home / COPIES)
            and not self._store.named("labels", labels, going)
        ):
            yield path
            yield from filter(_is_plain, (path.with_name(path.name + end) for end in ("-wal", "-shm")))

    def _has(self, path: Path) -> bool:
        """Whether a path lies in a folder of the home that jobs may write to."""
        folder = Path(real(path.parent))
        return folder.is_relative_to(self._home) and folder not in (self._home, Path(real(self._logs)))


def delete(path: Path) -> None:
    """Delete a file, the blocks of a map, or an empty folder; one that holds something stays.

    Raises:
        OSError: It can't be.
    """
    if not _is_folder(path):
        path.unlink(missing_ok=True)
    elif path.name.endswith(BLOCKS):
        shutil.rmtree(path)
    else:
        with suppress(OSError):
            path.rmdir()


def _state_in(folder: Path) -> list[Path]:
    try:
        return [path for name in STATE for path in folder.glob(name)] if _is_folder(folder) else []
    except OSError:  # it can't be looked into
        return []


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(_mode(path))


def _is_plain(path: Path) -> bool:
    return stat.S_ISREG(_mode(path))


def _mode(path: Path) -> int:
    """Of a file, a folder or a link; 0 where there is none, or none that can be looked at."""
    try:
        return path.lstat().st_mode
    except (OSError, ValueError):
        return 0


def _size(path: Path) -> int:
    if not _is_folder(path):
        with suppress(OSError):
            return path.lstat().st_size
        return 0
    if not path.name.endswith(BLOCKS):  # its files are counted by themselves
        return 0
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                size += (Path(folder) / name).lstat().st_size
    return size
