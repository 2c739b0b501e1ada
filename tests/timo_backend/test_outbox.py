# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves the server for a client whose socket has no room, and for one that is gone."""

import asyncio
import json

import pytest
import zmq

from timo_backend import outbox as outbox_module
from timo_backend.outbox import Outbox
from timo_backend.protocol import Message

PEER = b"peer"


class Socket:
    """A ROUTER socket with so much room."""

    def __init__(self, room):
        self.room, self.sent, self.error = room, [], zmq.Again()

    def send_multipart(self, frames, flags):
        future = asyncio.get_running_loop().create_future()
        if self.room:
            self.room -= 1
            self.sent.append(frames[1])
            future.set_result(None)
        else:
            future.set_exception(self.error)
        return future


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(outbox_module, "AGAIN_S", 0.01)


def run(steps, room):
    """What was sent, who was said to be gone, and who to have room again."""
    gone, has_room = [], []

    async def main():
        socket = Socket(room)
        await steps(socket, Outbox(socket, gone.append, has_room.append))
        return [json.loads(data)["id"] for data in socket.sent]

    return asyncio.run(main()), gone, has_room


def answer(ident, text=""):
    return Message("reply", {"text": text}, ident)


def test_answers_wait_for_room_and_keep_their_order():
    async def steps(socket, outbox):
        for ident in "abc":
            outbox.answer(PEER, answer(ident))
        assert not outbox.tell(PEER, b'{"id":"early"}'), "an event does not overtake an answer"
        await asyncio.sleep(0.05)
        socket.room = 2
        await asyncio.sleep(0.05)
        assert outbox.tell(PEER, b'{"id":"late"}') is False
        socket.room = 1
        await asyncio.sleep(0.05)

    sent, gone, has_room = run(steps, room=1)
    assert sent == ["a", "b", "c"] and gone == []
    assert has_room == [PEER, PEER]


def test_events_that_found_no_room_are_asked_for_again():
    async def steps(socket, outbox):
        assert outbox.tell(PEER, b'{"id":"1"}')
        assert not outbox.tell(PEER, b'{"id":"2"}')
        socket.room = 1
        await asyncio.sleep(0.05)

    assert run(steps, room=1) == (["1"], [], [PEER])


def test_a_client_that_is_gone_is_told_once_and_its_answers_are_dropped():
    async def steps(socket, outbox):
        outbox.answer(PEER, answer("a"))
        outbox.answer(PEER, answer("b"))
        socket.error = zmq.ZMQError(zmq.EHOSTUNREACH)
        await asyncio.sleep(0.05)
        socket.room = 5
        await asyncio.sleep(0.05)

    assert run(steps, room=0) == ([], [PEER], [])


def test_a_client_that_asks_and_does_not_read_costs_a_bounded_memory():
    async def steps(socket, outbox):
        for number in range(100):
            outbox.answer(PEER, answer(str(number), "x" * 200_000))
        socket.room = 1000
        await asyncio.sleep(0.05)

    sent, _, _ = run(steps, room=0)
    assert sent == [str(number) for number in range(len(sent))] and 20 <= len(sent) <= 22
