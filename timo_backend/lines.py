# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker's lines say, read strictly: what they hold is kept, and shown to an analyst, for years."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

MOST_TEXT = 4000
"""Characters of a message for the analyst: a job's row has the last one, and must fit into an answer."""


class _Line(Struct, frozen=True):
    kind: str
    body: Raw


class Progress(Struct, frozen=True):
    """How far the task is."""

    fraction: Annotated[float, Meta(ge=0, le=1)]
    message: Annotated[str, Meta(max_length=MOST_TEXT)]
    eta_s: float | None = None


class Metric(Struct, frozen=True):
    """One point of a curve; a value that is not finite is None."""

    name: Annotated[str, Meta(max_length=200)]
    value: float | None
    step: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Log(Struct, frozen=True):
    """A line for the analyst."""

    level: str
    message: Annotated[str, Meta(max_length=MOST_TEXT)]


class Artifact(Struct, frozen=True):
    """A finished output: its bytes, and their hash; of a folder those of ``fingerprint.digest``."""

    path: str
    kind: str
    size: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    sha256: str


class Failure(Struct, frozen=True):
    """Why the task failed."""

    code: str
    message: str
    action: str = ""
    retryable: bool = False
    detail: dict[str, Any] = {}


EVENTS: dict[str, type[Struct]] = {"progress": Progress, "metric": Metric, "log": Log, "artifact": Artifact}
"""The lines that are recorded as events."""
OTHERS: dict[str, Any] = {
    "ready": dict[str, Any],
    "checkpoint": dict[str, Any],
    "beat": dict[str, Any],
    "done": dict[str, Any],
    "error": Failure,
}

_lines = msgspec.json.Decoder(_Line)
_bodies: dict[str, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(body) for kind, body in {**EVENTS, **OTHERS}.items()
}


def read(line: bytes) -> tuple[str, Any] | None:
    """A line's kind and body, of the types above; None if it is not as described here."""
    try:
        told = _lines.decode(line)
        return told.kind, _bodies[told.kind].decode(told.body)
    except (msgspec.MsgspecError, UnicodeError, KeyError, RecursionError):
        return None
