# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a process may use: all, unless the backend that started it says otherwise in its environment.

Checked by path before a file is opened, symbolic links resolved. Who can swap a link between the check and
the opening is not kept out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from timo.errors import AccessError

VARIABLE = "TIMO_ACCESS"
PRIVATE = "logs"
"""The folder of a backend's home that is no job's; others, such as those of models, are for jobs."""
MOST_PATH = 4096
"""Characters of a path, as many as Linux opens; to resolve a longer one takes seconds."""
# A drive's letter is no prefix.
_PREFIX = re.compile(r"/vsi\w*[/?]|[A-Za-z][A-Za-z0-9+_-]+:|[\\/]{2}[?.][\\/]", re.IGNORECASE)


@dataclass(frozen=True)
class Access:
    """What may be used.

    Args:
        roots: Folders with all that lies in them, as ``real`` has them; None for everything.
        home: The backend's folder, whose own files are closed.
    """

    roots: tuple[str, ...] | None = None
    home: str | None = None

    @classmethod
    def to(cls, folders: Iterable[str] | None, home: str | None = None) -> Access:
        """Access to folders, however they are spelled; None for everything."""
        roots = None if folders is None else tuple(dict.fromkeys(map(real, folders)))
        return cls(roots, None if home is None else real(home))

    def within(self, other: Access) -> Access:
        """What both allow; this one's home."""
        if self.roots is None or other.roots is None:
            return Access(other.roots if self.roots is None else self.roots, self.home)
        both = [root for root in self.roots if other.allows(root)]
        both += [root for root in other.roots if self.allows(root)]
        return Access(tuple(dict.fromkeys(both)), self.home)

    def allows(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file or folder, there or not, may be read and written."""
        place = real(path)
        if self.home is not None and _is_closed(place, self.home):
            return False
        return self.roots is None or any(_lies_in(place, root) for root in self.roots)

    def demand(self, path: str | os.PathLike[str], what: str = "") -> None:
        """Refuse a path that may not be used, or that isn't one of a file on this machine.

        Args:
            path: Of a file or a folder.
            what: Where it is named, as the beginning of a sentence; left out, the path itself.

        Raises:
            AccessError: ``path_denied``, with the path.
        """
        text = os.fspath(path)
        shown = ascii(text)[1:-1] if not text.isprintable() else text
        if not is_plain(text):
            raise AccessError(
                "path_denied",
                f"{what or repr(shown)} is no path of a file or folder on this computer.",
                "Give the file's own path, without a prefix of GDAL's.",
                detail={"path": shown},
            )
        if not self.allows(text):
            raise AccessError(
                "path_denied",
                f"{what or shown} lies outside the folders that this job may use.",
                "Move it there, or let the backend's client name its folder.",
                detail={"path": shown},
            )

    def to_text(self) -> str:
        """As it stands in the environment of a process."""
        return json.dumps({"roots": self.roots, "home": self.home})

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Access | None:
        """What this process may use; None where nobody has restricted it."""
        text = environ.get(VARIABLE)
        if text is None:
            return None
        value = json.loads(text)
        return cls(None if value["roots"] is None else tuple(value["roots"]), value["home"])


@lru_cache(maxsize=1)
def present() -> Access | None:
    """``Access.from_environment``, read once."""
    return Access.from_environment()


def is_limited() -> bool:
    """Whether folders are named to this process, and it may use no others."""
    access = present()
    return access is not None and access.roots is not None


def demand(path: str | os.PathLike[str]) -> None:
    """Refuse a path that this process may not use.

    Raises:
        AccessError: ``path_denied``.
    """
    access = present()
    if access is not None:
        access.demand(path)


def demand_links(folder: Path) -> None:
    """Refuse a folder, there or not, with links in it that lead where this process may not go.

    Raises:
        AccessError: ``path_denied``, naming one.
    """
    if present() is not None:
        for place in (folder, *folder.rglob("*")):
            if place.is_symlink():
                demand(place)


def real(path: str | os.PathLike[str]) -> str:
    """A path with all symbolic links resolved, as far as it is there, in the platform's one spelling."""
    return os.path.normcase(os.path.realpath(path))


def _is_closed(place: str, home: str) -> bool:
    """Whether a path is of a home's own files; told by what lies there, for disks don't all tell A from a."""
    try:
        own = Path(home).stat()
    except OSError:  # there is no home yet
        return False
    below: list[str] = []
    folder = place
    while not _is(folder, own):
        folder, name = os.path.split(folder)
        if not name:
            return False
        below.insert(0, name)
    if not below or (len(below) == 1 and not os.path.isdir(place)):  # noqa: PTH112  # which raises nothing
        return True
    if below[0].lower() == PRIVATE:
        return True
    with suppress(OSError):
        return _is(str(Path(home, below[0])), Path(home, PRIVATE).stat())
    return False


def _is(path: str, other: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), other)  # noqa: PTH116  # of thousands of paths in a row
    except OSError:
        return False


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def is_plain(text: str) -> bool:
    """Whether the platform takes it for a path of a file or folder, and GDAL for nothing else."""
    try:
        text.encode("utf-8")
    except UnicodeError:
        return False
    return 0 < len(text) <= MOST_PATH and "\0" not in text and not _PREFIX.match(text)
