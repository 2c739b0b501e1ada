# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server remembers of clients that follow jobs, and of those that have left."""

import json

import pytest

from timo_backend.feeds import MOST_IDLE, Feeds
from timo_backend.history import Record
from timo_backend.protocol import UNDER_WAY


class Told:
    """The history of a job that tells so many things; with the last it ends."""

    def __init__(self, count, ends=True):
        self.events = [Record(n, "metric", 0.0, json.dumps({"step": n})) for n in range(1, count)]
        self.events.append(
            Record(count, "state", 0.0, json.dumps({"state": "succeeded" if ends else "running"}))
        )

    def records(self, job, after, limit):
        return iter([event for event in self.events if event.seq > after][:1])


@pytest.mark.parametrize("ending", ["unsubscribe", "job"])
def test_clients_that_left_after_their_subscriptions_ended_are_forgotten(ending):
    feeds = Feeds(Told(1, ends=ending == "job"))
    for number in range(2 * MOST_IDLE):
        peer = b"%d" % number
        feeds.open(peer, "s", "job", 0)
        feeds.serve(peer, lambda data: True)
        if ending == "unsubscribe":
            feeds.close(peer, "s")
    assert not feeds._connections, "none is looked at when a job tells something"
    assert len(feeds._idle) == MOST_IDLE
    assert feeds.news("job") == []
    feeds.drop(peer)
    assert len(feeds._idle) == MOST_IDLE - 1


def test_what_is_under_way_counts_also_after_its_subscription_has_ended():
    feeds, sent = Feeds(Told(UNDER_WAY - 10)), []
    for ident in "ab":
        feeds.open(b"peer", ident, "job", 0)
        feeds.serve(b"peer", lambda data: sent.append(data) or True)
    assert len(sent) == UNDER_WAY, "the first has ended, but nothing of it is acknowledged"
    feeds.acknowledge(b"peer", 5)
    feeds.serve(b"peer", lambda data: sent.append(data) or True)
    assert len(sent) == UNDER_WAY + 5


def test_an_acknowledgement_counts_between_two_subscriptions_too():
    feeds, sent = Feeds(Told(UNDER_WAY)), []
    feeds.open(b"peer", "a", "job", 0)
    feeds.serve(b"peer", lambda data: sent.append(data) or True)
    feeds.acknowledge(b"peer", UNDER_WAY)
    feeds.open(b"peer", "b", "job", 0)
    feeds.serve(b"peer", lambda data: sent.append(data) or True)
    assert len(sent) == 2 * UNDER_WAY
