# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``timo-backend``, with the real worker."""

import json
import subprocess
import sys

import pytest

from tests.timo_backend.conftest import PATIENCE_S, final
from timo_backend.client import Client

PROGRAM = [sys.executable, "-m", "timo_backend.cli"]


def call(*arguments):
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@pytest.fixture
def served(home):
    process = subprocess.Popen([*PROGRAM, "serve", "--home", str(home)], stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert str(home / "connection.json") in line
    yield process
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    process.stdout.close()


def one_sentence(done, *names):
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1
    assert all(name in done.stderr for name in names), done.stderr


def test_status_jobs_and_stop_speak_to_the_server(home, served):
    status = call("status", "--home", home, "--json")
    assert json.loads(status.stdout)["pid"] == served.pid
    assert call("jobs", "--home", home).stdout == ""
    assert json.loads(call("jobs", "--home", home, "--json").stdout) == []
    one_sentence(call("cancel", "nobody", "--home", home), "nobody")
    one_sentence(call("serve", "--home", home), "already runs", str(home))
    assert call("stop", "--home", home).returncode == 0
    assert served.wait(PATIENCE_S) == 0
    assert not (home / "connection.json").exists()


def test_a_home_where_no_connection_file_can_be_written_is_one_sentence(home):
    (home / "connection.json").mkdir(parents=True)
    home.chmod(0o700)
    one_sentence(call("serve", "--home", home), str(home), "cannot be used")


def test_the_real_worker_names_what_is_wrong_with_a_job(home, served, tmp_path):
    spec = {
        "series": [str(tmp_path / "nowhere")],
        "model": str(tmp_path / "no-bundle"),
        "out": str(tmp_path / "o.tif"),
    }
    with Client.connect(home, timeout=PATIENCE_S) as client:
        ended = final(client, client.submit("predict", spec))
    assert ended["state"] == "failed"
    assert "no-bundle" in ended["error"]["message"] and ended["error"]["action"]
    assert "no-bundle" in call("jobs", "--home", home).stdout
    assert call("remove", "--days", 1, "--home", home).stdout.startswith("Removed jobs: 0,")
    assert call("remove", "--days", 0, "--home", home).stdout.startswith("Removed jobs: 1,")
    assert call("jobs", "--home", home).stdout == ""
    one_sentence(call("remove", "nobody", "--home", home), "nobody")


def test_without_a_server_each_command_is_one_sentence(home):
    for command in (["status"], ["jobs"], ["cancel", "x"], ["remove", "x"], ["stop"]):
        one_sentence(call(*command, "--home", home), "timo-backend serve")


def test_a_home_that_cannot_be_used_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    one_sentence(call("serve", "--home", tmp_path / "file"), str(tmp_path / "file"))


def test_wrong_usage_ends_with_2(home):
    assert call("serve", "--port", "80").returncode == 2
    assert call("cancel", "--home", home).returncode == 2
    assert call("remove", "--home", home).returncode == 2


def test_an_installation_without_the_backend_says_how_to_mend_it():
    code = "import sys; sys.modules['zmq'] = None; from timo_backend.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    one_sentence(done, "pyzmq", "timo-qgis[backend]")
