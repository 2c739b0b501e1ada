# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash of a file, to find out later whether it is still the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

_PIECE = 1 << 20


def sha256_of(path: Path) -> str:
    """A file's SHA-256 in hexadecimal digits, read piece by piece.

    Raises:
        OSError: It is not there, or can't be read.
    """
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()
