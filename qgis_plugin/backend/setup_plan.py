# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a set-up: which folders, which programs in which order. Knows no Qt, and starts nothing."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from ..i18n import tr

PYTHON = ">=3.11,<3.14"
"""The Pythons that the locks have wheels for."""
GROWTH = 1.85
"""Bytes on disk for each byte downloaded, as measured on Linux with CUDA."""
SPARE = 400_000_000
"""Bytes beside the packages: a Python, uv, and what Python compiles."""


@dataclass(frozen=True)
class Lock:
    """What is installed: packages, each pinned and hashed.

    Attributes:
        path: The file, in pip's format.
        download: Bytes to download, about.
        backend: The index of torch's builds that it needs beside PyPI, as uv names it; empty: none.
    """

    path: Path
    download: int = 0
    backend: str = ""

    @property
    def on_disk(self) -> int:
        """Bytes that the packages take when they are installed, about."""
        return round(self.download * GROWTH)

    @property
    def needed(self) -> int:
        """Bytes that must be free, about."""
        return self.on_disk + SPARE


NOTHING = Lock(Path())
"""Of an environment that is there already."""


def read_lock(path: Path) -> Lock:
    """A lock and what stands at its head.

    Raises:
        OSError: It can't be read.
    """
    with path.open(encoding="utf-8") as file:
        head = dict(re.findall(r"^# ([a-z-]+): *(.*?) *$", file.read(600), re.MULTILINE))
    return Lock(path, int(head.get("download") or 0), head.get("torch-backend", ""))


def read_locks(folder: Path) -> Dict[str, Lock]:
    """The locks of environments in a folder, by name; none where it can't be read."""
    return {path.stem: read_lock(path) for path in sorted(folder.glob("*-*.txt"))}


@dataclass(frozen=True)
class UvWheel:
    """Where uv's program comes from: its wheel on PyPI, of a fixed release."""

    url: str
    sha256: str
    size: int
    version: str

    @property
    def name(self) -> str:
        """The wheel's file name."""
        return self.url.rpartition("/")[2]

    def member(self, system: str) -> str:
        """The program's name inside the wheel."""
        return f"uv-{self.version}.data/scripts/{'uv.exe' if system == 'windows' else 'uv'}"


def uv_wheel(folder: Path, platform: str) -> Optional[UvWheel]:
    """The uv of a platform, as ``uv.json`` in a folder has it; None: there is none.

    Raises:
        OSError, ValueError: The file can't be read.
    """
    known = json.loads((folder / "uv.json").read_text(encoding="utf-8"))
    found = known["wheels"].get(platform)
    return UvWheel(version=known["version"], **found) if found else None


@dataclass(frozen=True)
class Layout:
    """Where things lie: all in the backend's own folder, never in the plugin's.

    Attributes:
        home: The backend's folder.
        version: The release that is set up.
        number: Of the environment, where there are older ones of this release.
    """

    home: Path
    version: str
    number: int = 1

    @classmethod
    def free(cls, home: Path, version: str) -> Layout:
        """One whose environment is not there yet: an older one may be in use."""
        number = 1
        while cls(home, version, number).target.exists():
            number += 1
        return cls(home, version, number)

    @property
    def target(self) -> Path:
        """The environment when it is done."""
        return self.home / f"environment-{self.version}{f'-{self.number}' if self.number > 1 else ''}"

    @property
    def work(self) -> Path:
        """All that is not done yet: removed at the end, and when the set-up is cancelled."""
        return self.home / "setup.part"

    @property
    def part(self) -> Path:
        """The environment while it is made."""
        return self.work / "environment"

    @property
    def cache(self) -> Path:
        """What was downloaded, so that Retry need not do it again."""
        return self.work / "cache"

    @property
    def pythons(self) -> Path:
        """The Pythons that uv brings; environments need them."""
        return self.home / "python"

    def uv(self, wheel: UvWheel, system: str) -> Path:
        """The program uv, where it had to be fetched."""
        return self.home / f"uv-{wheel.version}" / ("uv.exe" if system == "windows" else "uv")

    def variables(self) -> Dict[str, str]:
        """What uv is told in its environment."""
        return {
            "UV_CACHE_DIR": str(self.cache),
            "UV_PYTHON_INSTALL_DIR": str(self.pythons),
            "UV_PYTHON_PREFERENCE": "managed",
            "NO_COLOR": "1",
        }


@dataclass(frozen=True)
class Step:
    """One program that is run.

    Attributes:
        title: What it does, for the analyst.
        command: The program and its arguments.
        share: Its part of the whole, as is drawn; all together are 1.
        measured: Whether the bytes on disk tell how far it is.
        answers: Whether it prints what the device is, as JSON.
    """

    title: str
    command: Tuple[str, ...]
    share: float
    measured: bool = False
    answers: bool = False


def programs(environment: Path, system: str) -> Path:
    """The folder of an environment's programs."""
    return environment / ("Scripts" if system == "windows" else "bin")


def program(environment: Path, name: str, system: str) -> Path:
    """One of them."""
    return programs(environment, system) / (f"{name}.exe" if system == "windows" else name)


def install(
    layout: Layout, uv: Path, lock: Lock, wheel: Path, system: str, wheels: Optional[Path] = None
) -> List[Step]:
    """The steps from nothing to an environment that can compute.

    Args:
        layout: Where.
        uv: Its program.
        lock: The packages.
        wheel: The wheel of the library and the backend.
        system: As ``Machine`` names it.
        wheels: A folder of wheels to install from without a network; None: from the package index.
    """
    tool, part = str(uv), str(layout.part)
    python = str(program(layout.part, "python", system))
    offline = ("--offline", "--no-index", "--find-links", str(wheels)) if wheels else ()
    torch = ("--torch-backend", lock.backend) if lock.backend and not wheels else ()
    quiet = ("--no-python-downloads",) if wheels else ()
    return [
        Step(
            tr("Making an environment"),
            (tool, "venv", part, "--python", PYTHON, "--relocatable", "--no-project", "--clear", *quiet),
            0.05,
        ),
        Step(
            tr("Installing the packages"),
            (
                *(tool, "pip", "sync", str(lock.path), "--python", python),
                *("--require-hashes", "--only-binary", ":all:", *offline, *torch),
            ),
            0.8,
            measured=True,
        ),
        Step(
            tr("Installing TiMo"),
            (tool, "pip", "install", str(wheel), "--python", python, "--no-deps", "--offline", "--no-index"),
            0.03,
        ),
        _check(Path(python)),
    ]


def examine(environment: Path, system: str) -> List[Step]:
    """The steps that tell whether an environment that is there already will do."""
    backend = program(environment, "timo-backend", system)
    python = program(environment, "python", system)
    return [Step(tr("Asking for its version"), (str(backend), "--version"), 0.4), _check(python)]


def environment_of(chosen: Path) -> Path:
    """The environment that is meant by its folder, its folder of programs or one of its programs."""
    folder = chosen.parent if chosen.is_file() else chosen
    return folder.parent if folder.name in ("bin", "Scripts") else folder


def _check(python: Path) -> Step:
    return Step(tr("Trying a small model"), (str(python), "-m", "timo", "check", "--json"), 0.1, answers=True)


def pyzmq_command(
    uv: Path, lock: Path, target: Path, python: Tuple[int, int] = sys.version_info[:2]
) -> Tuple[str, ...]:
    """The command that installs pyzmq for QGIS's own Python into a folder of ours.

    Args:
        uv: Its program.
        lock: ``pyzmq.txt``.
        target: The folder.
        python: QGIS's Python.
    """
    return (
        *(str(uv), "pip", "install", "--target", str(target), "--python-version", "{}.{}".format(*python)),
        *("--require-hashes", "--only-binary", ":all:", "--no-deps", "--no-config", "-r", str(lock)),
    )
