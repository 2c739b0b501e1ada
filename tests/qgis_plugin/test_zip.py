# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip is what QGIS can install, and the same sources give the same bytes."""

from __future__ import annotations

import ast
import sys
import zipfile

import pytest
from qgis.PyQt.QtCore import Qt

ALLOWED = {"numpy", "qgis", "osgeo", "zmq"}  # numpy: GDAL's Python needs it, too


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


def test_plugin_imports_what_qgis_has_pyzmq_and_the_standard_library_alone(sources):
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


def test_numpy_is_loaded_when_pixels_are_counted_and_not_with_the_plugin(sources):
    loaded = {}
    for name, source in sources.items():
        for node in ast.parse(source).body:  # what runs when the file is loaded
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            loaded.setdefault(name, set()).update(module.split(".")[-1] for module in modules)
    counting = {name.split("/")[-1][:-3] for name, modules in loaded.items() if "numpy" in modules}
    assert counting
    for name, modules in loaded.items():
        assert not modules & counting, f"{name} loads {modules & counting}, and that numpy"


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
