# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows and macOS do differently, with the platform faked where it can't be run."""

import os
import signal
import stat
import subprocess

import pytest

from timo_backend import platforms


@pytest.fixture
def busy(monkeypatch, tmp_path):
    """Makes a file's replacement fail so often, as Windows does while a program reads the file."""
    monkeypatch.setattr(platforms, "REPLACE_EVERY_S", 0.001)
    part, path = tmp_path / "part", tmp_path / "path"
    part.write_text("new")
    path.write_text("old")
    real = type(path).replace

    def make(times):
        left = [times]

        def replace(self, target):
            left[0] -= 1
            if left[0] >= 0:
                raise PermissionError(13, "in use")
            return real(self, target)

        monkeypatch.setattr(type(path), "replace", replace)
        return part, path

    return make


def test_windows_waits_while_a_client_reads_the_file_that_shall_be_replaced(busy):
    part, path = busy(3)
    platforms.replace(part, path, "win32")
    assert path.read_text() == "new"


def test_a_file_that_stays_in_use_is_an_error_and_elsewhere_it_is_one_at_once(busy):
    part, path = busy(1000)
    for platform in ("win32", "linux", "darwin"):
        with pytest.raises(PermissionError):
            platforms.replace(part, path, platform)
    assert path.read_text() == "old"


def test_a_new_folder_is_closed_to_others_on_every_platform(tmp_path, monkeypatch):
    monkeypatch.setenv("USERNAME", "ada")
    monkeypatch.setenv("USERDOMAIN", "OFFICE")
    tmp_path.chmod(0o755)
    commands = []
    assert platforms.is_open(tmp_path, "win32") and platforms.is_open(tmp_path, "linux")
    platforms.close(tmp_path, "win32", commands.append)
    assert commands == [["icacls", str(tmp_path), "/inheritance:r", "/grant:r", "OFFICE\\ada:(OI)(CI)F"]]
    platforms.close(tmp_path, "darwin")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    (tmp_path / "lock").touch()
    assert not platforms.is_open(tmp_path, "win32"), "one that is in use keeps the rights that it has"
    assert not platforms.is_foreign(tmp_path, "win32") and not platforms.is_foreign(tmp_path)


def test_a_folder_that_cannot_be_closed_is_an_error_of_the_system(tmp_path):
    def fail(command):
        raise subprocess.CalledProcessError(5, command)

    with pytest.raises(OSError, match="access list"):
        platforms.close(tmp_path, "win32", fail)


def test_one_process_alone_has_the_lock_and_it_can_still_be_read(tmp_path):
    with (tmp_path / "lock").open("a+") as one, (tmp_path / "lock").open("a+") as other:
        platforms.lock(one)
        with pytest.raises(OSError):
            platforms.lock(other)
        assert other.read() == ""


def test_the_signals_that_end_the_server_are_those_of_the_platform():
    assert signal.SIGHUP in platforms.stop_signals("linux")
    assert {signal.SIGINT, signal.SIGTERM} <= set(platforms.stop_signals("win32"))
    assert os.name != "posix" or signal.SIGHUP not in platforms.stop_signals("win32")
