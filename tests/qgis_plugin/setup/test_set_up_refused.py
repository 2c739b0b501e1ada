# SPDX-License-Identifier: GPL-3.0-or-later
"""A set-up that cannot be: a sentence says why, and what was there stays."""

from __future__ import annotations

import functools
import http.server
import socket
import threading

import pytest
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel, QPlainTextEdit, QWidget

BAD_SYNC = 'if [ "$2" = sync ]; then echo "$SAYS" >&2; exit 2; fi'


def with_uv_at(dialog, url, sha256="0" * 64):
    """Have uv fetched from elsewhere."""
    import dataclasses

    wheel = dataclasses.replace(dialog.survey.uv, url=url, sha256=sha256)
    dialog.survey = dataclasses.replace(dialog.survey, uv=wheel)


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ("error: error sending request for url (https://pypi.org/simple/x/)", "cannot be reached"),
        ("error: 407 Proxy Authentication Required", "The proxy refused"),
        ("error: No space left on device (os error 28)", "The disk is full"),
        ("error: Hash mismatch for torch", "not the one that TiMo was tested with"),
    ],
)
def test_a_failure_is_one_sentence_and_retry_goes_on(
    opened, uv, tmp_path, qtbot, monkeypatch, says, sentence, press, fails
):
    monkeypatch.setenv("SAYS", says)
    uv(f"{BAD_SYNC.replace('exit 2', 'mkdir -p $UV_CACHE_DIR; touch $UV_CACHE_DIR/kept; exit 2')}")
    dialog = opened()
    assert sentence in fails(dialog)
    assert says in dialog.findChild(QPlainTextEdit, "timoSetupLog").toPlainText()
    assert dialog.findChild(QAbstractButton, "timoSetupStart").text() == "Retry"
    assert [path.name for path in (tmp_path / "home" / "setup.part").iterdir()] == ["cache"]
    uv('test "$2" != sync || test -e "$UV_CACHE_DIR/kept" || exit 1')
    with qtbot.waitSignal(dialog.ready, timeout=15000):
        press(dialog, "timoSetupStart")


def test_a_disk_that_is_too_small_is_told_before_anything_is_downloaded(opened, uv, tmp_path, fails):
    import dataclasses

    uv()
    dialog = opened()
    dialog.survey = dataclasses.replace(
        dialog.survey, lock=dataclasses.replace(dialog.survey.lock, download=10**16)
    )
    assert "GB are needed" in fails(dialog)
    assert not (tmp_path / "seen.environment").exists()


def test_a_home_that_cannot_be_written_to_is_told(opened, uv, tmp_path, fails):
    uv()
    dialog = opened()
    (tmp_path / "home").rename(tmp_path / "moved") if (tmp_path / "home").exists() else None
    (tmp_path / "home").write_text("a file", encoding="utf-8")
    assert "cannot be written to" in fails(dialog)


def test_two_at_once_are_refused(opened, uv, tmp_path, fails):
    from qgis.PyQt.QtCore import QLockFile

    uv()
    dialog = opened()
    (tmp_path / "home").mkdir(exist_ok=True)
    other = QLockFile(str(tmp_path / "home" / "setup.lock"))
    other.setStaleLockTime(0)
    assert other.tryLock(0)
    assert "Another QGIS" in fails(dialog)
    other.unlock()


def test_no_network_is_one_sentence(opened, no_uv, tmp_path, fails):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/uv.whl"
    dialog = opened()
    with_uv_at(dialog, url)
    assert "The package server cannot be reached" in fails(dialog)


def test_a_uv_that_is_not_the_known_one_is_refused(opened, no_uv, tmp_path, fails):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "uv.whl").write_bytes(b"something else")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        dialog = opened()
        with_uv_at(dialog, f"http://127.0.0.1:{server.server_port}/uv.whl")
        assert "not the one that TiMo was tested with" in fails(dialog)
    finally:
        server.shutdown()
        server.server_close()
    assert not list((tmp_path / "home").glob("uv-*/uv"))


def test_a_folder_must_be_named_before_it_can_begin(opened, uv):
    uv()
    dialog = opened()
    start = dialog.findChild(QAbstractButton, "timoSetupStart")
    assert start.isEnabled()
    dialog.findChild(QAbstractButton, "timoSetupWheels").click()
    assert not start.isEnabled()
    assert "pip download" in dialog.findChild(QLabel, "timoSetupHow").text()


def test_a_folder_of_wheels_without_uv_says_what_is_missing(opened, no_uv, tmp_path, fails):
    dialog = opened()
    dialog.findChild(QAbstractButton, "timoSetupWheels").click()
    dialog.findChild(QWidget, "timoSetupOffline").setFilePath(str(tmp_path))
    assert "uv-" in fails(dialog)


def test_an_old_uv_is_not_taken(opened, uv, tmp_path, fails):
    uv('if [ "$1" = --version ]; then echo "uv 0.7.22 (x86_64)"; exit; fi')
    dialog = opened()
    dialog.findChild(QAbstractButton, "timoSetupWheels").click()
    dialog.findChild(QWidget, "timoSetupOffline").setFilePath(str(tmp_path))
    assert "in release 0.8.0 or newer: put uv-" in fails(dialog)
    assert not (tmp_path / "seen.environment").exists()
