# SPDX-License-Identifier: GPL-3.0-or-later
"""A training's whole state in one file, from which it goes on as if it had never stopped."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from timo import __version__, access
from timo.disk import fresh, unwritten
from timo.placing import Placing

# A checkpoint every few seconds, but never more than a twentieth of the time for writing them.
SECONDS_BETWEEN = 5.0
TIMES_ITS_WRITING = 20.0
PLACING = "placing"


def fingerprint(spec: Mapping[str, Any], files: Iterable[Path]) -> str:
    """What a training depends on, as a hash: its spec, its files' sizes and times, and the versions.

    Args:
        spec: JSON values.
        files: The series and the labels; one that is gone counts as such.
    """
    facts: list[Any] = [__version__, str(torch.__version__), dict(spec)]
    for path in sorted({Path(file).absolute() for file in files}):
        try:
            stat = path.stat()
        except OSError:
            facts.append([str(path)])
        else:
            facts.append([str(path), stat.st_size, stat.st_mtime_ns])
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def placing_in(folder: Path, key: str | None = None) -> Placing:
    """The note of a training's finished model, beside its checkpoint.

    Args:
        folder: The checkpoint's.
        key: Of ``fingerprint``: another training has not made that model; None: any has.
    """
    return Placing(folder / PLACING, key)


class Checkpoint:
    """The file ``checkpoint.pt`` in a folder of its own, beside what the training will make.

    Args:
        folder: Made with the first checkpoint, and removed by ``remove``.
        key: Of ``fingerprint``: a checkpoint of another training isn't taken up.
        clock: Seconds, rising.
    """

    def __init__(self, folder: Path, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = folder / "checkpoint.pt"
        access.demand(self.path)
        self.placing = placing_in(folder, key)
        self._key, self._clock = key, clock
        self._due = clock() + SECONDS_BETWEEN

    def load(self) -> tuple[dict[str, Any] | None, str | None]:
        """The state to go on from, and a sentence where there is a file that can't be gone on from."""
        if not self.path.is_file():
            return None, None
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
            key, state = saved["key"], saved["state"]
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError):
            return None, f"{self.path} can't be read: the training starts anew."
        if key != self._key:
            return None, (
                f"{self.path} is of a training with other settings, files or versions: this one starts anew."
            )
        return state, None

    def save_when_due(self, state: Callable[[], dict[str, Any]]) -> bool:
        """Write ``state()`` if the last checkpoint is old enough; whether it was."""
        due = self._clock() >= self._due
        if due:
            self.save(state())
        return due

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint in place of the last one; a kill at any moment leaves one of the two.

        Args:
            state: Tensors, numbers, strings, and lists and dicts of them.

        Raises:
            OutputError: It can't be written.
        """
        started = self._clock()
        unfinished = self.path.with_suffix(".partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with fresh(unfinished).open("wb") as file:
                torch.save({"key": self._key, "state": state}, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
            unfinished.unlink(missing_ok=True)
            raise unwritten(f"The training's state {self.path}", self.path, error, str(error)) from error
        now = self._clock()
        self._due = now + max(SECONDS_BETWEEN, TIMES_ITS_WRITING * (now - started))

    def remove(self) -> None:
        """The training is over: its state isn't needed any more. Other files in its folder are left."""
        with contextlib.suppress(OSError):
            for file in (self.path, self.placing.path, *self.path.parent.glob(f".{PLACING}.*")):
                file.unlink(missing_ok=True)
            self.path.parent.rmdir()
