# SPDX-License-Identifier: GPL-3.0-or-later
"""The report that an analyst sends: what it tells, what it doesn't, and that it is made whatever is wrong."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys

import pytest

from tests.timo_backend.conftest import PATIENCE_S, ServerProcess, final
from timo_backend.migrations import MIGRATIONS
from timo_backend.protocol import read_connection

USER = "adalovelace"


@pytest.fixture
def home(tmp_path):
    return tmp_path / "Ädas forest" / "home"


@pytest.fixture
def doctor(home, tmp_path):
    """Runs the program as the user whose folder holds the home; its status and report."""

    def run(home=home, program=("-m", "timo_backend.cli"), **more):
        environ = {**os.environ, "HOME": str(tmp_path / "Ädas forest"), "LOGNAME": USER, **more}
        done = subprocess.run(
            [sys.executable, *program, "doctor", "--home", str(home)],
            env=environ,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.stderr == "", done.stderr
        assert done.returncode == any(line.startswith("!") for line in done.stdout.splitlines())
        return done.returncode, done.stdout

    return run


@pytest.fixture
def failed(server, client, spec):
    """A job that failed; its error and its log name paths."""
    job = client.submit("predict", spec("lack", series=["/data/hush client/forest 2"]))
    assert "hush client" in final(client, job)["error"]["message"]
    keys = read_connection(server.home)
    log = server.home / "logs" / f"{job}.log"
    log.write_text(
        f"ERROR 4: /data/hush client/S2 1.tif: No such file\n"
        f"opened '{server.home}/results/hush map.tif' for {USER} on {socket.gethostname()}\n"
        f"{json.dumps(keys)}\n{'/hush ' * 1000}\nits last word\n",
        encoding="utf-8",
    )
    return job


def wrong(report):
    return [line for line in report.splitlines() if line.startswith("!")]


def assert_private(report, home, keys):
    assert "hush" not in report and "forest" not in report
    assert str(home) not in report and str(home.parent) not in report
    assert USER not in report
    assert f" {socket.gethostname()}\n" not in report
    assert not any(keys[name] in report for name in keys if name.endswith("_key"))


def test_a_report_beside_a_running_server_tells_the_last_failures_and_nothing_private(
    server, client, doctor, failed
):
    status, report = doctor()
    assert status == 0, wrong(report)
    assert f"runs as process {server.process.pid}" in report
    assert "1 failed" in report and f"{failed} predict, attempt 1: series_empty" in report
    assert "Folder <path> has no rasters." in report and "Pick another folder." in report
    assert "<path>.tif: No such file" in report and "its last word" in report
    assert "(a line of 6000 characters)" in report
    assert "listens on tcp://127.0.0.1:" in report  # of server.log
    assert "libzmq" in report and "CURVE" in report and "torch 2" in report and "has GDAL 3" in report
    assert_private(report, server.home, read_connection(server.home))


def test_a_report_after_a_killed_server_is_made_from_its_database_and_changes_nothing(
    server, client, doctor, failed
):
    keys = read_connection(server.home)
    server.kill()
    before = (server.home / "jobs.sqlite").read_bytes()
    status, report = doctor()
    assert status == 0, wrong(report)
    assert "backend_gone" in report
    assert f"{failed} predict, attempt 1: series_empty" in report and "its last word" in report
    assert (server.home / "jobs.sqlite").read_bytes() == before
    assert_private(report, server.home, keys)
    server.start()
    with server.client() as again:
        assert again.job(failed)["state"] == "failed"


def test_a_report_beside_a_server_that_hangs_says_so(server, doctor):
    server.process.send_signal(signal.SIGSTOP)
    status, report = doctor()
    server.process.send_signal(signal.SIGCONT)
    assert status == 1
    assert any("backend_mute" in line for line in wrong(report))
    assert any("locked" in line for line in wrong(report))


def test_a_home_that_is_not_there_yet_is_not_made(home, doctor):
    status, report = doctor()
    assert status == 0, wrong(report)
    assert "no backend has run here" in report
    assert not home.exists()


def test_a_home_that_is_a_file_or_open_to_others_is_marked(home, doctor, tmp_path):
    home.parent.mkdir()
    home.touch()
    assert "cannot be read" in wrong(doctor()[1])[0]
    home.unlink()
    home.mkdir()
    home.chmod(0o755)
    assert wrong(doctor()[1]) == ["! the home has mode 755"]


def test_a_home_that_cannot_be_read_is_a_line(home, doctor):
    home.mkdir(parents=True)
    program = (
        "import os, sys; from pathlib import Path; from timo_backend.doctor import Report\n"
        "Report(Path('/nowhere')).examine()\n"  # what this needs is loaded then
        "if os.geteuid() == 0: os.setuid(65534)\n"  # what root may, others may not
        "report = Report(Path(sys.argv[-1]))\n"
        "print(report.examine())\n"
        "sys.exit(not report.well)"
    )
    home.chmod(0)
    try:
        status, report = doctor(program=("-c", program))
    finally:
        home.chmod(0o700)
    assert status == 1
    assert any("cannot be read: Permission denied" in line for line in wrong(report))


def test_a_database_that_is_damaged_or_newer_is_a_line(home, doctor):
    ServerProcess(home).start().end()
    file = home / "jobs.sqlite"
    whole = file.read_bytes()
    file.write_bytes(b"no database" * 1000)
    assert any("database cannot be read" in line for line in wrong(doctor()[1]))
    file.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    assert any("database" in line for line in wrong(doctor()[1]))
    file.write_bytes(whole)
    with sqlite3.connect(file) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    assert any("newer release" in line for line in wrong(doctor()[1]))
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    db.close()


@pytest.mark.parametrize("content", ["", "{}", '{"protocol": 99}', "[1]"])
def test_a_connection_file_that_is_none_is_a_line(home, doctor, content):
    home.mkdir(parents=True, mode=0o700)
    (home / "connection.json").write_text(content)
    (home / "connection.json").chmod(0o600)
    assert "connection_invalid" in wrong(doctor()[1])[0]


def test_keys_that_are_none_are_a_line(home, doctor):
    home.mkdir(parents=True, mode=0o700)
    names = ("endpoint", "server_public_key", "client_public_key", "client_secret_key")
    (home / "connection.json").write_text(json.dumps({"protocol": 1, **dict.fromkeys(names, "é")}))
    (home / "connection.json").chmod(0o600)
    assert "connection.json is not a backend's connection file" in wrong(doctor()[1])[0]


def test_a_library_that_cannot_be_loaded_is_a_line(home, doctor, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "rasterio.py").write_text("raise ImportError('DLL load failed')")
    path = os.pathsep.join([str(tmp_path / "broken"), *filter(None, [os.environ.get("PYTHONPATH")])])
    assert wrong(doctor(PYTHONPATH=path)[1]) == [
        "! rasterio cannot be loaded: status 1, ImportError: DLL load failed"
    ]
