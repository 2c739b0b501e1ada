# SPDX-License-Identifier: GPL-3.0-or-later
"""What plugins.qgis.org and Qt 6 ask of a plugin, looked at in the zip."""

from __future__ import annotations

import ast
import configparser
import importlib
import subprocess
import zipfile
from enum import Enum
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 25 * 1024 * 1024
# What the plugin repository asks for, and what QGIS shows of a plugin.
ASKED = (
    *(
        "name",
        "qgisMinimumVersion",
        "qgisMaximumVersion",
        "description",
        "about",
        "version",
        "author",
        "email",
    ),
    *("repository", "tracker", "homepage", "tags", "icon", "hasProcessingProvider", "category", "license"),
)
# Gone in Qt 6, or named otherwise there.
GONE = {
    *("exec_", "QRegExp", "QDesktopWidget", "QTextCodec", "QMatrix", "QStringRef", "QFontMetrics.width"),
    *("setMargin", "globalX", "globalY", "MidButton", "pixmapData", "QLinkedList"),
}
BINARY = {".so", ".dll", ".dylib", ".exe", ".pyd", ".pyc", ".bin"}


@pytest.fixture(scope="module")
def entries(plugin_zip):
    with zipfile.ZipFile(plugin_zip) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def trees(entries):
    return {name: ast.parse(data) for name, data in entries.items() if name.endswith(".py")}


def imported(tree):
    """Classes of Qt and QGIS by the name that a module gives them."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                found[alias.asname or alias.name] = getattr(module, alias.name, None)
    return {name: value for name, value in found.items() if isinstance(value, type)}


def is_enum_value(value):
    kind = type(value)
    sip_enum = (
        isinstance(value, int) and kind not in (int, bool) and kind.__module__.startswith(("PyQt", "qgis"))
    )
    return sip_enum or isinstance(value, Enum)


def unscoped(tree):
    """Values of enumerations that are named without their enumeration: Qt 6 has them no longer."""
    classes = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in classes:
            owner = classes[node.value.id]
            # An enumeration's own member is scoped: Kind.Member of an imported Kind.
            if not issubclass(owner, (int, Enum)) and is_enum_value(getattr(owner, node.attr, None)):
                yield f"line {node.lineno}: {node.value.id}.{node.attr}"


def test_the_look_for_enumerations_finds_one():
    bad = "from qgis.PyQt.QtWidgets import QFrame\nfrom qgis.core import QgsWkbTypes\n"
    assert list(unscoped(ast.parse(bad + "QFrame.NoFrame; QFrame.Shape.NoFrame"))) == [
        "line 3: QFrame.NoFrame"
    ]
    assert list(unscoped(ast.parse(bad + "QgsWkbTypes.Polygon; QgsWkbTypes.Type.Polygon")))


def test_enumerations_are_named_as_qt_6_has_them(trees):
    found = {name: list(unscoped(tree)) for name, tree in trees.items()}
    assert not {name: faults for name, faults in found.items() if faults}


def as_numbers(tree):
    """``int()`` of an enumeration's values: those of Qt 6 are no numbers."""
    classes = imported(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "int"):
            continue
        for part in (one for argument in node.args for one in ast.walk(argument)):
            chain = ast.unparse(part).split(".") if isinstance(part, ast.Attribute) else []
            if len(chain) == 3 and chain[0] in classes:
                kind = getattr(classes[chain[0]], chain[1], None)
                if is_enum_value(getattr(kind, chain[2], None)):
                    yield f"line {node.lineno}: int({'.'.join(chain)})"


def test_the_look_for_enumerations_as_numbers_finds_them():
    bad = (
        "from qgis.PyQt.QtCore import Qt\n"
        "int('3'); int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)"
    )
    assert list(as_numbers(ast.parse(bad))) == [
        "line 2: int(Qt.AlignmentFlag.AlignRight)",
        "line 2: int(Qt.AlignmentFlag.AlignTop)",
    ]


def test_enumerations_are_not_taken_as_numbers(trees):
    found = {name: list(as_numbers(tree)) for name, tree in trees.items()}
    assert not {name: faults for name, faults in found.items() if faults}


def test_nothing_is_used_that_qt_6_does_not_have(trees):
    for name, tree in trees.items():
        for node in ast.walk(tree):
            word = (
                node.attr
                if isinstance(node, ast.Attribute)
                else node.id
                if isinstance(node, ast.Name)
                else ""
            )
            assert word not in GONE, f"{name} line {node.lineno}: {word}"


def test_metadata_is_complete(entries):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(entries["timo_qgis/metadata.txt"].decode("utf-8"))
    general = parser["general"]
    assert not [key for key in ASKED if not general.get(key)]
    assert general["qgisMinimumVersion"] == "3.22" and general["qgisMaximumVersion"] == "4.99"
    assert f"timo_qgis/{general['icon']}" in entries


def test_zip_is_small_and_holds_no_binary(plugin_zip, entries):
    assert plugin_zip.stat().st_size < LARGEST
    assert not [name for name in entries if Path(name).suffix.lower() in BINARY]


def test_icons_are_drawings_that_any_theme_can_show(entries):
    icons = {name: data for name, data in entries.items() if "/icons/" in name}
    assert icons and all(name.endswith(".svg") for name in icons)
    for name, data in icons.items():
        assert b"#000" not in data and b"black" not in data, f"{name} cannot be seen on a dark ground"


def test_bandit_has_nothing_to_say_at_any_level(plugin_zip, tmp_path):
    bandit = ROOT / ".venv" / "bin" / "bandit"
    if not bandit.exists():
        pytest.skip("bandit is not installed: run `make setup`")
    with zipfile.ZipFile(plugin_zip) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [str(bandit), "--recursive", "--quiet", str(tmp_path / "timo_qgis")],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_every_icon_that_is_asked_for_is_there(entries, trees):
    there = {Path(name).stem for name in entries if "/icons/" in name}
    for name, tree in trees.items():
        for node in ast.walk(tree):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "icon"
            if called and node.args and isinstance(node.args[0], ast.Constant):
                assert node.args[0].value in there, f"{name} asks for the icon {node.args[0].value}"
