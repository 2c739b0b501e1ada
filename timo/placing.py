# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task puts in place, noted before it does: interrupted then, it knows its own from another's."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from timo import access
from timo.disk import write_whole

Stamp = tuple[str, int, int]
"""A file by where it stands or shall, its size, and the time of its last change.

The last two stay when it is renamed, and change with whatever is put there instead.
"""


class Noted(msgspec.Struct, frozen=True):
    """The content of a note."""

    whose: str | None
    files: set[Stamp]


class Placing:
    """A note in the folder that a task goes on from.

    Args:
        path: Of the note.
        whose: Tells the task from others that use the folder; None: any of them.
    """

    def __init__(self, path: Path, whose: str | None = None) -> None:
        access.demand(path)
        self.path, self._whose = path, whose

    def note(self, made: Mapping[Path, Path]) -> None:
        """Remember files that are about to be renamed, or whose folder is.

        What the task has put in place before stays noted: it may be interrupted once more before it
        replaces that.

        Args:
            made: Where each is, by where it shall stand.

        Raises:
            OSError: The note can't be written.
        """
        files = {one for one in self._noted() if self.has(Path(one[0]))}
        files |= {_stamp(path, partial) for path, partial in made.items()}
        write_whole(self.path, msgspec.json.encode(Noted(self._whose, files)))

    def withdraw(self) -> None:
        """Nothing was put in place after all: neither the note stays nor a folder that held it alone."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            self.path.parent.rmdir()

    def has(self, path: Path) -> bool:
        """Whether what stands there, of a folder all that is in it, is the task's, as it was put there."""
        noted = self._noted()
        try:
            files = [*path.iterdir()] if path.is_dir() else [path]
            return bool(files) and all(_stamp(file, file) in noted for file in files)
        except OSError:
            return False

    def _noted(self) -> set[Stamp]:
        try:
            noted = msgspec.json.decode(self.path.read_bytes(), type=Noted)
        except (OSError, msgspec.MsgspecError):
            return set()
        return noted.files if self._whose in (None, noted.whose) else set()


def _stamp(path: Path, partial: Path) -> Stamp:
    found = partial.stat()
    return str(path), found.st_size, found.st_mtime_ns
