# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that stops reading costs the server nothing, and gets everything once it reads again."""

import psutil

from tests.timo_backend.conftest import PATIENCE_S
from tests.timo_backend.faults.counts import count
from tests.timo_backend.test_client import take
from timo_backend.core import Core
from timo_backend.protocol import read_connection

PER_SECOND = 1000
SUBSCRIPTIONS = 3
MOST_GROWTH = 50 * 2**20


def test_a_client_that_reads_nothing_for_long_costs_no_memory_and_catches_up_whole(server, client, spec):
    events = PER_SECOND * count(short=4, all=180)
    job = client.submit("predict", spec(f"pace-{events}"))
    core = Core(read_connection(server.home))
    ids = [core.send("subscribe", {"job": job, "after": 0}) for _ in range(SUBSCRIPTIONS)]
    assert core._socket.poll(int(PATIENCE_S * 1000)), "something lies there, unread"
    process = psutil.Process(server.process.pid)
    before = most = process.memory_info().rss
    for event in client.events(job):  # one that reads sees it all meanwhile
        last = event
        if event.seq % PER_SECOND == 0:
            most = max(most, process.memory_info().rss)
    assert last.final and last.body["state"] == "succeeded" and last.seq > events
    seen = dict.fromkeys(ids, 0)
    while any(number < last.seq for number in seen.values()):
        for message in take(core, 1, lambda message: message.type == "event"):
            assert message.body["seq"] == seen[message.id] + 1
            seen[message.id] += 1
    most = max(most, process.memory_info().rss)
    core.close()
    assert most - before <= MOST_GROWTH
