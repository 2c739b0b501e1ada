# SPDX-License-Identifier: GPL-3.0-or-later
"""``Core``: one connection to the backend that never blocks; what a graphical program stands on.

Standard library and pyzmq only, in Python 3.9 syntax with relative imports: the plugin carries this file in
its package ``_client``. Not to be used by two threads at once.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set

import zmq
from zmq.utils.monitor import parse_monitor_message

from . import protocol
from .errors import ConnectionFailed, ProtocolError, denied, gone, mute
from .protocol import Message

RECONNECT_MS = 100
HANDSHAKE_MS = 3000
# Of the first one: that a connection file's port is another program's by now shall show within a second; and
# Windows dials a port that nobody has for two.
FIRST_HANDSHAKE_MS, DIAL_MS = 600, 800
LINGER_MS = 300
HEARTBEAT_MS, DEAF_MS = 3000, 10_000
ACKNOWLEDGE_EVERY = 8

_GONE = (
    zmq.EVENT_CLOSED,  # nobody listens there
    zmq.EVENT_DISCONNECTED,  # somebody does, and hung up before the handshake was done
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
)


class Core:
    """One connection that never blocks: ``send`` a request, ``poll`` for what has come.

    It opens again by itself when the connection breaks while the server lives, sends unanswered requests
    again (every request may be repeated) and resumes subscriptions after the last event seen: no gap, no
    event twice. The last ``hello`` with ``roots`` is said again, too. When the server is gone, ``poll`` gives
    one message of type ``lost`` whose body is an error. A new server has new keys: go on with
    ``reconnect(read_connection(path))``.

    Args:
        connection: The content of a connection file.
    """

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._context = zmq.Context()
        self._pending: Dict[str, Message] = {}
        self._subscriptions: Dict[str, Dict[str, Any]] = {}
        self._resuming: Set[str] = set()  # subscriptions that were asked for again
        self._settled: List[Message] = []  # answers that need no server
        self._greeting: Optional[Message] = None  # the last that named folders
        self._open(connection)

    @property
    def closed(self) -> bool:
        """Whether this was closed for good."""
        return bool(self._socket.closed)

    def _open(self, connection: Mapping[str, Any]) -> None:
        self.connected = False
        self._lost = False
        self._handshakes = 0
        self._came = self._told = 0  # messages with events on this connection, and what the server knows
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, FIRST_HANDSHAKE_MS)
        self._socket.setsockopt(zmq.CONNECT_TIMEOUT, DIAL_MS)
        # A connection that somebody spoke into is dead for good, and nobody says so.
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, DEAF_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, 2 * protocol.MAX_BYTES)
        self._socket.curve_serverkey = connection["server_public_key"].encode("ascii")
        self._socket.curve_publickey = connection["client_public_key"].encode("ascii")
        self._socket.curve_secretkey = connection["client_secret_key"].encode("ascii")
        self._monitor = self._socket.get_monitor_socket()
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._socket.connect(connection["endpoint"])

    def send(self, type: str, body: Mapping[str, Any]) -> str:
        """Send a request; its id, which the reply carries (and each event, for ``subscribe``).

        Raises:
            ProtocolError: The request is too large (``message_too_large``) or not JSON.
        """
        message = Message(type, dict(body), uuid.uuid4().hex)
        data = protocol.encode(message)
        if type == "unsubscribe":
            self._forget(str(body.get("id")))
        if type == "subscribe":
            self._subscriptions[message.id] = {"job": body.get("job"), "after": body.get("after", 0)}
        if type != "ack":
            self._pending[message.id] = message
        self._put(data)
        return message.id

    def stop_other(self, version: int) -> None:
        """Ask a server that speaks another version of the protocol to end: this is the same in all of them.

        What it answers is not for this client; ``lost`` tells that it has ended. See ``other_release``.

        Args:
            version: The ``protocol`` of its connection file.
        """
        self._put(protocol.encode(Message("stop", {}, uuid.uuid4().hex, version)))

    def poll(self, timeout_ms: int = 0, most: int = protocol.UNDER_WAY) -> List[Message]:
        """What has arrived, in order; waits up to ``timeout_ms`` for something to arrive.

        Reads so many messages at ``most``, each of which may bring hundreds of events: a flood of them does
        not keep the caller in here.

        Types: ``reply`` and ``error`` (one for each request, with its id), ``event`` (with the id of its
        ``subscribe``), and ``lost`` (the server is gone; body: an error).
        """
        ready = dict(self._poller.poll(0 if self._settled else timeout_ms))
        messages, self._settled = self._settled, []
        if self._monitor in ready:
            messages.extend(self._watch())
        if self._socket in ready:
            messages.extend(self._receive(most))
        return messages

    def reconnect(self, connection: Mapping[str, Any]) -> None:
        """Go on with another server of the same home: unanswered requests and subscriptions move there.

        Not a ``stop``: it was for the server that is gone, and is answered with an error that says so.
        """
        self._shut(linger=0)
        self._open(connection)
        for message in [one for one in self._pending.values() if one.type == "stop"]:
            del self._pending[message.id]
            self._settled.append(Message("error", gone().to_dict(), message.id))
        self._resume()

    def withdraw(self, ident: str) -> None:
        """Wait no more for the answer to a request: it is not sent again."""
        self._pending.pop(ident, None)

    def close(self) -> None:
        """End the connection; what was just sent still leaves, if the server is there."""
        self._shut(LINGER_MS if self.connected else 0)
        self._context.term()

    def _shut(self, linger: int) -> None:
        # ZeroMQ's thread stands still when nobody has read its news for long, and would never let go.
        while self._monitor.poll(0):
            self._monitor.recv_multipart()
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=linger)

    def _put(self, data: bytes) -> None:
        try:
            self._socket.send(data, zmq.NOBLOCK)
        except zmq.Again as error:
            raise ConnectionFailed(
                "backend_silent",
                "The backend does not take requests at present.",
                "Try again.",
                retryable=True,
            ) from error

    def _receive(self, most: int) -> Iterator[Message]:
        for _ in range(most):
            try:
                data = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                message = protocol.decode(data)
            except ProtocolError as error:
                yield Message("error", error.to_dict())
                continue
            if message.type == "events":
                self._count()
                yield from self._news(message)
            elif self._greets_again(message):
                continue
            elif self._is_awaited(message):
                yield message

    def _greets_again(self, message: Message) -> bool:
        """Name the folders on a connection that was opened anew, where a request was refused for them."""
        asked = self._pending.get(message.id)
        lacks = message.type == "error" and message.body.get("code") == "roots_missing"
        if not lacks or asked is None or self._greeting is None:
            return False
        try:
            self._put(protocol.encode(self._greeting))
            self._put(protocol.encode(asked))
        except ConnectionFailed:  # no room for them now: whoever asked is told the refusal
            return False
        return True

    def _is_awaited(self, message: Message) -> bool:
        asked = self._pending.pop(message.id, None)
        awaited = asked is not None
        if asked is not None and asked.type == "hello" and "roots" in asked.body and message.type == "reply":
            self._greeting = asked
        if message.id in self._resuming:
            self._resuming.discard(message.id)
            awaited |= message.type == "error"  # the subscription is over
        if message.type == "error":
            self._forget(message.id)
        return awaited or not message.id  # not the second answer to a request that was sent again

    def _news(self, message: Message) -> Iterator[Message]:
        """The events of a message that were not seen yet, one by one."""
        for event in message.body.get("events", ()):
            subscription = self._subscriptions.get(message.id)
            seq = event.get("seq")
            if subscription is None or not isinstance(seq, int) or seq <= subscription["after"]:
                continue
            if self._first(event) > subscription["after"] + 1:
                if message.id not in self._resuming:  # once, not for each message that was under way
                    try:
                        self._subscribe(message.id)
                    except ConnectionFailed:  # the next one tries again
                        self._resuming.discard(message.id)
                return
            subscription["after"] = seq
            yield Message("event", {"job": message.body.get("job"), **event}, message.id)

    @staticmethod
    def _first(event: Mapping[str, Any]) -> int:
        """The number that an event stands for; a gap stands for several, and so does a job's removal."""
        first = event["body"].get("first") if event.get("kind") in ("gap", "removed") else None
        return first if isinstance(first, int) else int(event["seq"])

    def _count(self) -> None:
        """Tell the server now and then how many messages with events have come."""
        self._came += 1
        if self._came - self._told < ACKNOWLEDGE_EVERY:
            return
        with suppress(ConnectionFailed):  # the next one tells of this one too
            self._put(protocol.encode(Message("ack", {"n": self._came}, uuid.uuid4().hex)))
            self._told = self._came

    def _watch(self) -> Iterator[Message]:
        while self._monitor.poll(0):
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.connected, self._lost = True, False
                self._handshakes += 1
                self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
                self._came = self._told = 0
                if self._handshakes > 1:
                    self._resume()
            elif event == zmq.EVENT_DISCONNECTED and self.connected:
                self.connected = False  # libzmq dials again: what comes next tells whether the server lives
            elif event in _GONE:
                self.connected = False
                if not self._lost:
                    self._lost = True
                    yield Message("lost", _reason(event).to_dict())

    def _resume(self) -> None:
        if self._greeting is not None:
            self._put(protocol.encode(self._greeting))
        for message in list(self._pending.values()):
            if message.type != "subscribe" and message is not self._greeting:
                self._put(protocol.encode(message))
        for ident in self._subscriptions:
            self._subscribe(ident)

    def _subscribe(self, ident: str) -> None:
        self._resuming.add(ident)
        body = dict(self._subscriptions[ident])
        self._put(protocol.encode(Message("subscribe", body, ident)))

    def _forget(self, ident: str) -> None:
        self._subscriptions.pop(ident, None)
        self._resuming.discard(ident)


def _reason(event: int) -> ConnectionFailed:
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return denied()
    return gone() if event == zmq.EVENT_CLOSED else mute()
