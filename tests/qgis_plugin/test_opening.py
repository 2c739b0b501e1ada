# SPDX-License-Identifier: GPL-3.0-or-later
"""The dock opens piece by piece, so that QGIS's interface does not stand still meanwhile."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from qgis.PyQt.QtCore import QEvent, QObject
from qgis.PyQt.QtWidgets import QApplication


def test_modules_are_loaded_beside_the_interface(package):
    """In a process of its own: once the thread has ended, making the dock loads none of ours besides."""
    script = (
        "import os, sys; from qgis.core import QgsApplication\n"
        "app = QgsApplication([], True); app.initQgis()\n"
        "from conftest import Iface\n"
        "import timo_qgis.plugin; from timo_qgis.opening import Opening\n"
        "def ours(): return {name for name in sys.modules if name.startswith('timo_qgis')}\n"
        "before, opening = ours(), Opening(Iface())\n"
        "assert opening.loading()\n"
        "opening._loader.join(60); assert not opening.loading()\n"
        "loaded = ours()\n"
        "while opening.step(): pass\n"
        "assert opening.dock.tabs.count() == 4\n"
        "print(len(loaded - before), sorted(ours() - loaded), flush=True)\n"
        "opening.dock.shared.backend.close()\n"
        "os._exit(0)\n"
    )
    folders = (Path(package.__file__).parents[1], Path(__file__).parent)
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    count, late = done.stdout.splitlines()[-1].split(maxsplit=1)
    assert int(count) > 50 and late.strip() == "[]"


def test_dock_is_made_in_several_pieces(plugin, qtbot):
    plugin.action.trigger()
    assert plugin.dock is None
    qtbot.waitUntil(lambda: plugin.dock is not None and plugin.dock.isVisible(), timeout=30_000)
    assert plugin.dock.tabs.count() == 4


def test_a_click_more_while_the_dock_is_being_made_ends_that(plugin, iface, qtbot):
    before = len(iface.window.children())
    plugin.action.trigger()
    plugin.action.trigger()
    qtbot.waitUntil(lambda: plugin._opening is None)
    qtbot.waitUntil(lambda: len(iface.window.children()) <= before)
    assert plugin.dock is None and not plugin.action.isChecked()
    plugin.action.trigger()
    qtbot.waitUntil(lambda: plugin.dock is not None and plugin.dock.isVisible(), timeout=30_000)


def test_a_fault_while_the_dock_is_being_made_leaves_nothing(plugin, iface, monkeypatch, qtbot):
    import timo_qgis.gui.dock as dock

    before = len(iface.window.children())
    monkeypatch.setattr(dock, "JobsPage", lambda _shared: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plugin.open()
    qtbot.waitUntil(lambda: len(iface.window.children()) <= before)
    assert plugin.dock is None and plugin._opening is None


def test_no_part_of_the_dock_is_a_window_before_it_is_put_in(plugin, qgis_app):
    """It would flash on the screen, and take most of the time that opening takes."""
    shown = []

    class Watch(QObject):
        def eventFilter(self, widget, event):
            if event.type() == QEvent.Type.Show and widget.isWidgetType() and widget.isWindow():
                shown.append(widget.objectName() or widget)
            return False

    watch = Watch()
    qgis_app.installEventFilter(watch)
    plugin.open()
    qgis_app.removeEventFilter(watch)
    assert shown == []


def test_python_looks_through_all_that_is_there_for_garbage_again_once_the_plugin_is_unloaded(plugin):
    plugin.open()
    assert gc.get_freeze_count() > 0
    plugin.unload()
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("steps", range(16))
def test_unloading_while_the_dock_is_being_made_leaves_nothing(plugin, iface, qtbot, steps):
    from timo_qgis.opening import Opening

    before, windows = len(iface.window.children()), set(QApplication.topLevelWidgets())
    plugin._opening = Opening(iface)
    for _ in range(steps):
        assert plugin._opening.step()
    plugin.unload()
    qtbot.waitUntil(lambda: len(iface.window.children()) <= before)
    qtbot.waitUntil(lambda: not set(QApplication.topLevelWidgets()) - windows)
    assert plugin.dock is None and gc.get_freeze_count() == 0
