# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend that is not there, or does not start, is said in the dock with what to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel, QPushButton, QWidget

READY = 60_000
OTHER = "import timo_backend.protocol as p; p.VERSION += 1; from timo_backend.cli import main; main()"


def phase(dock):
    return dock.shared.backend.state.phase


def test_missing_program_is_said_with_a_field_to_name_it_and_a_retry(dock, qtbot):
    qtbot.waitUntil(lambda: phase(dock) == "missing")
    assert "/nowhere/timo-backend" in dock.findChild(QLabel, "timoBannerMessage").text()
    assert "Retry" in dock.findChild(QLabel, "timoBannerAction").text()
    assert dock.findChild(QWidget, "timoBannerProgram").isVisible()
    assert dock.findChild(QAbstractButton, "timoBannerRetry").isEnabled()


def test_nothing_can_be_run_and_the_pages_say_why(dock, twelve_dates, qtbot):
    qtbot.waitUntil(lambda: phase(dock) == "missing")
    for name in ("timoTrain", "timoPredict"):
        assert not dock.findChild(QAbstractButton, f"{name}Run").isEnabled()
        assert "backend" in dock.findChild(QLabel, f"{name}Reason").text()


def test_program_that_fails_is_said_with_its_last_words(dock, script, tmp_path, qtbot):
    program = script(tmp_path / "broken", "echo 'No module named timo' >&2; exit 1")
    qtbot.waitUntil(lambda: phase(dock) == "missing")
    dock.findChild(QWidget, "timoBannerProgram").setFilePath(str(program))
    qtbot.mouseClick(dock.findChild(QAbstractButton, "timoBannerRetry"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: phase(dock) == "failed", timeout=15000)
    assert "No module named timo" in dock.findChild(QLabel, "timoBannerMessage").text()


def test_interface_lives_while_a_program_does_not_answer(dock, script, tmp_path, qtbot):
    program = script(tmp_path / "slow", "echo $$ > $(dirname $0)/pid; exec sleep 60")
    qtbot.waitUntil(lambda: phase(dock) == "missing")
    dock.shared.backend.use(str(program))
    qtbot.waitUntil(lambda: phase(dock) == "starting" and (tmp_path / "pid").exists())
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start(10)
    qtbot.waitUntil(lambda: len(ticks) > 20)
    assert dock.findChild(QWidget, "timoBannerBusy").isVisible()
    os.kill(int((tmp_path / "pid").read_text()), 9)


def test_damaged_connection_file_does_not_stop_the_search(dock, tmp_path, qtbot):
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (home / "connection.json").write_text("{", encoding="utf-8")
    dock.shared.backend.use("/nowhere/else")
    qtbot.waitUntil(lambda: "/nowhere/else" in dock.findChild(QLabel, "timoBannerMessage").text())


def test_backend_of_another_release_is_said_once_with_what_to_do(dock, package, iface, qtbot):
    from pathlib import Path

    from timo_qgis.backend.link_state import LinkState

    qtbot.waitUntil(lambda: phase(dock) == "missing")
    (wheel,) = (Path(package.__file__).parent / "wheels").glob("timo_qgis-*.whl")
    ours = wheel.name.split("-")[1]

    def connect(version):
        iface.bar.clearWidgets()
        dock.shared.backend._on_hello({"version": version})
        for state in ("connecting", "ready"):
            dock.shared.backend._on_state(LinkState(state))
        return iface.bar.currentItem()

    assert connect(ours) is None
    told = connect("0.0.7")
    assert f"TiMo 0.0.7, and this plugin needs {ours}" in told.text()
    assert [button.text() for button in told.findChildren(QPushButton)] == ["Set up TiMo…"]
    assert connect("0.0.7") is None


@pytest.fixture
def another_release(backend_program, tmp_path, qtbot):
    """A real backend that speaks a version of the protocol to come, and its home."""
    python = backend_program.with_name(backend_program.name.replace("timo-backend", "python"))
    home = tmp_path / "home"
    server = subprocess.Popen([str(python), "-c", OTHER, "serve", "--home", str(home)])
    try:
        qtbot.waitUntil((home / "connection.json").exists, timeout=READY)
        yield server
    finally:
        server.kill()
        server.wait(30)
        subprocess.run([str(backend_program), "stop", "--home", str(home)], check=False, capture_output=True)


def test_backend_that_the_plugin_does_not_understand_is_replaced_by_a_click(
    plugin, another_release, backend_program, monkeypatch, qtbot
):
    monkeypatch.setenv("TIMO_BACKEND", str(backend_program))
    dock = plugin.open()
    qtbot.waitUntil(lambda: phase(dock) == "unsupported", timeout=READY)
    assert "another release" in dock.findChild(QLabel, "timoBannerMessage").text()
    assert another_release.poll() is None
    replace = dock.findChild(QPushButton, "timoBannerReplace")
    assert replace.isVisible() and dock.findChild(QPushButton, "timoBannerSetup").isVisible()
    phases = []
    dock.shared.backend.state_changed.connect(lambda state: phases.append(state.phase))
    qtbot.mouseClick(dock.findChild(QPushButton, "timoBannerRetry"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: phases == ["connecting", "unsupported"], timeout=READY)
    assert another_release.poll() is None, "it was ended unasked"
    qtbot.mouseClick(replace, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: phase(dock) == "ready", timeout=READY)
    assert another_release.wait(30) == 0
    assert not replace.isVisible()
    assert dock.shared.backend.server["pid"] != another_release.pid


def test_backend_is_not_ended_where_nothing_would_take_its_place(another_release, dock, qtbot):
    qtbot.waitUntil(lambda: phase(dock) == "unsupported", timeout=READY)
    qtbot.mouseClick(dock.findChild(QPushButton, "timoBannerReplace"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: phase(dock) == "missing", timeout=READY)
    assert another_release.poll() is None


def test_program_of_another_release_too_is_said_and_runs_on(
    plugin, another_release, backend_program, script, monkeypatch, tmp_path, qtbot
):
    python = backend_program.with_name(backend_program.name.replace("timo-backend", "python"))
    program = script(tmp_path / "old" / "timo-backend", f'exec {python} -c "{OTHER}" "$@"')
    monkeypatch.setenv("TIMO_BACKEND", str(program))
    dock = plugin.open()
    qtbot.waitUntil(lambda: phase(dock) == "unsupported", timeout=READY)
    qtbot.mouseClick(dock.findChild(QPushButton, "timoBannerReplace"), Qt.MouseButton.LeftButton)
    told = dock.findChild(QLabel, "timoBannerMessage")
    qtbot.waitUntil(lambda: "that was started is of another release, too" in told.text(), timeout=READY)
    assert another_release.wait(30) == 0
    assert "Set up" in dock.findChild(QLabel, "timoBannerAction").text()
    connection = json.loads((tmp_path / "home" / "connection.json").read_text())
    os.kill(connection["pid"], signal.SIGTERM)  # it was left alone


def test_file_of_a_killed_backend_of_another_release_is_in_nobodys_way(
    plugin, another_release, backend_program, monkeypatch, qtbot
):
    another_release.kill()
    another_release.wait(30)
    monkeypatch.setenv("TIMO_BACKEND", str(backend_program))
    dock = plugin.open()
    qtbot.waitUntil(lambda: phase(dock) == "ready", timeout=READY)


def test_home_that_cannot_be_made_is_said(plugin, script, monkeypatch, tmp_path, qtbot):
    (tmp_path / "file").write_text("", encoding="utf-8")
    program = script(tmp_path / "program", "exit 0")
    monkeypatch.setenv("TIMO_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setenv("TIMO_BACKEND", str(program))
    dock = plugin.open()
    qtbot.waitUntil(lambda: phase(dock) == "failed")
    assert "cannot be written" in dock.findChild(QLabel, "timoBannerMessage").text()


def test_action_opens_and_closes_the_dock(plugin, iface, qtbot):
    plugin.action.trigger()
    qtbot.waitUntil(lambda: plugin.dock is not None and plugin.dock.isVisible())
    assert plugin.dock.tabs.count() == 4
    plugin.action.trigger()
    assert not plugin.dock.isVisible()


def test_unload_leaves_nothing_behind(package, iface, qtbot):
    plugin = package.classFactory(iface)
    plugin.initGui()
    dock = plugin.open()
    qtbot.waitUntil(lambda: phase(dock) == "missing")
    with qtbot.waitSignal(dock.destroyed):
        plugin.unload()
    assert iface.actions == []
    assert iface.window.findChildren(QWidget, "TimoDock") == []
    qtbot.waitUntil(lambda: not any("timo" in type(child).__module__ for child in iface.window.children()))
