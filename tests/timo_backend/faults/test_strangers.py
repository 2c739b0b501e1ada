# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody but the owner of a home reaches a handler of its server, and nobody else reads how to."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import zmq

from tests.timo_backend.conftest import PATIENCE_S, ServerProcess, wait_for, wait_until_running
from tests.timo_backend.faults.counts import count
from tests.timo_backend.faults.tap import Tap
from tests.timo_backend.test_wire import outcome
from timo_backend.client import Client
from timo_backend.protocol import read_connection

NOBODY = 65534
ROOT = Path(__file__).parents[3]


def connection_keys(home):
    """The server's key and the client's pair."""
    content = read_connection(home)
    own = (content["client_public_key"].encode(), content["client_secret_key"].encode())
    return content["server_public_key"].encode(), own


def test_no_stranger_is_heard_however_many_come(server, client):
    server_key, own = connection_keys(server.home)
    for _ in range(count(short=2, all=50)):
        stranger = zmq.curve_keypair()
        assert outcome(server.endpoint, server_key, stranger) == "HANDSHAKE_FAILED_AUTH"
        mixed = (own[0], stranger[1])  # the client's public key is no secret
        for keys in (mixed, (stranger[0], own[1])):
            assert outcome(server.endpoint, server_key, keys).startswith("HANDSHAKE_FAILED")
        assert outcome(server.endpoint).startswith("HANDSHAKE_FAILED")
    assert client.hello()["pid"] == server.process.pid, "no stranger's `stop` was heard"


@pytest.fixture
def unattended(home):
    """A server whose authenticator is stopped by SIGCONT."""
    server = ServerProcess(home)
    server.process = subprocess.Popen(
        [sys.executable, "-m", "tests.timo_backend.faults.unattended_server", str(home)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    server.endpoint = server.process.stdout.readline().strip()
    yield server
    server.kill()


def test_nobody_more_is_let_in_once_the_authenticator_has_stopped(unattended):
    server_key, own = connection_keys(unattended.home)
    with unattended.client() as client:
        unattended.client().close()
        unattended.process.send_signal(signal.SIGCONT)
        assert client.hello()["pid"] == unattended.process.pid
        for _ in range(count(short=1, all=5)):
            callers = [(server_key, own), (server_key, zmq.curve_keypair()), ()]
            with ThreadPoolExecutor() as pool:  # each takes seconds
                found = list(pool.map(lambda keys: outcome(unattended.endpoint, *keys), callers))
            assert all(how.startswith("HANDSHAKE_FAILED") for how in found)
        assert client.hello()["pid"] == unattended.process.pid, "who was in stays in, and no `stop` was heard"


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can be a second user")
def test_a_second_user_of_the_machine_cannot_read_the_connection_file(spec):
    folder = Path(tempfile.mkdtemp(prefix="timo-"))  # pytest's own folders are closed to others
    folder.chmod(0o755)
    server = ServerProcess(folder / "home").start()
    try:
        with server.client() as client:
            for _ in range(count(short=1, all=10)):
                wait_for(client, client.submit("predict", spec("succeed")), lambda event: event.final)
                for path in [server.home, *server.home.rglob("*")]:
                    assert not can_read(path), path
                server.home.chmod(0o755)  # were the folder open, the file would not be
                assert can_read(server.home)
                assert not can_read(server.home / "connection.json")
                server.home.chmod(0o700)
                server.end()
                server.start()
    finally:
        server.kill()
        shutil.rmtree(folder)


def can_read(path):
    """Whether the other user gets anything out of it."""
    command = ["ls", "--", str(path)] if path.is_dir() else ["cat", "--", str(path)]
    done = subprocess.run(
        command, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False
    )
    return done.returncode == 0


def test_what_a_client_sent_does_nothing_when_somebody_sends_it_again(server, client, spec, tmp_path):
    job = client.submit("predict", spec("keep"))
    wait_until_running(client, job)
    with Tap(server.endpoint) as tap:
        (tmp_path / "connection.json").write_text(
            json.dumps({**read_connection(server.home), "endpoint": tap.endpoint})
        )
        with Client.connect(tmp_path, timeout=PATIENCE_S) as tapped:
            tapped.pause(job)
            recorded = list(tap.sent)
            go_on(client, job)
            replays = [recorded[: len(recorded) - n % len(recorded)] for n in range(count(short=4, all=50))]
            with ThreadPoolExecutor(8) as pool:  # the server lets each wait for seconds
                list(pool.map(tap.anew, replays))
            assert client.job(job)["state"] == "running"
            tap.again(recorded[-1])  # within the connection whose keys it fits
            tap.again(b"".join(recorded))
            assert client.hello()["pid"] == server.process.pid
            assert client.job(job)["state"] == "running"
            assert tapped.job(job)["state"] == "running", "its client has connected anew"
    states = [event.body["state"] for event in events_so_far(client, job) if event.kind == "state"]
    assert states.count("pausing") == 1


def go_on(client, job):
    wait_for(client, job, lambda event: event.body.get("state") == "paused")
    client.resume(job)
    wait_for(client, job, lambda event: event.kind == "log" and event.body["message"] == "kept 2")


def events_so_far(client, job):
    with closing(client.events(job)) as events:
        return [next(events) for _ in range(client.job(job)["last_seq"])]
