# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever comes to a server's port: it is refused or hung up on, and nobody else waits for it."""

import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psutil
import pytest

from tests.timo_backend.conftest import PATIENCE_S
from tests.timo_backend.faults.counts import RUN, count
from tests.timo_backend.faults.mutations import mutated
from tests.timo_backend.test_wire import Bare
from timo_backend import messages
from timo_backend.errors import ProtocolError

MiB = 2**20
MOST_GROWTH = 30 * MiB
MOST_PEERS = 200  # at once
MOST_P99_S = 0.2  # what a good client may wait for its answer meanwhile


@pytest.fixture
def bare(server):
    talker = Bare(server.home)
    yield talker
    talker.close()


@contextmanager
def a_good_client(server):
    """One that asks all the time, and is answered; how long each answer took, in seconds."""
    took, over = [], threading.Event()

    def ask():
        with server.client() as client:
            while not over.is_set():
                begun = time.monotonic()
                client._request("ping", {})
                took.append(time.monotonic() - begun)
                over.wait(0.002)

    with ThreadPoolExecutor() as pool:
        asking = pool.submit(ask)
        try:
            yield took
        finally:
            over.set()
        asking.result()
    assert took
    if RUN != "short":
        assert sorted(took)[int(0.99 * len(took))] < MOST_P99_S


@contextmanager
def the_same_server(server):
    """Afterwards it is the same process, which has grown by little."""
    with server.client() as client:
        before = psutil.Process(server.process.pid).memory_info().rss
        yield
        assert client.hello()["pid"] == server.process.pid
        assert psutil.Process(server.process.pid).memory_info().rss - before < MOST_GROWTH


def ends_the_server(data):
    try:
        return isinstance(messages.read(data)[1], messages.Stop)
    except ProtocolError:
        return False


def test_a_wrong_message_is_refused_with_a_typed_error_and_the_server_lives_on(server, bare):
    refused = 0
    with the_same_server(server), a_good_client(server):
        for seed in range(count(short=150, all=2000)):
            data = mutated(seed)
            if ends_the_server(data):
                continue
            if seed % 10 == 0:  # for what lies behind the check of the roots
                bare.greet()
            bare.socket.send(data)
            for answer in answers_before_a_pong(bare, f"after {seed}"):
                assert answer["type"] in ("reply", "error", "events"), (seed, data[:300])
                if answer["type"] == "error":
                    refused += 1
                    code, message, action = (answer["body"][key] for key in ("code", "message", "action"))
                    assert code not in ("internal", "store_failed"), (seed, data[:300], message)
                    assert message.endswith(".") and action.endswith("."), (seed, data[:300], message)
    assert refused > count(short=150, all=2000) / 2


def answers_before_a_pong(bare, ident):
    bare.socket.send(json.dumps({"v": 1, "id": ident, "type": "ping", "body": {}}).encode())
    while (answer := bare.receive())["id"] != ident:
        yield answer


def greeting(mechanism):
    """With which a peer of ZMTP 3.1 begins."""
    return b"\xff" + bytes(8) + b"\x7f\x03\x01" + mechanism.ljust(20, b"\x00") + bytes(32)


JUNK = [
    b"",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # a TLS handshake
    greeting(b"CURVE")[:10],
    greeting(b"CURVE"),
    greeting(b"CURVE") + b"\x04\xc8\x05HELLO" + b"x" * 194,
    greeting(b"NULL") + b"\x04\x19\x05READY",
    greeting(b"CURVE") + b"\x06" + b"\xff" * 8,  # a frame of 16 EiB comes
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",  # a pickle
]


def test_junk_on_the_port_disturbs_nobody(server):
    host, port = server.endpoint.removeprefix("tcp://").split(":")
    chance, peers = random.Random(0), []
    with the_same_server(server), a_good_client(server) as took:
        for number in range(count(short=24, all=200)):
            peer = socket.create_connection((host, int(port)))
            peers.append(peer)
            with suppress(ConnectionError):  # it hangs up
                peer.sendall(JUNK[number % len(JUNK)])
                if number % 3 == 0:
                    peer.sendall(chance.randbytes(4096))
            if number % 5 == 0 or len(peers) > MOST_PEERS:
                peers.pop(0).close()
            time.sleep(0.01)
        answered, deadline = len(took), time.monotonic() + PATIENCE_S
        while len(took) < answered + 20:  # with all of them still there
            assert time.monotonic() < deadline, "the good client is not answered any more"
            time.sleep(0.01)
    for peer in peers:
        peer.close()
