# SPDX-License-Identifier: GPL-3.0-or-later
"""The dock opens piece by piece, so that QGIS's interface does not stand still meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_dock_is_made_in_small_pieces(package, plugin, iface, qtbot):
    """Modules of ours are loaded a few at a time, in a process of its own, and pages one by one."""
    script = (
        "import sys; from qgis.PyQt.QtWidgets import QApplication\n"
        "from importlib import import_module\n"
        "import timo_qgis.plugin; from timo_qgis.opening import PARTS\n"
        "for part in PARTS:\n"
        "    before = len([name for name in sys.modules if name.startswith('timo_qgis')])\n"
        "    import_module(part, 'timo_qgis')\n"
        "    print(part, len([n for n in sys.modules if n.startswith('timo_qgis')]) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])},
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    loaded = {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()}
    assert sum(loaded.values()) > 50 and not {part: n for part, n in loaded.items() if n > 9}
    plugin.action.trigger()
    qtbot.waitUntil(lambda: plugin.dock is not None and plugin.dock.isVisible(), timeout=30_000)
    assert plugin.dock.tabs.count() == 4


def test_unloading_while_the_dock_is_being_made_leaves_nothing(plugin, iface, qtbot):
    from timo_qgis.opening import PARTS, Opening

    before = len(iface.window.children())
    plugin._opening = Opening(iface)
    for _ in range(len(PARTS) + 2):
        plugin._opening.step()
    plugin.unload()
    qtbot.waitUntil(lambda: len(iface.window.children()) <= before)
    assert plugin.dock is None
