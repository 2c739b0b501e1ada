# SPDX-License-Identifier: GPL-3.0-or-later
"""However many servers are started on one home, and whatever a killed one left there: one runs."""

import json
import os
import subprocess
import sys

import pytest

from tests.timo_backend.conftest import PATIENCE_S
from tests.timo_backend.faults.counts import count
from timo_backend.client import Client
from timo_backend.errors import ConnectionFailed
from timo_backend.protocol import read_connection


def serve(home):
    """A server by the command line, as an analyst starts it."""
    command = [sys.executable, "-m", "timo_backend", "serve", "--home", str(home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def demand_refused(process, why):
    said, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1 and said == ""
    assert error.count("\n") == 1 and why in error and "timo-backend stop" in error, error


def test_of_servers_started_at_one_moment_one_runs_also_where_another_was_killed(home):
    for number in range(count(short=2, all=20)):
        started = [serve(home) for _ in range(2 + number % 2)]
        try:
            (winner,) = [process for process in started if process.stdout.readline()]
            with Client.connect(home, timeout=PATIENCE_S) as client:
                assert client.hello()["pid"] == read_connection(home)["pid"] == winner.pid
            for process in started:
                if process is not winner:
                    demand_refused(process, f"already runs in {home}")
            with Client.connect(home, timeout=PATIENCE_S) as client:
                assert client.hello()["pid"] == winner.pid, "the others took nothing away"
        finally:
            for process in started:
                process.kill()  # the next round finds its lock, database and connection file
                process.communicate()


def test_a_lock_file_that_somebody_removed_lets_no_second_server_in(server):
    for _ in range(count(short=1, all=5)):
        (server.home / "lock").unlink()
        demand_refused(serve(server.home), "has the job database")
        with server.client() as client:
            assert client.hello()["pid"] == server.process.pid


def test_a_connection_file_whose_process_id_is_another_program_s_by_now_stops_nobody(server):
    for _ in range(count(short=1, all=10)):
        server.kill()
        left = {**read_connection(server.home), "pid": os.getpid()}
        (server.home / "connection.json").write_text(json.dumps(left))
        with pytest.raises(ConnectionFailed) as caught:
            Client.connect(server.home, timeout=PATIENCE_S)
        assert caught.value.code == "backend_gone"
        server.start()
        with server.client() as client:
            assert client.hello()["pid"] == read_connection(server.home)["pid"] == server.process.pid
