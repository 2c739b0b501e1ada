# SPDX-License-Identifier: GPL-3.0-or-later
"""What uv says, as an analyst reads it: which package is on its way, and why something failed."""

from __future__ import annotations

import re
from typing import Callable, List, Tuple

from ..i18n import tr

_BEGUN = re.compile(r"^\s*Downloading (\S+)(?: \(([^)]+)\))?$")
_DONE = re.compile(r"^\s*Downloaded (\S+)")


class Packages:
    """The packages that are on their way, from uv's lines."""

    def __init__(self) -> None:
        self._coming: List[str] = []
        self._prepared = False

    def take(self, line: str) -> None:
        """Read a line."""
        begun, done = _BEGUN.match(line), _DONE.match(line)
        if begun:
            self._coming.append(f"{begun[1]} ({begun[2]})" if begun[2] else begun[1])
        elif done:
            self._coming = [each for each in self._coming if each.split(" ")[0] != done[1]]
        elif line.startswith("Prepared"):
            self._prepared = True

    @property
    def now(self) -> str:
        """The package that is waited for, or what is done with all of them; empty: nothing is known."""
        if self._prepared:
            return tr("putting them in place")
        return tr("downloading {package}", package=self._coming[0]) if self._coming else ""


# In this order: a proxy's refusal, say, is told as a failed request, too.
_REASONS: Tuple[Tuple[str, Callable[[], str]], ...] = (
    (
        r"no space left|os error 28\b|os error 112\b|not enough space|disk quota",
        lambda: tr("The disk is full: make room, and press Retry."),
    ),
    (
        r"hash mismatch|invalid package format|failed to read from zip|failed to extract|invalid zip",
        lambda: tr(
            "A downloaded file is not the one that TiMo was tested with, and was not installed: "
            "press Retry, and tell your network's administrator if it happens again."
        ),
    ),
    (
        r"\b407\b|proxy (requires )?auth|tunnel|proxy.*(refused|denied)",
        lambda: tr(
            "The proxy refused the connection: check its name, user and password in QGIS under "
            "Settings > Options > Network, and press Retry."
        ),
    ),
    (
        r"certificate|unknownissuer|ssl handshake",
        lambda: tr(
            "The connection is not trusted on this computer, as behind some firewalls: ask your network's "
            "administrator, or use a folder of wheels."
        ),
    ),
    (
        r"read-only file system|permission denied|access is denied|os error (5|13|30)\b",
        lambda: tr("A folder cannot be written to: make TiMo's folder writable, and press Retry."),
    ),
    (
        r"no interpreter found|no download found|python downloads are disabled",
        lambda: tr("There is no Python 3.11 to 3.13 on this computer: install one, and press Retry."),
    ),
    (
        r"error sending request|dns error|failed to fetch|connection refused|timed? ?out|tcp connect"
        r"|host .* not found|failed to download|client error \(connect\)|network is unreachable|\b50[234]\b",
        lambda: tr(
            "The package server cannot be reached: check the network, or the proxy in QGIS under "
            "Settings > Options > Network, and press Retry."
        ),
    ),
    (
        r"no solution found|not found in the (provided )?package|no wheels|distribution not found",
        lambda: tr(
            "A package that is needed is not there: the folder of wheels, or the package server, "
            "lacks it. The details say which."
        ),
    ),
)


def sentence(said: str) -> str:
    """Why a step failed, and what to do; the last line of what it said where that is not known."""
    for pattern, text in _REASONS:
        if re.search(pattern, said, re.IGNORECASE):
            return text()
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "")
    return tr(
        "A step failed: {last} The details have more.", last=f"{last[:300].rstrip('.')}." if last else ""
    )
