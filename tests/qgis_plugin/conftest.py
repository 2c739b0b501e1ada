# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin as it is built: unpacked from its zip, in a real QgsApplication, driven by its widgets."""

from __future__ import annotations

import atexit
import datetime as dt
import importlib.util
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsFeature,
    QgsGeometry,
    QgsNetworkAccessManager,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSettings,
    QgsVectorLayer,
)
from qgis.gui import QgsLayerTreeView, QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QMainWindow


def own_screen():
    """A virtual screen for this process alone: windows of tests run beside each other share no pointer."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    atexit.register(server.kill)
    os.close(write)
    with os.fdopen(read) as told:
        os.environ["DISPLAY"] = f":{int(told.readline())}"


if "PYTEST_XDIST_WORKER" in os.environ:
    own_screen()
# The models of the tests are so small that threads only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[2]
BANDS = ("blue", "green", "red", "nir")
NO_BACKEND = "/nowhere/timo-backend"


def load(path: Path, name: str):
    """A module from a file that is in no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def build_plugin():
    return load(ROOT / "tools" / "build_plugin.py", "build_plugin")


@pytest.fixture(scope="session")
def plugin_zip(build_plugin, tmp_path_factory):
    return build_plugin.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session", autouse=True)
def package(qgis_app, plugin_zip, tmp_path_factory):
    """The module ``timo_qgis``, from the zip and from nowhere else."""
    folder = tmp_path_factory.mktemp("plugins")
    with zipfile.ZipFile(plugin_zip) as archive:
        archive.extractall(folder)
    sys.path.insert(0, str(folder))
    import timo_qgis

    assert Path(timo_qgis.__file__).is_relative_to(folder)
    return timo_qgis


class Canvas(QgsMapCanvas):
    """QGIS's own, that remembers which features were shown."""

    def __init__(self, parent):
        super().__init__(parent)
        self.zoomed, self.flashed = [], []

    def zoomToFeatureIds(self, layer, features):
        self.zoomed.append(set(features))
        super().zoomToFeatureIds(layer, features)

    def flashFeatureIds(self, layer, features):
        self.flashed.append(set(features))
        super().flashFeatureIds(layer, features)


class Iface:
    """What a plugin asks of QGIS's window, with real widgets."""

    def __init__(self):
        self.window = QMainWindow()
        self.bar = QgsMessageBar(self.window)
        self.canvas = Canvas(self.window)
        self.tree = QgsLayerTreeView()
        self.window.setCentralWidget(self.canvas)
        self.actions, self.layer_actions, self.active = [], {}, None

    def mainWindow(self):
        return self.window

    def messageBar(self):
        return self.bar

    def mapCanvas(self):
        return self.canvas

    def layerTreeView(self):
        return self.tree

    def addToolBarIcon(self, action):
        self.actions.append(action)

    def removeToolBarIcon(self, action):
        self.actions.remove(action)

    def addPluginToRasterMenu(self, _menu, action):
        self.actions.append(action)

    def removePluginRasterMenu(self, _menu, action):
        self.actions.remove(action)

    def addCustomActionForLayerType(self, action, _menu, kind, all_layers):
        assert not all_layers
        self.layer_actions.setdefault(action, {})[kind] = []

    def addCustomActionForLayer(self, action, layer):
        self.layer_actions[action][layer.type()].append(layer.id())

    def removeCustomActionForLayerType(self, action):
        if self.layer_actions.get(action):
            return bool(self.layer_actions[action].popitem())
        return bool(self.layer_actions.pop(action, False))

    def activeLayer(self):
        return self.active

    def setActiveLayer(self, layer):
        self.active = layer

    def registerOptionsWidgetFactory(self, factory):
        self.actions.append(factory)

    def unregisterOptionsWidgetFactory(self, factory):
        self.actions.remove(factory)

    def addDockWidget(self, area, dock):
        self.window.addDockWidget(Qt.DockWidgetArea(area), dock)
        dock.show()

    def removeDockWidget(self, dock):
        self.window.removeDockWidget(dock)


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path, package):
    """No settings, no layers, a home of the test's own, and no slot that failed."""
    QgsSettings().remove("timo")
    QgsProject.instance().clear()
    monkeypatch.setenv("TIMO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TIMO_BACKEND", NO_BACKEND)
    failures = []

    def listen(message, tag, level):
        if tag == "TiMo" and message.startswith("Something went wrong"):
            failures.append(message)

    QgsApplication.messageLog().messageReceived[str, str, "Qgis::MessageLevel"].connect(listen)
    yield
    QgsApplication.messageLog().messageReceived[str, str, "Qgis::MessageLevel"].disconnect(listen)
    QgsProject.instance().clear()
    assert not failures


@pytest.fixture
def make_iface():
    return Iface


@pytest.fixture
def iface(make_iface):
    return make_iface()


@pytest.fixture
def plugin(package, iface, qtbot):
    """The plugin with its dock not opened yet."""
    plugin = package.classFactory(iface)
    plugin.initGui()
    iface.window.resize(1200, 850)
    iface.window.show()
    yield plugin
    plugin.unload()
    iface.window.close()
    iface.window.deleteLater()


@pytest.fixture
def dock(plugin, qtbot):
    """The dock, once it has looked at the project."""
    made = plugin.open()
    qtbot.waitUntil(lambda: made.series._told is not None)
    return made


@pytest.fixture
def connected(dock, qtbot, monkeypatch):
    """The dock as if the backend were there; the requests that it would have got."""
    from timo_qgis.backend.link_state import LinkState

    backend = dock.shared.backend
    qtbot.waitUntil(lambda: backend.state.phase == "missing")
    backend.close()
    commands = []
    monkeypatch.setattr(backend, "_send", commands.append)
    backend._on_state(LinkState("ready"))
    return commands


@pytest.fixture
def script():
    """Writes a shell script in the place of a program: ``script(path, "exit 1")``; the path."""
    if os.name == "nt":
        pytest.skip("the programs of this test are shell scripts")

    def write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o700)
        return path

    return write


@pytest.fixture
def write_raster(tmp_path):
    """Writes a GeoTIFF of 10 m pixels: ``write_raster(name, values (bands, rows, columns), names)``."""

    def write(name, values=None, names=BANDS, folder=tmp_path):
        if values is None:
            values = np.arange(len(names) * 64, dtype=np.uint16).reshape(len(names), 8, 8)
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        driver = gdal.GetDriverByName("GTiff")
        kind = gdal.GDT_Byte if values.dtype == np.uint8 else gdal.GDT_UInt16
        dataset = driver.Create(str(path), values.shape[2], values.shape[1], values.shape[0], kind)
        dataset.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(32631)
        dataset.SetProjection(reference.ExportToWkt())
        for number, (band, title) in enumerate(zip(values, names), 1):
            dataset.GetRasterBand(number).WriteArray(band)
            dataset.GetRasterBand(number).SetDescription(title)
        dataset = None
        return path

    return write


@pytest.fixture
def add_raster(write_raster):
    """Adds a small raster to the project under this file name."""

    def add(name, **options):
        path = write_raster(name, **options)
        layer = QgsRasterLayer(str(path), path.stem, "gdal")
        assert layer.isValid()
        QgsProject.instance().addMapLayer(layer)
        return layer

    return add


@pytest.fixture
def shown(dock, qtbot):
    """Waits until the whole Series page shows so many layers, and the other pages have been told."""
    return lambda count: qtbot.waitUntil(lambda: len(dock.series._told[1]) == count)


@pytest.fixture
def make_map(write_raster):
    """Writes a class map as ``timo predict`` does: colours, names, nodata 255 and tags of how it was made."""

    def make(name, values, classes, tags=None):
        path = write_raster(name, np.asarray(values, np.uint8)[None], ("class",))
        dataset = gdal.Open(str(path), gdal.GA_Update)
        band, table = dataset.GetRasterBand(1), gdal.ColorTable()
        for value, (_, color) in classes.items():
            table.SetColorEntry(value, (*color, 255))
        band.SetColorTable(table)
        band.SetCategoryNames([classes.get(value, ("",))[0] for value in range(max(classes) + 1)])
        band.SetNoDataValue(255)
        dataset.SetMetadata(tags or {})
        return path

    return make


@pytest.fixture
def make_floats(write_raster):
    """Writes a raster of floats on the same grid, NaN its nodata: a map's confidence."""

    def make(name, values):
        values = np.asarray(values, np.float32)
        like = gdal.Open(str(write_raster(f"like-{name}", np.zeros((1, *values.shape), np.uint8), ("x",))))
        path = Path(like.GetDescription()).with_name(name)
        height, width = values.shape
        dataset = gdal.GetDriverByName("GTiff").Create(str(path), width, height, 1, gdal.GDT_Float32)
        dataset.SetGeoTransform(like.GetGeoTransform())
        dataset.SetProjection(like.GetProjection())
        dataset.GetRasterBand(1).SetNoDataValue(float("nan"))
        dataset.GetRasterBand(1).WriteArray(values)
        return path

    return make


@pytest.fixture
def twelve_dates(add_raster):
    """A layer for each month of 2020, added in the wrong order."""
    return [
        add_raster(f"S2_{dt.date(2020, month, 15):%Y%m%d}.tif") for month in (*range(7, 13), *range(1, 7))
    ]


@pytest.fixture
def make_labels():
    """A memory layer of polygons: ``make_labels([(class, (left, top, right, bottom) in pixels)])``."""

    def make(rows, name="fields", field="class"):
        layer = QgsVectorLayer(
            f"Polygon?crs=EPSG:32631&field={field}:string&field=note:string", name, "memory"
        )
        features = []
        for value, (left, top, right, bottom) in rows:
            feature = QgsFeature(layer.fields())
            feature.setAttributes([value, "x"])
            feature.setGeometry(
                QgsGeometry.fromRect(
                    QgsRectangle(
                        500000 + 10 * left, 5000000 - 10 * bottom, 500000 + 10 * right, 5000000 - 10 * top
                    )
                )
            )
            features.append(feature)
        layer.dataProvider().addFeatures(features)
        QgsProject.instance().addMapLayer(layer)
        return layer

    return make


@pytest.fixture
def qgis_proxy():
    """A proxy in QGIS's settings; its address, as programs take it."""
    settings, manager = QgsSettings(), QgsNetworkAccessManager.instance()
    for name, value in {
        "proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.lan", "proxyPort": "3128",
        "proxyUser": "ada", "proxyPassword": "secret",
    }.items():  # fmt: skip
        settings.setValue(f"proxy/{name}", value)
    manager.setupDefaultProxyAndCache()
    yield "http://ada:secret@proxy.lan:3128"
    settings.remove("proxy")
    manager.setupDefaultProxyAndCache()


@pytest.fixture
def backend_program():
    """The real backend of this checkout."""
    program = ROOT / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "timo-backend"
    if not program.exists():
        pytest.skip(f"the backend is not installed at {program}: run `make setup`")
    return program


@pytest.fixture
def stac_server(tmp_path, monkeypatch):
    """A STAC API on this machine, which serves the files of its folder, too."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = runpy.run_path(str(ROOT / "tests" / "stac_server.py"))["StacServer"]
    (tmp_path / "web").mkdir()
    with server(tmp_path / "web") as running:
        yield running
