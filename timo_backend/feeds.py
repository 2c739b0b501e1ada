# SPDX-License-Identifier: GPL-3.0-or-later
"""Who wants which job's events, and how far each has got.

Recorded and live events take the same way: a feed remembers one number, and what the store holds above it is
sent. So a replay runs into the live events without a seam, and a client that is slow, or was away, costs the
server nothing but its place. Sockets are the server's.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw, Struct

from timo_backend import protocol
from timo_backend.history import History, Record
from timo_backend.protocol import UNDER_WAY, UNDER_WAY_BYTES

FEEDS_PER_CLIENT = 256
MOST_IDLE = 1024
"""Connections without a subscription whose counts are kept; one that was forgotten begins anew."""
BATCH_EVENTS = 200
BATCH_BYTES = 64 * 1024
"""What one message holds at most; a single event may be larger."""


@dataclass
class Feed:
    """One subscription.

    Args:
        id: The id of its ``subscribe`` request.
        job: The job.
        sent: The number of the last event that was sent.
        due: Whether the store may hold more.
        removed: The number of the event that tells that the job was removed.
    """

    id: str
    job: str
    sent: int
    due: bool = True
    removed: int | None = None


@dataclass
class _Connection:
    """What one client is sent: at most ``UNDER_WAY`` messages, and so many bytes, that it hasn't got yet."""

    feeds: dict[str, Feed] = field(default_factory=dict)
    sizes: deque[int] = field(default_factory=deque)
    bytes: int = 0
    acknowledged: int = 0

    @property
    def has_room(self) -> bool:
        return len(self.sizes) < UNDER_WAY and self.bytes < UNDER_WAY_BYTES

    def count(self, size: int) -> None:
        self.sizes.append(size)
        self.bytes += size

    def acknowledge(self, count: int) -> None:
        for _ in range(min(count - self.acknowledged, len(self.sizes))):
            self.acknowledged += 1
            self.bytes -= self.sizes.popleft()


class Feeds:
    """All subscriptions of a server, by the routing ids of the clients' connections."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._connections: dict[bytes, _Connection] = {}
        # Without a subscription, the longest so first. Nobody tells which of them have left for good.
        self._idle: OrderedDict[bytes, _Connection] = OrderedDict()

    def open(self, peer: bytes, ident: str, job: str, after: int) -> bool:
        """Begin a subscription, or move it if there is one of this id; False when the client has too many."""
        if peer not in self._connections:
            self._connections[peer] = self._idle.pop(peer) if peer in self._idle else _Connection()
        feeds = self._connections[peer].feeds
        if ident not in feeds and len(feeds) >= FEEDS_PER_CLIENT:
            return False
        feeds[ident] = Feed(ident, job, sent=after)
        return True

    def close(self, peer: bytes, ident: str) -> None:
        """End a subscription; none of this id is fine."""
        connection = self._connections.get(peer)
        if connection is not None:
            self._end(peer, connection, ident)

    def _end(self, peer: bytes, connection: _Connection, ident: str) -> None:
        connection.feeds.pop(ident, None)
        if not connection.feeds:
            self._idle[peer] = self._connections.pop(peer)
            while len(self._idle) > MOST_IDLE:
                self._idle.popitem(last=False)

    def end(self, job: str, last: int) -> list[bytes]:
        """Note that a job was removed, whose last event had this number; who is to be told."""
        for connection in self._connections.values():
            for feed in connection.feeds.values():
                if feed.job == job:
                    feed.removed = last + 1
        return self.news(job)

    def drop(self, peer: bytes) -> None:
        """Forget a client that is gone."""
        self._connections.pop(peer, None)
        self._idle.pop(peer, None)

    def acknowledge(self, peer: bytes, count: int) -> None:
        """Note how many messages with events have arrived on this connection, all in all."""
        connection = self._connections.get(peer) or self._idle.get(peer)
        if connection is not None:
            connection.acknowledge(count)

    def news(self, job: str) -> list[bytes]:
        """Note that a job has more events; who wants them."""
        peers = []
        for peer, connection in self._connections.items():
            mine = [feed for feed in connection.feeds.values() if feed.job == job]
            for feed in mine:
                feed.due = True
            if mine:
                peers.append(peer)
        return peers

    def serve(self, peer: bytes, send: Callable[[bytes], bool]) -> None:
        """Send a client what is due, as far as it has room; its subscriptions take turns.

        A subscription ends by itself with the event that ends its job.

        Args:
            peer: The client.
            send: Sends one message; False when it could not, which then counts as not sent.
        """
        connection = self._connections.get(peer)
        while connection is not None and connection.has_room:
            due = [feed for feed in connection.feeds.values() if feed.due]
            if not due:
                return
            for feed in due:
                if not connection.has_room:
                    return
                records = self._next(feed)
                if not records:
                    feed.due = False
                    continue
                data = _message(feed, records)
                if not send(data):
                    return
                connection.count(len(data))
                feed.sent = records[-1].seq
                if records[-1].final:
                    self._end(peer, connection, feed.id)

    def _next(self, feed: Feed) -> list[Record]:
        if feed.removed is not None:
            return [Record(feed.removed, "removed", time.time(), protocol.dumps({"first": feed.sent + 1}))]
        records: list[Record] = []
        room = BATCH_BYTES
        for record in self._history.records(feed.job, feed.sent, BATCH_EVENTS):
            room -= len(record.body)
            if room < 0 and records:
                break
            records.append(record)
        return records


class _Event(Struct):
    seq: int
    kind: str
    ts: float
    body: Raw


class _Events(Struct):
    job: str
    events: list[_Event]


class _Message(Struct):
    v: int
    id: str
    type: str
    body: _Events


def _message(feed: Feed, records: list[Record]) -> bytes:
    """The message with these events; their bodies are the JSON that the store has, unread."""
    events = [_Event(one.seq, one.kind, one.ts, Raw(one.body.encode())) for one in records]
    return msgspec.json.encode(_Message(protocol.VERSION, feed.id, "events", _Events(feed.job, events)))
