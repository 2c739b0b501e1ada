# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip is what QGIS can install, and the same sources give the same bytes."""

from __future__ import annotations

import ast
import sys
import zipfile

import pytest
from qgis.PyQt.QtCore import Qt

ALLOWED = {"qgis", "osgeo", "zmq", "numpy"}  # numpy: GDAL's Python needs it


@pytest.fixture
def sources(plugin_zip):
    with zipfile.ZipFile(plugin_zip) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".py")}


def test_same_sources_give_the_same_bytes(build_plugin, plugin_zip, tmp_path):
    assert build_plugin.build(tmp_path).read_bytes() == plugin_zip.read_bytes()


def test_zip_holds_one_folder_with_metadata_licence_client_and_resources(plugin_zip):
    with zipfile.ZipFile(plugin_zip) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names} == {"timo_qgis"}
    assert {f"timo_qgis/{name}" for name in (
        "metadata.txt", "LICENSE", "__init__.py", "plugin.py", "_client/core.py", "_client/protocol.py",
        "_client/errors.py", "resources/icons/timo.svg", "resources/schemas/finetune.json",
        "resources/schemas/predict.json",
    )} <= names  # fmt: skip
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in names)


def test_name_of_the_zip_has_the_version_of_the_metadata(plugin_zip, build_plugin):
    assert plugin_zip.name == f"timo_qgis-{build_plugin.version()}.zip"


def test_every_module_is_python_3_9(sources):
    for name, source in sources.items():
        ast.parse(source, name, feature_version=(3, 9))


def test_plugin_imports_qgis_osgeo_pyzmq_and_the_standard_library_alone(sources):
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            found = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found = [node.module]
            for module in found:
                top = module.split(".")[0]
                assert top in ALLOWED or top in sys.stdlib_module_names, f"{name} imports {module}"


def test_only_the_client_touches_sockets(sources):
    users = {name for name, source in sources.items() if b"import zmq" in source}
    assert users == {"timo_qgis/_client/core.py"}


def test_qt_comes_through_qgis_in_the_scoped_way(sources):
    for name, source in sources.items():
        assert b"PyQt5" not in source and b"PyQt6" not in source, name
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Qt":
                # Qt.AlignmentFlag.AlignTop, never Qt.AlignTop
                assert isinstance(getattr(Qt, node.attr), type), f"{name} has Qt.{node.attr}"


def test_loading_the_plugin_imports_nothing_heavy(plugin):
    assert plugin.dock is None
    assert "torch" not in sys.modules
