# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend is set up from the dock, by its widgets, and what is left of it when it ends or is stopped."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel, QMessageBox, QPlainTextEdit


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


def test_set_up_ends_with_the_device_and_the_backend_is_used(dock, opened, uv, tmp_path, qtbot, press, told):
    uv()
    dialog, home = opened(), tmp_path / "home"
    with qtbot.waitSignal(dialog.ready, timeout=15000) as caught:
        press(dialog, "timoSetupStart")
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
    dock, opened, uv, tmp_path, qtbot, press
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
        press(dialog, "timoSetupStart")
    dialog.close()
    dock.open_setup()
    qtbot.waitUntil(text.isVisible)
    assert "take 0.1 GB" in text.text()  # the one that failed went with the one that did not
    press(dialog, "timoSetupRemove")
    question = dialog.findChild(QMessageBox, "timoQuestion")
    assert question.informativeText().startswith("environment-0.0.1 in ")
    agree = next(b for b in question.buttons() if b.text().replace("&", "") == "Remove them")
    qtbot.mouseClick(agree, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: left(home) == [f"environment-{dialog.installer.layout.version}"])
    qtbot.waitUntil(lambda: not text.isVisible())


def test_environment_of_the_backend_that_still_runs_is_not_offered_to_be_removed(
    dock, opened, uv, tmp_path, qtbot, monkeypatch, press
):
    from timo_qgis.backend.link_state import LinkState

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
        press(dialog, "timoSetupStart")
    looked = qtbot.waitSignal(dialog.left.changed, timeout=15000)
    dock.open_setup()
    looked.wait()
    assert not text.isVisible()
    backend._on_hello({"pid": 2})
    dock.open_setup()
    qtbot.waitUntil(text.isVisible)


def test_uv_sees_nothing_of_qgis_and_gets_the_proxy_of_qgis(
    opened, uv, qgis_proxy, tmp_path, qtbot, monkeypatch, press
):
    for name in ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "LD_LIBRARY_PATH", "QT_PLUGIN_PATH", "UV_TARGET"):
        monkeypatch.setenv(name, "/nowhere")
    uv()
    dialog = opened()
    with qtbot.waitSignal(dialog.ready, timeout=15000):
        press(dialog, "timoSetupStart")
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


def test_cancel_kills_all_that_runs_and_leaves_nothing(opened, uv, tmp_path, qtbot, press, told):
    uv('if [ "$2" = sync ]; then sleep 600 & echo $! > $HOME_OF_TEST/child; mkdir $UV_CACHE_DIR; wait; fi')
    dialog = opened()
    press(dialog, "timoSetupStart")
    child = child_of(qtbot, tmp_path)
    assert lives(child)
    with qtbot.waitSignal(dialog.installer.cancelled, timeout=10000):
        press(dialog, "timoSetupCancel")
    qtbot.waitUntil(lambda: not lives(child))
    assert left(tmp_path / "home") == []
    assert "nothing of it is left" in told(dialog)
    assert dialog.findChild(QAbstractButton, "timoSetupStart").isEnabled()


def test_closing_the_window_does_not_stop_it_and_unloading_does(plugin, opened, uv, tmp_path, qtbot, press):
    uv('if [ "$2" = sync ]; then echo $$ > "$HOME_OF_TEST/child"; exec sleep 600; fi')
    dialog = opened()
    press(dialog, "timoSetupStart")
    child = child_of(qtbot, tmp_path)
    dialog.close()
    qtbot.wait(100)
    assert lives(child) and dialog.installer.busy
    plugin.unload()
    qtbot.waitUntil(lambda: not lives(child))
