# SPDX-License-Identifier: GPL-3.0-or-later
"""What client and backend say to each other, and the file by which they meet: see ``docs/protocol.md``.

Standard library only, in Python 3.9 syntax: the plugin carries this file.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Union

from .errors import ConnectionFailed, ProtocolError

VERSION = 1
"""The protocol's version. A server answers any other with the error ``protocol_unsupported``."""

MAX_BYTES = 1024 * 1024
"""The largest message, in bytes of JSON. A longer one is refused by either side."""

CONNECTION_FILE = "connection.json"
"""Its name in the backend's home folder."""

UNDER_WAY = 64
UNDER_WAY_BYTES = 4 * 1024 * 1024
"""Messages with events, and their bytes, that a server sends on a connection before it hears of them."""

MOST_LISTED, MOST_REMOVED = 1000, 100
"""Jobs that a request ``jobs`` is answered with, and that a request ``remove`` may name."""

FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})
"""The states that a job does not leave."""

MOST_SAID, MOST_FACT, MOST_DETAIL = 2000, 20_000, 128 * 1024
"""Characters of an error's sentences and of a text in its ``detail``, and bytes of that."""

_ENDPOINT = re.compile(r"tcp://127\.0\.0\.1:[0-9]{1,5}")
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_SAME_RELEASE = "Install the same release of the plugin and of the backend."


@dataclass(frozen=True)
class Message:
    """One message, in either direction.

    Args:
        type: What it is: a request's name, or ``reply``, ``error``, ``events``.
        body: Its fields, JSON values.
        id: Chosen by the client for a request; replies and pushed events carry their request's.
        v: The protocol's version.
    """

    type: str
    body: Dict[str, Any] = field(default_factory=dict)
    id: str = ""
    v: int = VERSION


@dataclass(frozen=True)
class Event:
    """A numbered fact about a job.

    Args:
        job: The job's id.
        seq: Its number within the job, dense from 1.
        kind: ``state``, ``progress``, ``metric``, ``log``, ``artifact``, ``gap`` or ``removed``.
        ts: When it was recorded, in seconds since 1970-01-01 UTC.
        body: Its fields; ``docs/protocol.md`` lists them by kind.
    """

    job: str
    seq: int
    kind: str
    ts: float
    body: Dict[str, Any]

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Event:
        """The event in the body of a pushed message."""
        return cls(body["job"], body["seq"], body["kind"], body["ts"], body["body"])

    @property
    def final(self) -> bool:
        """Whether the job has ended, or was removed, with this event."""
        return self.kind == "removed" or (self.kind == "state" and self.body.get("state") in FINAL_STATES)


def dumps(value: Any) -> str:
    """Compact JSON of one line. Numbers that are not finite become null, as JSON has no word for them."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, separators=(",", ":"), ensure_ascii=False)


def loads(text: Union[str, bytes]) -> Any:
    """The value of a JSON text; ``NaN`` and ``Infinity``, which some programs write, become None."""
    return json.loads(text, parse_constant=_no_number, parse_float=_finite_float)


def encode(message: Message) -> bytes:
    """The message as UTF-8 JSON.

    Raises:
        ProtocolError: It is larger than ``MAX_BYTES`` or holds what JSON cannot.
    """
    try:
        data = dumps(asdict(message)).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(
            "message_invalid",
            f"A message of type '{message.type}' cannot be written as JSON: {error}.",
            "Send text, numbers, lists and objects alone.",
        ) from error
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    return data


def decode(data: bytes) -> Message:
    """The message in UTF-8 JSON, as far as a client needs to trust it.

    Raises:
        ProtocolError: It is too large, not JSON, of another version, or lacks a field.
    """
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    try:
        value = loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("message_invalid", f"A message is not JSON: {error}.", _SAME_RELEASE) from error
    if not isinstance(value, dict) or not isinstance(value.get("v"), int):
        raise ProtocolError("message_invalid", "A message is no object with a version in 'v'.", _SAME_RELEASE)
    if value["v"] != VERSION:
        raise unsupported(value["v"])
    name, body, ident = value.get("type"), value.get("body"), value.get("id")
    if not isinstance(name, str) or not isinstance(body, dict) or not isinstance(ident, str):
        raise ProtocolError(
            "message_invalid",
            "A message lacks 'id', 'type' or 'body', or one has a wrong type.",
            _SAME_RELEASE,
        )
    return Message(name, body, ident, value["v"])


def too_large(size: int) -> ProtocolError:
    """The error for a message of ``size`` bytes."""
    return ProtocolError(
        "message_too_large",
        f"A message of {size} bytes is over the limit of {MAX_BYTES} bytes.",
        "Name a folder or a CSV of the rasters instead of listing them.",
    )


def shortened(error: Mapping[str, Any]) -> Dict[str, Any]:
    """An error that always fits into a message, whatever it quotes: a long text loses its middle.

    Args:
        error: As ``BackendError.to_dict`` has it. What of its ``detail`` is too much is left out.
    """
    said = {name: _brief(error[name], MOST_SAID) for name in ("message", "action")}
    room, detail = MOST_DETAIL, {}
    for name, fact in error["detail"].items():
        brief = _brief(fact, MOST_FACT) if isinstance(fact, str) else fact
        text = json.dumps(brief, ensure_ascii=False, default=str).encode("utf-8", "replace")
        if len(text) <= room:
            room -= len(text)
            detail[name] = json.loads(text)
    return {**error, **said, "detail": detail}


def _brief(text: str, most: int) -> str:
    """At most about so many characters, of those that UTF-8 has."""
    if len(text) > most:
        text = f"{text[: most // 2]} ... {text[-most // 2 :]}"
    return text.encode("utf-8", "replace").decode("utf-8")


def unsupported(version: Any) -> ProtocolError:
    """The error for a message of another protocol version."""
    return ProtocolError(
        "protocol_unsupported",
        f"Version {version} of the protocol is not spoken here; version {VERSION} is.",
        _SAME_RELEASE,
        detail={"version": VERSION},
    )


def default_home(platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Path:
    """The backend's folder: ``TIMO_HOME``, else the platform's place for an application's data."""
    if environ.get("TIMO_HOME"):
        return Path(environ["TIMO_HOME"])
    user = Path(environ["HOME"]) if environ.get("HOME") and platform != "win32" else Path.home()
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or user / "AppData" / "Local") / "TiMo"
    if platform == "darwin":
        return user / "Library" / "Application Support" / "TiMo"
    return Path(environ.get("XDG_DATA_HOME") or user / ".local" / "share") / "timo"


def read_connection(path: Union[str, Path], any_version: bool = False) -> Dict[str, Any]:
    """The content of a connection file, or of the one in a home folder.

    Args:
        path: The file, or the folder.
        any_version: Take it also if it is of another version: see ``other_release``.

    Raises:
        ConnectionFailed: There is none, it cannot be read, or it is of another version.
    """
    file = Path(path)
    if file.is_dir():
        file = file / CONNECTION_FILE
    start = "Start the backend with `timo-backend serve` and try again."
    try:
        content: Dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConnectionFailed(
            "backend_not_running", f"No backend runs here: there is no {file}.", start, retryable=True
        ) from error
    except (OSError, ValueError) as error:
        raise ConnectionFailed("connection_invalid", f"{file} cannot be read: {error}.", start) from error
    if not _is_connection(content):
        raise ConnectionFailed("connection_invalid", f"{file} is not a backend's connection file.", start)
    if content["protocol"] != VERSION and not any_version:
        raise ConnectionFailed(
            "protocol_unsupported",
            f"The backend of {file} speaks version {content['protocol']} of the protocol, "
            f"this client version {VERSION}.",
            _SAME_RELEASE,
        )
    return content


def _is_connection(content: Any) -> bool:
    """Whether a connection file holds this: ZeroMQ fails on other keys, and no server listens elsewhere."""
    if not isinstance(content, dict) or not isinstance(content.get("protocol"), int):
        return False
    keys = [content.get(f"{whose}_key") for whose in ("server_public", "client_public", "client_secret")]
    return _ENDPOINT.fullmatch(str(content.get("endpoint"))) is not None and all(map(_is_key, keys))


def _is_key(text: Any) -> bool:
    """Whether this is a CURVE key: 32 bytes in Z85, four in each five characters."""
    if not isinstance(text, str) or len(text) != 40 or not set(text) <= set(_Z85):
        return False
    groups = (text[start : start + 5] for start in range(0, 40, 5))
    numbers = (
        sum(_Z85.index(character) * 85 ** (4 - place) for place, character in enumerate(group))
        for group in groups
    )
    return all(number < 2**32 for number in numbers)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _no_number(_: str) -> None:
    return None


def _finite_float(text: str) -> Optional[float]:
    value = float(text)
    return value if math.isfinite(value) else None
