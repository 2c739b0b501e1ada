# SPDX-License-Identifier: GPL-3.0-or-later
"""The desktop program itself loads the zip from a fresh profile, opens the dock, and unloads it again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile

import pytest

SCRIPT = """
import json, os, sys, time
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QWidget
from qgis.utils import iface, plugins, unloadPlugin
from qgis.core import QgsProject, QgsRasterLayer

began = time.monotonic()

def done(**facts):
    with open(os.environ["TIMO_RESULT"], "w") as file:
        json.dump(facts, file)
    QgsProject.instance().clear()  # else QGIS asks whether to save it
    iface.actionExit().trigger()

def look():
    plugin = plugins["timo_qgis"]
    if plugin.dock is None or plugin.dock.shared.backend.state.phase != "missing":
        if time.monotonic() - began > 30:
            timer.stop()
            done(error="the dock did not open")
        return
    timer.stop()
    facts = {
        "pages": [plugin.dock.tabs.tabText(n) for n in range(plugin.dock.tabs.count())],
        "width": plugin.dock.width(),
        "banner": plugin.dock.banner.message.text(),
        "torch": "torch" in sys.modules,
        "entries": [entries(result), entries(other)],
        "guide": guide(plugin.dock),
    }
    unloadPlugin("timo_qgis")
    facts["unloaded"] = "timo_qgis" not in plugins
    facts["entries_left"] = entries(result)
    QTimer.singleShot(200, lambda: done(left=left(), **facts))

def guide(dock):
    # F1 is the key of QGIS's own help, too.
    QApplication.setActiveWindow(iface.mainWindow())
    dock.tabs.setCurrentIndex(1)
    dock.train.name.setFocus()
    QTest.keyClick(dock.train.name, Qt.Key.Key_F1)
    found = iface.mainWindow().findChild(QWidget, "timoHelp")
    return found is not None and found.isVisible()

def left():
    return len(iface.mainWindow().findChildren(QWidget, "TimoDock"))

def entries(layer):
    iface.layerTreeView().setCurrentLayer(layer)
    menu = iface.layerTreeView().menuProvider().createContextMenu()
    found = [action.menu() for action in menu.actions() if action.menu() and action.text() == "TiMo"]
    return [action.text() for action in found[0].actions()] if found else []

result, other = (QgsRasterLayer(os.environ["TIMO_RASTER"], name, "gdal") for name in ("result", "other"))
result.setCustomProperty("timo/kind", "map")
QgsProject.instance().addMapLayers([result, other])
timer = QTimer()
timer.timeout.connect(look)
timer.start(100)
plugins["timo_qgis"].action.trigger()
"""


@pytest.mark.skipif(shutil.which("qgis") is None, reason="the program qgis is not on PATH")
def test_desktop_loads_opens_and_unloads_the_plugin(plugin_zip, write_raster, tmp_path):
    profile = tmp_path / "profiles" / "default"
    with zipfile.ZipFile(plugin_zip) as archive:
        archive.extractall(profile / "python" / "plugins")
    (profile / "QGIS").mkdir()
    (profile / "QGIS" / "QGIS3.ini").write_text("[PythonPlugins]\ntimo_qgis=true\n", encoding="utf-8")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    result = tmp_path / "result.json"
    command = ["qgis", "--nologo", "--noversioncheck", "--profiles-path", str(tmp_path)]
    process = subprocess.run(
        [*command, "--code", str(tmp_path / "script.py")],
        env={**os.environ, "TIMO_RESULT": str(result), "TIMO_RASTER": str(write_raster("map.tif"))},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.exists(), process.stderr[-2000:]
    facts = json.loads(result.read_text(encoding="utf-8"))
    assert facts["pages"] == ["Series", "Train", "Predict", "Jobs"]
    assert "timo-backend" in facts["banner"]
    assert facts["width"] >= 400
    assert facts["guide"]
    assert facts["unloaded"] and facts["left"] == 0
    assert not facts["torch"]
    assert "Show how this was made" in facts["entries"][0] and facts["entries"][1] == []
    assert facts["entries_left"] == []
