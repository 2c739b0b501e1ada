# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that speaks another version of the protocol: whether it is there, and its end.

Connection file, handshake and the request ``stop`` are the same in all versions, so that a newer release can
take the place of an older one that still runs, and the other way round.

Standard library and pyzmq only, in Python 3.9 syntax with relative imports: the plugin carries this file.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping

from .core import Core
from .errors import silent

LIVES_WITHIN_S, ENDS_WITHIN_S = 5.0, 30.0
POLL_MS = 50


def _never() -> bool:
    return False


def is_there(connection: Mapping[str, Any], given_up: Callable[[], bool] = _never) -> bool:
    """Whether the server that wrote a connection file still lives: it may have been killed, its file left.

    Args:
        connection: The file's content, of any version.
        given_up: Whether the answer is of no interest any more.
    """
    core = Core(connection)
    try:
        until = time.monotonic() + LIVES_WITHIN_S
        while time.monotonic() < until and not given_up():
            if _is_lost(core):
                return False
            if core.connected:
                return True
        return False
    finally:
        core.close()


def end_other(connection: Mapping[str, Any], given_up: Callable[[], bool] = _never) -> None:
    """End the server that wrote a connection file, and wait for that; its jobs go on with the next one.

    Args:
        connection: The file's content, of any version.
        given_up: Whether nobody waits any more.

    Raises:
        ConnectionFailed: The server does not end.
    """
    core = Core(connection)
    try:
        core.stop_other(connection["protocol"])
        until = time.monotonic() + ENDS_WITHIN_S
        while not _is_lost(core):
            if given_up():
                return
            if time.monotonic() > until:
                raise silent("stop", ENDS_WITHIN_S)
    finally:
        core.close()


def _is_lost(core: Core) -> bool:
    """Whether it is gone; one that has no time for a handshake is not."""
    lost = (message for message in core.poll(POLL_MS) if message.type == "lost")
    return any(message.body["code"] != "backend_mute" for message in lost)
