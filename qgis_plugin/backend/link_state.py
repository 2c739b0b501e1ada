# SPDX-License-Identifier: GPL-3.0-or-later
"""How it stands with the backend, and why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from ..i18n import tr


@dataclass(frozen=True)
class LinkState:
    """How things stand: ``phase`` is off, connecting, starting, ready, missing, failed or unsupported."""

    phase: str = "off"
    message: str = ""
    action: str = ""
    home: str = ""

    @property
    def ready(self) -> bool:
        """Whether jobs can be submitted."""
        return self.phase == "ready"

    @property
    def troubled(self) -> bool:
        """Whether nothing goes on until the analyst does something."""
        return self.phase in ("missing", "failed", "unsupported")


@dataclass(frozen=True)
class Trouble:
    """Why there is no backend: what is wrong and what the analyst can do, a sentence each."""

    phase: str
    message: str
    action: str


STARTED_UNSUPPORTED = Trouble(
    "unsupported",
    tr("The program that was started is of another release, too, and this plugin does not understand it."),
    tr("Set up the one of this plugin, or choose another program here; then press Replace it."),
)
UNSUPPORTED = Trouble(
    "unsupported",
    tr("The backend that runs is of another release, and this plugin does not understand it."),
    tr(
        "Replace it by the one of this plugin, or set that up first where it is not there yet. Jobs that run "
        "stop, and go on in the new one from what they have kept."
    ),
)
