# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes ``resources/locks``: what the plugin's set-up installs, each file pinned and hashed.

A lock a platform and accelerator, in pip's format, with the hashes of that platform's wheels alone. The
builds of torch that PyPI has (CUDA on Linux, MPS on macOS, the processor on Windows) come from there; the
others from download.pytorch.org. A lock whose index can't be reached is left as it is, and that is said.

Needs ``uv`` on PATH (or named with ``--uv``), and a network.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "resources" / "locks"
EXTRAS = ("backend", "lora", "stac")
PYTHONS = ("3.11", "3.12", "3.13")
"""What an environment can be made with."""
QGIS_PYTHONS = tuple(f"3.{minor}" for minor in range(9, 15))
MACOS = "14.0"
"""The oldest macOS that all wheels are there for."""
UV = "0.13.9"
PYZMQ = "27.1.0"
"""The last release with wheels for the Python 3.9 of QGIS 3.22 on Windows."""


@dataclass(frozen=True)
class Target:
    """One lock.

    Attributes:
        name: Of its file.
        platform: As uv names it.
        backend: uv's ``--torch-backend``; empty: torch as PyPI has it.
    """

    name: str
    platform: str
    backend: str = ""


TARGETS = (
    Target("linux-x86_64-cu130", "x86_64-manylinux_2_28"),
    Target("linux-aarch64-cu130", "aarch64-manylinux_2_28"),
    Target("macos-arm64-mps", "aarch64-apple-darwin"),
    Target("windows-x86_64-cpu", "x86_64-pc-windows-msvc"),
    Target("linux-x86_64-cpu", "x86_64-manylinux_2_28", "cpu"),
    Target("linux-x86_64-cu126", "x86_64-manylinux_2_28", "cu126"),
    Target("linux-aarch64-cpu", "aarch64-manylinux_2_28", "cpu"),
    Target("windows-x86_64-cu130", "x86_64-pc-windows-msvc", "cu130"),
    Target("windows-x86_64-cu126", "x86_64-pc-windows-msvc", "cu126"),
)
PLATFORMS = {target.name.rpartition("-")[0]: target.platform for target in TARGETS} | {
    "macos-x86_64": "x86_64-apple-darwin"
}


@dataclass(frozen=True)
class Package:
    """One version of a package, and its wheels by their addresses, as a pylock.toml has them."""

    name: str
    version: str
    wheels: dict[str, dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def size(self) -> int:
        """Bytes of the wheel that is downloaded, about: of the largest."""
        return max(int(wheel.get("size", 0)) for wheel in self.wheels.values())


class CannotMakeError(Exception):
    """What uv said."""


def resolve(uv: str, *arguments: str, pythons: Sequence[str] = PYTHONS) -> list[Package]:
    """The packages that uv chooses for the first of these Pythons, by name, with wheels for all of them.

    Raises:
        CannotMakeError: They can't be had, or not in the same versions for all.
    """
    found: dict[str, Package] = {}
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / "pinned.txt"
        for python in pythons:
            pinned.write_text("\n".join(map(str, found.values())), encoding="utf-8")
            for each in _resolve_for(uv, python, *arguments, "-c", str(pinned)):
                package = found.setdefault(each["name"], Package(each["name"], each["version"], {}))
                package.wheels.update({wheel["url"]: wheel for wheel in each["wheels"]})
    return [found[name] for name in sorted(found)]


def _resolve_for(uv: str, python: str, *arguments: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pylock.toml"
        command = [uv, "pip", "compile", *arguments, "--format", "pylock.toml", "--output-file", str(out)]
        command += ["--only-binary", ":all:", "--python-version", python, "--no-config", "--quiet"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("UV_", "PIP_"))}
        environment["MACOSX_DEPLOYMENT_TARGET"] = MACOS
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotMakeError(done.stderr.strip().splitlines()[-1])
        packages: list[dict[str, Any]] = tomllib.loads(out.read_text(encoding="utf-8"))["packages"]
        return packages


def lock(uv: str, target: Target) -> str:
    """The text of a lock."""
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    backend = ["--torch-backend", target.backend] if target.backend else []
    packages = resolve(
        uv, "pyproject.toml", *extras, "-c", "constraints.txt", "--python-platform", target.platform, *backend
    )
    header = {
        "platform": target.platform,
        "torch-backend": target.backend,
        "download": sum(package.size for package in packages),
    }
    return _text(packages, header)


def _text(packages: list[Package], header: dict[str, Any]) -> str:
    lines = ["# SPDX-License-Identifier: GPL-3.0-or-later", "# Made by tools/make_locks.py; don't edit."]
    lines += [f"# {key}: {value}".rstrip() for key, value in header.items()]
    for package in packages:
        hashes = sorted(f"--hash=sha256:{wheel['hashes']['sha256']}" for wheel in package.wheels.values())
        lines.append(" \\\n    ".join([str(package), *hashes]))
    return "\n".join(lines) + "\n"


def uv_wheels(uv: str) -> dict[str, Any]:
    """Where uv's wheel for each platform is, with its hash and its size in bytes."""
    found = {}
    for name, platform in sorted(PLATFORMS.items()):
        (package,) = _resolve_one(uv, f"uv=={UV}", platform, PYTHONS)
        wheel = next(iter(package.wheels.values()))
        found[name] = {"url": wheel["url"], "sha256": wheel["hashes"]["sha256"], "size": wheel["size"]}
    return {"version": UV, "wheels": found}


def pyzmq(uv: str) -> str:
    """The lock of pyzmq for QGIS's own Python, any of them, on any platform."""
    wheels: dict[str, dict[str, Any]] = {}
    for platform in PLATFORMS.values():
        (package,) = _resolve_one(uv, f"pyzmq=={PYZMQ}", platform, QGIS_PYTHONS)
        wheels.update(package.wheels)
    return _text([Package("pyzmq", PYZMQ, wheels)], {})


def _resolve_one(uv: str, requirement: str, platform: str, pythons: Sequence[str]) -> list[Package]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requirements.in"
        path.write_text(requirement, encoding="utf-8")
        return resolve(uv, str(path), "--python-platform", platform, pythons=pythons)


def main(arguments: list[str] | None = None) -> int:
    """Make them all; status 1 where one that PyPI has all of could not be made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", default=shutil.which("uv") or "uv")
    uv = parser.parse_args(arguments).uv
    LOCKS.mkdir(parents=True, exist_ok=True)
    status = 0
    for target in TARGETS:
        path = LOCKS / f"{target.name}.txt"
        try:
            path.write_text(lock(uv, target), encoding="utf-8")
            print(f"made {path.name}")
        except CannotMakeError as error:
            print(f"could not make {path.name}: {error}", file=sys.stderr)
            status = status or (0 if target.backend else 1)
    (LOCKS / "uv.json").write_text(json.dumps(uv_wheels(uv), indent=1) + "\n", encoding="utf-8")
    (LOCKS / "pyzmq.txt").write_text(pyzmq(uv), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
