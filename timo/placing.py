# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task puts in place, noted before it does: interrupted then, it knows its own from another's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from timo import access
from timo.disk import write_whole


class Noted(msgspec.Struct, frozen=True):
    """The content of a note; of each file, by where it shall stand, size and time of its last change.

    Both stay when it is renamed, and change with whatever is put there instead.
    """

    whose: str
    files: dict[str, tuple[int, int]]


class Placing:
    """A note in the folder that a task goes on from.

    Args:
        path: Of the note.
        whose: Tells the task from others that may use the folder.
    """

    def __init__(self, path: Path, whose: str = "") -> None:
        access.demand(path)
        self.path, self._whose = path, whose

    def note(self, made: Mapping[Path, Path]) -> None:
        """Remember files that are about to be renamed, or whose folder is.

        Args:
            made: Where each is, by where it shall stand.

        Raises:
            OSError: The note can't be written.
        """
        files = {str(path): _stamp(partial) for path, partial in made.items()}
        write_whole(self.path, msgspec.json.encode(Noted(self._whose, files)))

    def has(self, path: Path) -> bool:
        """Whether what stands there is the task's own, as it was put there."""
        try:
            noted = msgspec.json.decode(self.path.read_bytes(), type=Noted)
            return noted.whose == self._whose and noted.files.get(str(path)) == _stamp(path)
        except (OSError, msgspec.MsgspecError):
            return False


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
