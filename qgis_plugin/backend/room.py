# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a backend that speaks another version of the protocol, so that the program can take its place."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from .._client.errors import ConnectionFailed
from .._client.other_release import end_other
from .launcher import Launcher, find
from .link_state import Trouble


def make_room(
    connection: Mapping[str, Any], launcher: Launcher, given_up: Callable[[], bool]
) -> Optional[Trouble]:
    """End a server, and wait for that; not if nothing would take its place, as its jobs would stand still.

    Args:
        connection: Its connection file's content.
        launcher: Starts the program that shall take its place.
        given_up: Whether nobody waits any more.

    Returns:
        Why it was not ended; None if it was.
    """
    if find(launcher.program) is None:
        return launcher.missing()
    try:
        end_other(connection, given_up)
    except ConnectionFailed as error:
        return Trouble("failed", error.message, error.action)
    return None
