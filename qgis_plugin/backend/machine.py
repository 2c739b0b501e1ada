# SPDX-License-Identifier: GPL-3.0-or-later
"""The computer that a backend is set up on, and which packages fit it. Knows neither Qt nor files."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass, replace
from typing import Collection, Dict, Optional, Tuple

from ..i18n import tr

SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "aarch64"}
TITLES = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
DRIVERS = {"cu130": (580,), "cu126": (525, 60)}
"""The oldest NVIDIA driver that runs a build of torch, on Linux; on Windows three to five releases later.

Source: CUDA Toolkit Release Notes, minimum driver for minor version compatibility.
"""
OLDEST_MACOS = (14,)


@dataclass(frozen=True)
class Machine:
    """What decides which packages fit.

    Attributes:
        system: ``linux``, ``macos`` or ``windows``; another name where it is none of them.
        architecture: ``x86_64``, ``aarch64`` (Linux) or ``arm64`` (macOS).
        macos: The release of macOS; empty elsewhere.
        gpu: The name of the NVIDIA GPU; empty: none was found.
        driver: The release of the NVIDIA driver.
    """

    system: str
    architecture: str
    macos: Tuple[int, ...] = ()
    gpu: str = ""
    driver: Tuple[int, ...] = ()

    @classmethod
    def this(cls, system: str = sys.platform, processor: str = "", macos: str = "") -> Machine:
        """The one that QGIS runs on; its GPU is not known yet.

        Args:
            system: As ``sys.platform`` names it.
            processor: As ``platform.machine`` names it.
            macos: As ``platform.mac_ver`` does.
        """
        name = (processor or platform.machine()).lower()
        release = (macos or platform.mac_ver()[0]) if system == "darwin" else ""
        return cls(SYSTEMS.get(system, system), ARCHITECTURES.get(name, name), _numbers(release))

    @property
    def platform(self) -> str:
        """As the locks name it."""
        return f"{self.system}-{self.architecture}"

    def with_gpu(self, told: str) -> Machine:
        """With what ``nvidia-smi`` or the driver's file in /proc tells; as it is where that is nothing.

        Args:
            told: ``555.42.02, NVIDIA RTX A2000``, or ``NVRM version: ... Kernel Module  555.42.02 ...``.
        """
        asked = re.search(r"^\s*(\d+(?:\.\d+)+)\s*,\s*(\S.*?)\s*$", told, re.MULTILINE)
        if asked:
            return replace(self, driver=_numbers(asked[1]), gpu=asked[2])
        found = re.search(r"NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s", told)
        return replace(self, driver=_numbers(found[1]), gpu=tr("NVIDIA GPU")) if found else self


@dataclass(frozen=True)
class Choice:
    """Which lock is installed.

    Attributes:
        lock: Its name; None: there is none for this computer.
        why: A sentence or two for the analyst: what was found, and what it will compute on.
    """

    lock: Optional[str]
    why: str


def choose(machine: Machine, locks: Collection[str]) -> Choice:
    """The lock that fits a computer best.

    Args:
        machine: The computer.
        locks: The names of those there are: ``linux-x86_64-cu130``.
    """
    there = {name.rpartition("-")[2]: name for name in locks if name.rpartition("-")[0] == machine.platform}
    if not there:
        return Choice(None, _none_fits(machine))
    if machine.system == "macos":
        if machine.macos and machine.macos < OLDEST_MACOS:
            return Choice(
                None,
                tr(
                    "TiMo needs macOS {oldest} or later, and this Mac has {found}: update macOS.",
                    oldest=OLDEST_MACOS[0],
                    found=_dotted(machine.macos),
                ),
            )
        return Choice(there["mps"], tr("This Mac's own GPU will be used."))
    runs = [build for build, oldest in DRIVERS.items() if machine.driver >= oldest]
    order = [*runs, "cpu", *(build for build in DRIVERS if build not in runs)]
    build = next(each for each in order if each in there)
    return Choice(there[build], _why(machine, build, runs, there))


def _why(machine: Machine, build: str, runs: Collection[str], there: Collection[str]) -> str:
    known: Dict[str, str] = {"gpu": machine.gpu, "driver": _dotted(machine.driver)}
    if build in runs:
        return tr("{gpu} with driver {driver} was found and will be used.", **known)
    if not machine.gpu:
        return tr("No NVIDIA GPU was found: TiMo will compute on the processor, which is slower.")
    oldest = [DRIVERS[each][0] for each in there if each in DRIVERS]
    if not oldest:
        return tr(
            "{gpu} was found, but this release of TiMo has no GPU packages for {system}: it will compute on "
            "the processor. To use the GPU, install TiMo yourself and choose that environment below.",
            system=TITLES[machine.system],
            **known,
        )
    return tr(
        "{gpu} was found, but its driver {driver} is too old: TiMo will compute on the processor. "
        "Update the NVIDIA driver to {oldest} or later to use the GPU.",
        oldest=min(oldest),
        **known,
    )


def _none_fits(machine: Machine) -> str:
    if machine.platform == "macos-x86_64":
        return tr(
            "PyTorch, which TiMo computes with, has no packages for Macs with an Intel processor any more: "
            "use a Mac with Apple silicon, or another computer."
        )
    return tr(
        "This release of TiMo has no packages for {system} on a {processor} processor: "
        "install TiMo yourself and choose that environment below.",
        system=TITLES.get(machine.system, machine.system),
        processor=machine.architecture,
    )


def _numbers(text: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _dotted(numbers: Tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
