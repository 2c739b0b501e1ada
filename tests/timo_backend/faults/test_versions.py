# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases that meet another: a typed refusal, or an older database that keeps every row."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from tests.timo_backend.conftest import PATIENCE_S, ServerProcess, final
from tests.timo_backend.faults.checks import demand_sound, demand_whole, told
from tests.timo_backend.faults.counts import count
from tests.timo_backend.faults.test_killed_server import older_database
from tests.timo_backend.test_wire import Bare
from timo_backend.client import Client
from timo_backend.errors import ConnectionFailed
from timo_backend.migrations import MIGRATIONS
from timo_backend.other_release import end_other, is_there
from timo_backend.protocol import VERSION, read_connection

OTHERS = [VERSION - 1, VERSION + 1, 2**40]


@pytest.mark.parametrize("version", OTHERS)
def test_a_client_of_another_release_is_told_so_whatever_it_asks(server, client, version):
    bare = Bare(server.home)
    for kind in ("hello", "submit", "stop", "something new"):
        answer = bare.ask({"v": version, "id": kind, "type": kind, "body": {"new": 1}, "flags": []})
        assert (answer["id"], answer["type"]) == (kind, "error")
        assert answer["body"]["code"] == "protocol_unsupported"
        assert answer["body"]["detail"] == {"version": VERSION} and "release" in answer["body"]["action"]
    bare.close()
    assert client.hello()["pid"] == server.process.pid


@pytest.mark.parametrize("version", OTHERS)
def test_a_client_refuses_a_server_of_another_release(server, tmp_path, version):
    (tmp_path / "connection.json").write_text(
        json.dumps({**read_connection(server.home), "protocol": version})
    )
    with pytest.raises(ConnectionFailed, match="same release") as caught:
        Client.connect(tmp_path)
    assert caught.value.code == "protocol_unsupported"


def serve(home, version):
    """The real program, of a release that speaks another version of the protocol."""
    program = "import sys, timo_backend.protocol as p; p.VERSION = int(sys.argv.pop(1)); "
    command = [sys.executable, "-c", program + "from timo_backend.cli import main; main()"]
    process = subprocess.Popen(
        [*command, str(version), "serve", "--home", str(home)], stdout=subprocess.PIPE, text=True
    )
    assert "listens" in process.stdout.readline()
    return process


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_a_server_of_another_release_can_be_ended_so_that_this_one_takes_its_place(home, version):
    process = serve(home, version)
    try:
        with pytest.raises(ConnectionFailed, match="same release"):
            Client.connect(home)
        connection = read_connection(home, any_version=True)
        assert is_there(connection)
        end_other(connection)
        assert process.wait(PATIENCE_S) == 0
        assert not (home / "connection.json").exists()
    finally:
        process.kill()
        process.stdout.close()
    server = ServerProcess(home).start()
    server.end()


def test_the_command_stop_ends_a_server_of_another_release(home):
    process = serve(home, VERSION + 1)
    try:
        command = [sys.executable, "-m", "timo_backend", "stop", "--home", str(home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert (done.returncode, done.stderr) == (0, "") and "another release" in done.stdout
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.stdout.close()


def test_the_file_of_a_killed_server_of_another_release_is_known_to_be_a_leftover(home):
    process = serve(home, VERSION + 1)
    process.kill()
    process.wait(PATIENCE_S)
    process.stdout.close()
    connection = read_connection(home, any_version=True)
    assert not is_there(connection)
    end_other(connection)


def test_a_busy_server_of_another_release_is_not_taken_for_a_dead_one(home):
    process = serve(home, VERSION + 1)
    connection = read_connection(home, any_version=True)
    try:
        process.send_signal(signal.SIGSTOP)
        threading.Timer(1.5, process.send_signal, [signal.SIGCONT]).start()
        begun = time.monotonic()
        assert is_there(connection) and time.monotonic() - begun > 1
        process.send_signal(signal.SIGSTOP)
        threading.Timer(1.5, process.send_signal, [signal.SIGCONT]).start()
        end_other(connection)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.stdout.close()


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "1"}, {"protocol": None}, {"endpoint": "tcp://10.0.0.1:4000"}, {"endpoint": "ipc:///x"},
        {"server_public_key": "short"}, {"client_secret_key": "\n" * 40}, {"client_public_key": 7},
        {"server_public_key": "#" * 40},
    ],
)  # fmt: skip
def test_a_connection_file_that_no_server_writes_is_told_so(server, tmp_path, change):
    (tmp_path / "connection.json").write_text(json.dumps({**read_connection(server.home), **change}))
    for any_version in (False, True):
        with pytest.raises(ConnectionFailed, match="not a backend's connection file") as caught:
            read_connection(tmp_path, any_version)
        assert caught.value.code == "connection_invalid"


def test_a_server_brings_an_older_database_up_to_date_and_keeps_every_row(tmp_path, spec):
    for number in range(count(short=1, all=5)):
        home = tmp_path / f"home {number}"
        older_database(home)
        before = told(home)
        server = ServerProcess(home).start()
        try:
            with server.client() as client:
                jobs = [row["id"] for row in client.jobs()]
                new = client.submit("predict", spec("succeed"))
                assert final(client, new)["state"] == "succeeded"
            server.end()
        finally:
            server.process.kill()
        after = told(home)
        assert set(jobs) == set(before) and set(after) == {*jobs, new}
        for job, events in after.items():
            demand_whole(events)
            assert events[: len(before.get(job, []))] == before.get(job, [])
        demand_sound(home)


def test_a_server_leaves_a_newer_database_as_it_is_and_says_so_in_a_sentence(home):
    home.mkdir(mode=0o700)
    with closing(sqlite3.connect(home / "jobs.sqlite")) as db:
        db.execute("CREATE TABLE things_to_come (x)")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = rows(home)
    command = [sys.executable, "-m", "timo_backend", "serve", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "newer release" in done.stderr and "Update the backend" in done.stderr
    assert "Traceback" not in done.stderr
    assert rows(home) == before
    assert not (home / "connection.json").exists()


def rows(home):
    with closing(sqlite3.connect(home / "jobs.sqlite")) as db:
        return [*db.execute("PRAGMA user_version"), *db.iterdump()]
