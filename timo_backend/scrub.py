# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes out of a text what says who and where somebody is: paths, names of user and computer, keys.

It takes too much rather than too little: nothing says where a path with spaces ends, so one that stands in no
quotes goes to the end of its line.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import socket
import sysconfig
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

SUFFIXES = (
    r"aux|cog|cpg|csv|dbf|gdb|geojson|gpkg|hdf|img|jp2|jpg|json|log|nc|ovr|parquet|part|pdf|png|prj|py|pyd|qgz"
    r"|qml|safetensors|shp|shx|so|sqlite|tiff?|toml|txt|vrt|xml|yaml|zip"
)
"""Of a path that is taken out these are kept: they say what kind of file it was, and nothing else."""

_OWN_FILES = (
    r"logs(?:[\\/]+(?:server\.log(?:\.\d)?|[0-9a-f]{12}\.log))?"
    r"|jobs\.sqlite(?:-wal|-shm|\.v\d+\.(?:bak|part))?|connection(?:-[a-z0-9_-]+)?\.json|settings\.json|lock"
)
_SEPARATOR = r"[\\/]+"
_HIDDEN = "\0"  # in the place of a folder that is known, where what follows belongs to the path, too
_START = (
    rf"(?:{_HIDDEN}|(?<![A-Za-z0-9_])/(?=\S)|(?:~\w*|(?<![A-Za-z0-9_])\.{{1,2}})[\\/](?=\S)"
    r"|(?<![A-Za-z0-9])[A-Za-z]:[\\/]|\\\\(?=\w))"
)
# No path goes on here: neither in the same word, nor with words up to another separator.
_END = r"(?!\w|[\\/]|[.-]\w|[ ][^\n'\"`:,;]*[\\/])"
_PATHS = re.compile(
    rf"(?P<url>(?!file:)[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"`]*)"
    # To the quote after which quotes come in pairs, and no path goes on: names have apostrophes.
    rf"|(?P<quote>['\"`]){_START}[^\n]*?(?=(?P=quote)(?![A-Za-z0-9])(?:(?!(?P=quote))[^\n/\\{_HIDDEN}])*"
    r"(?:(?P=quote)(?:(?!(?P=quote)).)*(?P=quote)(?:(?!(?P=quote)).)*)*$)"
    # To the end of the line, or to the colon before a reason.
    rf"|(?<![^\s'\"`])[^\s'\"`]*?{_START}[^\n]*?(?=:[ ][^\n/\\{_HIDDEN}]*$|$)",
    re.MULTILINE,
)
_LOOPBACK = re.compile(r"tcp://127\.0\.0\.1:\d+[.,;]?")
_KIND = re.compile(rf"\.(?:{SUFFIXES})(?![A-Za-z0-9])", re.IGNORECASE)
_Z85 = r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]"
_SECRETS = re.compile(
    rf"(?<!{_Z85})(?!CODE/[\w./-]+\.py(?!{_Z85})){_Z85}{{40,}}|(?<!\w)[0-9a-f]{{16}}:[0-9a-f]{{16}}(?!\w)"
)
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\0-\x08\x0b-\x1f\x7f]")


class Scrubber:
    """Replaces what is private in a text.

    Args:
        home: The backend's folder: ``HOME``, with what the backend itself has in it.
        folders: The user's own: ``~``.
        users: Names: ``USER``.
        hosts: Names: ``HOST``.
        paths: That are known to be in the text, so that their ends are known; others are found by their
            beginning. ``<path>``, with the suffix.
    """

    def __init__(
        self,
        home: Path,
        folders: Iterable[str] = (),
        users: Iterable[str] = (),
        hosts: Iterable[str] = (),
        paths: Iterable[str] = (),
    ) -> None:
        places = [str(home), os.path.realpath(home)]
        folders = [spelled for folder in folders for spelled in (folder, os.path.realpath(folder))]
        paths = list(paths)
        homes, own, known, every = (
            _alternatives(_path_pattern, some)
            for some in (places, folders, paths, [*places, *folders, *paths])
        )
        libraries = _alternatives(
            _path_pattern, [sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")]
        )
        ours = _alternatives(_path_pattern, [str(Path(__file__).parents[1])])
        self._known = re.compile(
            rf"(?:{libraries}|{ours}(?={_SEPARATOR}timo(?:_backend)?{_SEPARATOR})){_SEPARATOR}"
            rf"(?P<module>[\w.\\/-]+\.py)(?!\w)"
            rf"|(?P<home>{homes})(?:{_SEPARATOR}(?P<file>{_OWN_FILES}))?{_END}"
            rf"|(?P<folder>{own}){_END}|(?P<path>{known}){_END}|(?P<begun>{every})",
            re.IGNORECASE,
        )
        self._names = re.compile(
            rf"(?<![^\W_])(?:(?P<host>{_alternatives(re.escape, hosts)})"
            rf"|{_alternatives(re.escape, users)})(?![^\W_])",
            re.IGNORECASE,
        )

    @classmethod
    def of_this_machine(cls, home: Path, paths: Iterable[str] = ()) -> Scrubber:
        """For a text that was written here, by the user of this process."""
        users = {os.environ.get(name, "") for name in ("LOGNAME", "USER", "USERNAME")}
        folders = {os.environ.get(name, "") for name in ("HOME", "USERPROFILE")}
        with suppress(KeyError, OSError, ImportError):  # an account without a name
            users.add(getpass.getuser())
        with suppress(RuntimeError):
            folders.add(str(Path("~").expanduser()))
        if hasattr(os, "getuid"):
            import pwd

            with suppress(KeyError):
                account = pwd.getpwuid(os.getuid())
                users.add(account.pw_name)
                folders.add(account.pw_dir)
        hosts = {socket.gethostname(), platform.node()}
        hosts |= {os.environ.get(name, "") for name in ("COMPUTERNAME", "HOSTNAME", "USERDOMAIN")}
        hosts |= {name.split(".")[0] for name in hosts}
        return cls(home, folders - {""}, users - {""}, hosts - {"", "localhost"}, paths)

    def __call__(self, text: str) -> str:
        """The text without what is private, and without control characters."""
        text = _CONTROLS.sub("", text.replace("\r", "\n"))
        text = _PATHS.sub(_hide, self._known.sub(_hide_known, text))
        text = _SECRETS.sub("KEY", text)
        return self._names.sub(lambda found: "HOST" if found["host"] else "USER", text)


def _hide_known(found: re.Match[str]) -> str:
    if found["module"]:
        return "CODE/" + re.sub(_SEPARATOR, "/", found["module"])
    if found["home"]:
        return "HOME" + ("/" + re.sub(_SEPARATOR, "/", found["file"]) if found["file"] else "")
    if found["folder"]:
        return "~"
    return _name(found["path"]) if found["path"] else _HIDDEN


def _hide(found: re.Match[str]) -> str:
    if found["url"]:
        return found[0] if _LOOPBACK.fullmatch(found[0]) else "<url>"
    return (found["quote"] or "") + _name(found[0])


def _name(path: str) -> str:
    kinds = _KIND.findall(path)
    return "<path>" + (kinds[-1].lower() if kinds else "")


def _alternatives(pattern: Callable[[str], str], words: Iterable[str]) -> str:
    """A pattern of all words as they may be spelled, the longest first; of none, one that matches nothing."""
    spelled = {
        form
        for word in words
        for shape in (word, unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word))
        for form in (shape, ascii(shape)[1:-1], json.dumps(shape)[1:-1])
    }
    patterns = [pattern(word) for word in sorted(spelled, key=len, reverse=True)]
    return "|".join(filter(None, patterns)) or r"(?!)"


def _path_pattern(path: str) -> str:
    """Matches the path with separators of any kind and number; empty for the root of a disk."""
    parts = re.split(_SEPARATOR, path.rstrip("\\/"))
    return _SEPARATOR.join(map(re.escape, parts)) if len(parts) > 1 else ""
