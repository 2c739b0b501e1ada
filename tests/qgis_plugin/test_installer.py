# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend is set up from the dock, by its widgets; in place of uv a script runs."""

from __future__ import annotations

import functools
import http.server
import json
import os
import socket
import stat
import threading
from pathlib import Path

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel, QMessageBox, QPlainTextEdit, QWidget

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the programs of these tests are shell scripts")

ANSWER = '{"version": "9", "name": "the processor", "reason": "it was asked for."}'
# The environment that it makes has a Python that answers as `timo check` does, and a backend.
UV = r"""
env > "$HOME_OF_TEST/seen.$(basename "$2")"
if [ "$1" = venv ]; then
  mkdir -p "$2/bin"
  printf '#!/bin/sh\ncat "$HOME_OF_TEST/answer"\n' > "$2/bin/python"
  printf '#!/bin/sh\nexit 1\n' > "$2/bin/timo-backend"
  chmod +x "$2/bin/python" "$2/bin/timo-backend"
fi
"""
RELEASE = 'if [ "$1" = --version ]; then echo "uv 0.8.0 (x86_64)"; exit; fi'
BAD_SYNC = 'if [ "$2" = sync ]; then echo "$SAYS" >&2; exit 2; fi'


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def uv(tmp_path, monkeypatch):
    """Puts a script in the place of uv on PATH."""
    monkeypatch.setenv("HOME_OF_TEST", str(tmp_path))
    (tmp_path / "answer").write_text(ANSWER, encoding="utf-8")

    def make(text=""):
        script(tmp_path / "tools" / "uv", f"{text}\n{RELEASE}\n{UV}")
        monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}:/usr/bin:/bin")

    return make


@pytest.fixture
def no_uv(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


@pytest.fixture
def opened(dock, qtbot):
    """The dialog, opened from the banner, when it knows the computer."""

    def open_():
        button = dock.findChild(QAbstractButton, "timoBannerSetup")
        qtbot.waitUntil(button.isVisible)
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: dock.setup is not None and dock.setup.survey is not None)
        return dock.setup

    return open_


def press(qtbot, dialog, name):
    button = dialog.findChild(QAbstractButton, name)
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled())
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def told(dialog):
    return dialog.findChild(QLabel, "timoSetupDetail").text()


def fails(qtbot, dialog):
    """Press the button, and wait for the sentence."""
    with qtbot.waitSignal(dialog.installer.failed, timeout=15000) as caught:
        press(qtbot, dialog, "timoSetupStart")
    qtbot.waitUntil(lambda: not dialog.installer.busy)
    assert told(dialog) == caught.args[0] and "\n" not in told(dialog)
    return caught.args[0]


def child_of(qtbot, tmp_path):
    """The process that the script has started, when it has."""
    file = tmp_path / "child"
    qtbot.waitUntil(lambda: file.exists() and file.read_text().endswith("\n"), timeout=10000)
    return int(file.read_text())


def lives(number):
    try:
        return " Z " not in Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False


def left(home):
    return sorted(path.name for path in home.iterdir() if path.name not in ("setup.lock", "start.log"))


def test_before_anything_is_done_it_says_what_and_how_much_and_where(opened, tmp_path, uv):
    uv()
    text = opened().findChild(QLabel, "timoSetupWhat").text()
    assert "GB are downloaded from pypi.org" in text and "GB are free" in text
    assert text.splitlines()[-1] == str(tmp_path / "home")  # a line of its own: else it breaks behind a "/"
    assert "processor" in text or "GPU" in text


def test_set_up_is_found_in_the_menu_whether_the_backend_is_there_or_not(plugin, iface, qtbot):
    (entry,) = [action for action in iface.actions if action.objectName() == "timoSetupAction"]
    assert entry.text() == "Set up TiMo…"
    for _ in range(2):
        entry.trigger()
        qtbot.waitUntil(lambda: plugin.dock is not None and plugin.dock.setup is not None, timeout=15000)
        qtbot.waitUntil(plugin.dock.setup.isVisible)
        plugin.dock.setup.close()
    assert plugin.action.isChecked()


def test_set_up_ends_with_the_device_and_the_backend_is_used(dock, opened, uv, tmp_path, qtbot):
    uv()
    dialog, home = opened(), tmp_path / "home"
    with qtbot.waitSignal(dialog.ready, timeout=15000) as caught:
        press(qtbot, dialog, "timoSetupStart")
    version = dialog.installer.layout.version
    program = home / f"environment-{version}" / "bin" / "timo-backend"
    assert caught.args == [str(program)] and program.exists()
    assert "TiMo 9 computes on the processor: it was asked for." in told(dialog)
    assert left(home) == [f"environment-{version}"]
    assert dock.shared.settings.backend_program == str(program)
    qtbot.waitUntil(lambda: dock.shared.backend.state.phase == "failed", timeout=15000)  # it is a script
    assert dialog.findChild(QAbstractButton, "timoSetupClose").isVisible()
    assert not dialog.findChild(QAbstractButton, "timoSetupStart").isVisible()
    dialog.close()
    dock.open_setup()  # another graphics card, another place: it can be done again
    assert dialog.findChild(QAbstractButton, "timoSetupStart").isVisible() and dialog.choices.isVisible()
    assert not dialog.progress.isVisible()


def test_what_earlier_set_ups_left_is_told_and_removed_but_not_what_is_used(
    dock, opened, uv, tmp_path, qtbot
):
    uv()
    home = tmp_path / "home"
    for name in ("environment-0.0.1", "setup.part"):
        (home / name / "cache").mkdir(parents=True)
        (home / name / "cache" / "torch.whl").write_bytes(b"x" * 140_000_000)
    dialog = opened()
    text = dialog.findChild(QLabel, "timoSetupLeft")
    qtbot.waitUntil(text.isVisible)
    assert "take 0.3 GB" in text.text()
    with qtbot.waitSignal(dialog.ready, timeout=15000):
        press(qtbot, dialog, "timoSetupStart")
    dialog.close()
    dock.open_setup()
    qtbot.waitUntil(text.isVisible)
    assert "take 0.1 GB" in text.text()  # the one that failed went with the one that did not
    press(qtbot, dialog, "timoSetupRemove")
    question = dialog.findChild(QMessageBox, "timoQuestion")
    assert question.informativeText().startswith("environment-0.0.1 in ")
    agree = next(b for b in question.buttons() if b.text().replace("&", "") == "Remove them")
    qtbot.mouseClick(agree, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: left(home) == [f"environment-{dialog.installer.layout.version}"])
    qtbot.waitUntil(lambda: not text.isVisible())


def test_environment_of_the_backend_that_still_runs_is_not_offered_to_be_removed(
    dock, opened, uv, tmp_path, qtbot, monkeypatch
):
    from timo_qgis.backend.link import LinkState

    uv()
    (tmp_path / "home" / "environment-0.0.1").mkdir(parents=True)
    (tmp_path / "home" / "environment-0.0.1" / "torch").write_bytes(b"x" * 60_000_000)
    dialog = opened()
    text, backend = dialog.findChild(QLabel, "timoSetupLeft"), dock.shared.backend
    backend.close()
    monkeypatch.setattr(backend, "_send", lambda command: None)
    monkeypatch.setattr(backend, "start", lambda: None)
    backend._on_hello({"pid": 1})
    backend._on_state(LinkState("ready"))
    with qtbot.waitSignal(dialog.ready, timeout=15000):
        press(qtbot, dialog, "timoSetupStart")
    looked = qtbot.waitSignal(dialog.left.changed, timeout=15000)
    dock.open_setup()
    looked.wait()
    assert not text.isVisible()
    backend._on_hello({"pid": 2})
    dock.open_setup()
    qtbot.waitUntil(text.isVisible)


def test_uv_sees_nothing_of_qgis_and_gets_the_proxy_of_qgis(
    opened, uv, qgis_proxy, tmp_path, qtbot, monkeypatch
):
    for name in ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "LD_LIBRARY_PATH", "QT_PLUGIN_PATH", "UV_TARGET"):
        monkeypatch.setenv(name, "/nowhere")
    uv()
    dialog = opened()
    with qtbot.waitSignal(dialog.ready, timeout=15000):
        press(qtbot, dialog, "timoSetupStart")
    seen = dict(
        line.split("=", 1) for line in (tmp_path / "seen.sync").read_text().splitlines() if "=" in line
    )
    assert not {
        "PYTHONHOME",
        "PYTHONPATH",
        "GDAL_DATA",
        "LD_LIBRARY_PATH",
        "QT_PLUGIN_PATH",
        "UV_TARGET",
    } & set(seen)
    assert seen["HTTPS_PROXY"] == qgis_proxy
    assert seen["UV_CACHE_DIR"].startswith(str(tmp_path / "home"))
    assert "secret" not in dialog.findChild(QPlainTextEdit, "timoSetupLog").toPlainText()


def test_cancel_kills_all_that_runs_and_leaves_nothing(opened, uv, tmp_path, qtbot):
    uv('if [ "$2" = sync ]; then sleep 600 & echo $! > $HOME_OF_TEST/child; mkdir $UV_CACHE_DIR; wait; fi')
    dialog = opened()
    press(qtbot, dialog, "timoSetupStart")
    child = child_of(qtbot, tmp_path)
    assert lives(child)
    with qtbot.waitSignal(dialog.installer.cancelled, timeout=10000):
        press(qtbot, dialog, "timoSetupCancel")
    qtbot.waitUntil(lambda: not lives(child))
    assert left(tmp_path / "home") == []
    assert "nothing of it is left" in told(dialog)
    assert dialog.findChild(QAbstractButton, "timoSetupStart").isEnabled()


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
    opened, uv, tmp_path, qtbot, monkeypatch, says, sentence
):
    monkeypatch.setenv("SAYS", says)
    uv(f"{BAD_SYNC.replace('exit 2', 'mkdir -p $UV_CACHE_DIR; touch $UV_CACHE_DIR/kept; exit 2')}")
    dialog = opened()
    assert sentence in fails(qtbot, dialog)
    assert says in dialog.findChild(QPlainTextEdit, "timoSetupLog").toPlainText()
    assert dialog.findChild(QAbstractButton, "timoSetupStart").text() == "Retry"
    assert [path.name for path in (tmp_path / "home" / "setup.part").iterdir()] == ["cache"]
    uv('test "$2" != sync || test -e "$UV_CACHE_DIR/kept" || exit 1')
    with qtbot.waitSignal(dialog.ready, timeout=15000):
        press(qtbot, dialog, "timoSetupStart")


def test_a_disk_that_is_too_small_is_told_before_anything_is_downloaded(opened, uv, tmp_path, qtbot):
    import dataclasses

    uv()
    dialog = opened()
    dialog.survey = dataclasses.replace(
        dialog.survey, lock=dataclasses.replace(dialog.survey.lock, download=10**16)
    )
    assert "GB are needed" in fails(qtbot, dialog)
    assert not (tmp_path / "seen.environment").exists()


def test_a_home_that_cannot_be_written_to_is_told(opened, uv, tmp_path, qtbot):
    uv()
    dialog = opened()
    (tmp_path / "home").rename(tmp_path / "moved") if (tmp_path / "home").exists() else None
    (tmp_path / "home").write_text("a file", encoding="utf-8")
    assert "cannot be written to" in fails(qtbot, dialog)


def test_two_at_once_are_refused(opened, uv, tmp_path, qtbot):
    from qgis.PyQt.QtCore import QLockFile

    uv()
    dialog = opened()
    (tmp_path / "home").mkdir(exist_ok=True)
    other = QLockFile(str(tmp_path / "home" / "setup.lock"))
    other.setStaleLockTime(0)
    assert other.tryLock(0)
    assert "Another QGIS" in fails(qtbot, dialog)
    other.unlock()


def with_uv_at(dialog, url, sha256="0" * 64):
    """Have uv fetched from elsewhere."""
    import dataclasses

    wheel = dataclasses.replace(dialog.survey.uv, url=url, sha256=sha256)
    dialog.survey = dataclasses.replace(dialog.survey, uv=wheel)


def test_no_network_is_one_sentence(opened, no_uv, tmp_path, qtbot):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/uv.whl"
    dialog = opened()
    with_uv_at(dialog, url)
    assert "The package server cannot be reached" in fails(qtbot, dialog)


def test_a_uv_that_is_not_the_known_one_is_refused(opened, no_uv, tmp_path, qtbot):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "uv.whl").write_bytes(b"something else")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        dialog = opened()
        with_uv_at(dialog, f"http://127.0.0.1:{server.server_port}/uv.whl")
        assert "not the one that TiMo was tested with" in fails(qtbot, dialog)
    finally:
        server.shutdown()
        server.server_close()
    assert not list((tmp_path / "home").glob("uv-*/uv"))


@pytest.fixture
def environment(tmp_path):
    """An environment that has TiMo already."""

    def make(version):
        folder = tmp_path / "mine"
        script(folder / "bin" / "timo-backend", f"echo {version}")
        script(folder / "bin" / "python", f"echo '{ANSWER}'")
        return folder

    return make


def choose_existing(dialog, folder):
    dialog.findChild(QAbstractButton, "timoSetupUse").click()
    dialog.findChild(QWidget, "timoSetupExisting").setFilePath(str(folder))


def test_an_environment_that_is_there_is_used_when_it_can_compute(opened, environment, uv, qtbot):
    uv()
    dialog = opened()
    folder = environment(dialog.installer.layout.version)
    choose_existing(dialog, folder / "bin")
    with qtbot.waitSignal(dialog.ready, timeout=15000) as caught:
        press(qtbot, dialog, "timoSetupStart")
    assert caught.args == [str(folder / "bin" / "timo-backend")]
    assert folder.exists()


def test_an_environment_of_another_release_is_refused_and_left_alone(opened, environment, uv, qtbot):
    uv()
    dialog = opened()
    folder = environment("0.0.1")
    choose_existing(dialog, folder)
    assert "has version 0.0.1, and this plugin needs" in fails(qtbot, dialog)
    assert (folder / "bin" / "python").exists()


def test_a_folder_without_timo_is_refused(opened, uv, tmp_path, qtbot):
    uv()
    dialog = opened()
    choose_existing(dialog, tmp_path)
    assert "There is no working TiMo in" in fails(qtbot, dialog)


def test_a_folder_must_be_named_before_it_can_begin(opened, uv, qtbot):
    uv()
    dialog = opened()
    start = dialog.findChild(QAbstractButton, "timoSetupStart")
    assert start.isEnabled()
    dialog.findChild(QAbstractButton, "timoSetupWheels").click()
    assert not start.isEnabled()
    assert "pip download" in dialog.findChild(QLabel, "timoSetupHow").text()


def test_a_folder_of_wheels_without_uv_says_what_is_missing(opened, no_uv, tmp_path, qtbot):
    dialog = opened()
    dialog.findChild(QAbstractButton, "timoSetupWheels").click()
    dialog.findChild(QWidget, "timoSetupOffline").setFilePath(str(tmp_path))
    assert "uv-" in fails(qtbot, dialog)


def test_closing_the_window_does_not_stop_it_and_unloading_does(plugin, opened, uv, tmp_path, qtbot):
    uv('if [ "$2" = sync ]; then echo $$ > "$HOME_OF_TEST/child"; exec sleep 600; fi')
    dialog = opened()
    press(qtbot, dialog, "timoSetupStart")
    child = child_of(qtbot, tmp_path)
    dialog.close()
    qtbot.wait(100)
    assert lives(child) and dialog.installer.busy
    plugin.unload()
    qtbot.waitUntil(lambda: not lives(child))


def test_json_of_uv_has_a_wheel_for_every_lock(package):
    folder = Path(package.__file__).parent / "resources" / "locks"
    known = json.loads((folder / "uv.json").read_text())
    for lock in folder.glob("*-*.txt"):
        wheel = known["wheels"][lock.stem.rpartition("-")[0]]
        assert wheel["url"].startswith("https://files.pythonhosted.org/") and len(wheel["sha256"]) == 64


def test_an_old_uv_is_not_taken(opened, uv, tmp_path, qtbot):
    uv('if [ "$1" = --version ]; then echo "uv 0.7.22 (x86_64)"; exit; fi')
    dialog = opened()
    dialog.findChild(QAbstractButton, "timoSetupWheels").click()
    dialog.findChild(QWidget, "timoSetupOffline").setFilePath(str(tmp_path))
    assert "in release 0.8.0 or newer: put uv-" in fails(qtbot, dialog)
    assert not (tmp_path / "seen.environment").exists()
