# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends without waiting: a client that does not read holds up nobody, and loses no answer by it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import zmq
import zmq.asyncio

from timo_backend import protocol
from timo_backend.protocol import Message

MOST_BYTES = 4 * 1024 * 1024
"""Of the answers that wait for one client. What it asks beyond that without reading is not answered."""
AGAIN_S = 0.1


class Outbox:
    """What leaves a ROUTER socket.

    Args:
        socket: The socket, with ``ROUTER_MANDATORY``.
        gone: Told the routing id of a client that is not there any more.
        room: Told that of a client that takes events again, which had no room for some.
    """

    def __init__(
        self, socket: zmq.asyncio.Socket, gone: Callable[[bytes], None], room: Callable[[bytes], None]
    ) -> None:
        self._socket = socket
        self._gone, self._room = gone, room
        self._waiting: dict[bytes, deque[bytes]] = {}  # by client, answers to those that have no room
        self._timer: asyncio.TimerHandle | None = None

    def answer(self, peer: bytes, message: Message) -> None:
        """Send an answer; where the client's socket has no room it waits for some."""
        data = protocol.encode(message)
        if peer in self._waiting or self._put(peer, data) is False:
            self._wait(peer, data)

    def tell(self, peer: bytes, data: bytes) -> bool:
        """Send events; False when they were not sent: the client is gone, or its socket has no room now."""
        if peer in self._waiting:
            return False
        sent = self._put(peer, data)
        if sent is False:
            self._wait(peer)
        return sent is True

    def _wait(self, peer: bytes, *answers: bytes) -> None:
        waiting = self._waiting.setdefault(peer, deque())
        if sum(map(len, waiting)) < MOST_BYTES:
            waiting.extend(answers)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._look)

    def _put(self, peer: bytes, data: bytes) -> bool | None:
        """Whether it was sent; None to a client that is gone."""
        sending = self._socket.send_multipart([peer, data], zmq.NOBLOCK)
        future = cast("asyncio.Future[Any]", sending)
        error = future.exception() if future.done() else None
        if error is None:
            return True
        if isinstance(error, zmq.Again):
            return False
        self._waiting.pop(peer, None)
        self._gone(peer)
        return None

    def _look(self) -> None:
        self._timer = None
        for peer, waiting in list(self._waiting.items()):
            sent: bool | None = True
            while waiting and (sent := self._put(peer, waiting[0])):
                waiting.popleft()
            if sent is False:
                self._wait(peer)
            elif sent:
                self._waiting.pop(peer, None)
                self._room(peer)
