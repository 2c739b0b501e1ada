# SPDX-License-Identifier: GPL-3.0-or-later
"""The window that sets the backend up, and what is pressed and told there; in place of uv a script runs."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel

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


@pytest.fixture
def uv(script, tmp_path, monkeypatch):
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


@pytest.fixture
def press(qtbot):
    """Clicks a button, once it can be clicked."""

    def press(dialog, name):
        button = dialog.findChild(QAbstractButton, name)
        qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled())
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    return press


@pytest.fixture
def told():
    """The sentence below the progress."""
    return lambda dialog: dialog.findChild(QLabel, "timoSetupDetail").text()


@pytest.fixture
def fails(qtbot, press, told):
    """Presses the button, and waits for the sentence."""

    def fails(dialog):
        with qtbot.waitSignal(dialog.installer.failed, timeout=15000) as caught:
            press(dialog, "timoSetupStart")
        qtbot.waitUntil(lambda: not dialog.installer.busy)
        assert told(dialog) == caught.args[0] and "\n" not in told(dialog)
        return caught.args[0]

    return fails


@pytest.fixture
def environment(script, tmp_path):
    """An environment that has TiMo already."""

    def make(version):
        folder = tmp_path / "mine"
        script(folder / "bin" / "timo-backend", f"echo {version}")
        script(folder / "bin" / "python", f"echo '{ANSWER}'")
        return folder

    return make
