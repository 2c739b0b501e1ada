# SPDX-License-Identifier: GPL-3.0-or-later
"""Size and hash of an output, to find out later whether it is still the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

from timo.hashing import sha256_of


def digest(path: Path) -> tuple[int, str]:
    """Bytes of a file, or of all files in a folder, and their SHA-256 in hexadecimal digits.

    That of a folder is of the lines that ``sha256sum`` would print of its files, sorted by their paths, which
    are relative to it and have ``/`` between their parts.

    Raises:
        OSError: It is not there, or can't be read.
    """
    if not path.is_dir():
        return path.stat().st_size, sha256_of(path)
    total, lines = 0, []
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    for name, file in sorted(files.items()):
        total += file.stat().st_size
        lines.append(f"{sha256_of(file)}  {name}\n")
    return total, hashlib.sha256("".join(lines).encode()).hexdigest()
