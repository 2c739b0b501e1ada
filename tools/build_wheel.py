# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the wheel of the library and the backend, which lies in the plugin's zip.

With the standard library alone, so that the plugin is built without a network; the same sources give the same
bytes. What it holds and requires is read from pyproject.toml, as hatchling reads it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomllib

EPOCH = (1980, 1, 1, 0, 0, 0)  # zip knows no earlier time
TAG = "py3-none-any"
WHEEL = f"Wheel-Version: 1.0\nGenerator: timo\nRoot-Is-Purelib: true\nTag: {TAG}\n"


def build_wheel(root: Path, version: str) -> tuple[str, bytes]:
    """The wheel's name and its bytes.

    Args:
        root: The repository.
        version: The release.
    """
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    stem = f"{settings['project']['name'].replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    files = dict(_sources(root, settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]))
    files[f"{info}/METADATA"] = _metadata(settings["project"], version).encode()
    files[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: timo\nRoot-Is-Purelib: true\nTag: {TAG}\n".encode()
    )
    files[f"{info}/entry_points.txt"] = _programs(settings["project"]["scripts"]).encode()
    for name in settings["project"]["license-files"]:
        files[f"{info}/licenses/{name}"] = (root / name).read_bytes()
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # the same bytes from every platform
            archive.writestr(entry, data)
    return f"{stem}-{TAG}.whl", buffer.getvalue()


def _sources(root: Path, packages: list[str]) -> Iterator[tuple[str, bytes]]:
    for package in packages:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root).as_posix(), path.read_bytes()


def _metadata(project: dict[str, Any], version: str) -> str:
    """The core metadata, version 2.4."""
    lines = ["Metadata-Version: 2.4", f"Name: {project['name']}", f"Version: {version}"]
    lines += [f"Summary: {project['description']}", f"License-Expression: {project['license']}"]
    lines += [f"License-File: {name}" for name in project["license-files"]]
    lines.append(f"Requires-Python: {project['requires-python']}")
    lines += [f"Requires-Dist: {each}" for each in project["dependencies"]]
    for extra, requirements in project["optional-dependencies"].items():
        if extra != "dev":
            lines.append(f"Provides-Extra: {extra}")
            lines += [f"Requires-Dist: {each}; extra == '{extra}'" for each in requirements]
    return "\n".join(lines) + "\n"


def _programs(scripts: dict[str, str]) -> str:
    return "[console_scripts]\n" + "".join(f"{name} = {target}\n" for name, target in scripts.items())


def _record(files: dict[str, bytes], own: str) -> str:
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join(lines) + f"{own},,\n"
