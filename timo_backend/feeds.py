# SPDX-License-Identifier: GPL-3.0-or-later
"""Who wants which job's events, and how far each has got.

Recorded and live events take the same way: a feed remembers one number, and what the store holds above it is
sent. So a replay runs into the live events without a seam, and a client that is slow, or was away, costs the
server nothing but its place. Pure: what to send comes out, sockets are the server's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from timo_backend.protocol import WINDOW, Event
from timo_backend.store import Store

FEEDS_PER_CLIENT = 256


@dataclass
class Feed:
    """One subscription.

    Args:
        peer: The client's routing id.
        id: The id of its ``subscribe`` request.
        job: The job.
        sent: The number of the last event that was sent.
        acknowledged: The number of the last event that the client said it has.
    """

    peer: bytes
    id: str
    job: str
    sent: int
    acknowledged: int

    @property
    def room(self) -> int:
        """How many more events may be under way."""
        return max(0, WINDOW - (self.sent - self.acknowledged))


class Feeds:
    """All subscriptions of a server."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._feeds: dict[tuple[bytes, str], Feed] = {}

    def open(self, peer: bytes, ident: str, job: str, after: int) -> bool:
        """Begin a subscription, or move it if there is one of this id; False when the client has too many."""
        if (peer, ident) not in self._feeds and sum(
            key[0] == peer for key in self._feeds
        ) >= FEEDS_PER_CLIENT:
            return False
        self._feeds[peer, ident] = Feed(peer, ident, job, sent=after, acknowledged=after)
        return True

    def close(self, peer: bytes, ident: str) -> None:
        """End a subscription; none of this id is fine."""
        self._feeds.pop((peer, ident), None)

    def drop(self, peer: bytes) -> None:
        """End all subscriptions of a client that is gone."""
        for key in [key for key in self._feeds if key[0] == peer]:
            del self._feeds[key]

    def acknowledge(self, peer: bytes, ident: str, seq: int) -> Feed | None:
        """Note what has arrived; the subscription, if there is one."""
        feed = self._feeds.get((peer, ident))
        if feed is not None:
            feed.acknowledged = max(feed.acknowledged, min(seq, feed.sent))
        return feed

    def to(self, peer: bytes) -> list[Feed]:
        """The subscriptions of a client."""
        return [feed for feed in self._feeds.values() if feed.peer == peer]

    def of(self, job: str) -> list[Feed]:
        """The subscriptions to a job."""
        return [feed for feed in self._feeds.values() if feed.job == job]

    def due(self, feed: Feed) -> Iterator[Event]:
        """The events to send now, at most as many as there is room for; each counts as sent when it is taken.

        A subscription ends by itself with the event that ends its job.
        """
        if self._feeds.get((feed.peer, feed.id)) is not feed or not feed.room:
            return
        for event in self._store.events(feed.job, feed.sent, feed.room):
            feed.sent = event.seq
            yield event
            if event.final:
                self.close(feed.peer, feed.id)
