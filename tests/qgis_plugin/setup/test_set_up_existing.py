# SPDX-License-Identifier: GPL-3.0-or-later
"""An environment that has TiMo already is taken in place of a new one, and never touched."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QAbstractButton, QWidget


def choose_existing(dialog, folder):
    dialog.findChild(QAbstractButton, "timoSetupUse").click()
    dialog.findChild(QWidget, "timoSetupExisting").setFilePath(str(folder))


def test_an_environment_that_is_there_is_used_when_it_can_compute(opened, environment, uv, qtbot, press):
    uv()
    dialog = opened()
    folder = environment(dialog.installer.layout.version)
    choose_existing(dialog, folder / "bin")
    with qtbot.waitSignal(dialog.ready, timeout=15000) as caught:
        press(dialog, "timoSetupStart")
    assert caught.args == [str(folder / "bin" / "timo-backend")]
    assert folder.exists()


def test_an_environment_of_another_release_is_refused_and_left_alone(opened, environment, uv, fails):
    uv()
    dialog = opened()
    folder = environment("0.0.1")
    choose_existing(dialog, folder)
    assert "has version 0.0.1, and this plugin needs" in fails(dialog)
    assert (folder / "bin" / "python").exists()


def test_a_folder_without_timo_is_refused(opened, uv, tmp_path, fails):
    uv()
    dialog = opened()
    choose_existing(dialog, tmp_path)
    assert "There is no working TiMo in" in fails(dialog)
