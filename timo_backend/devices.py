# SPDX-License-Identifier: GPL-3.0-or-later
"""What this computer can compute on, and why a GPU that is there can't be used."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from timo_backend import nvml as driver
from timo_backend.errors import BackendError
from timo_backend.nvml import Gpu, Seen
from timo_backend.trial import AGAIN, PROBE, Probe, Trial

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
FRESH_S = 2.0
"""So long what the driver told is told again: asking it can take some ten milliseconds a GPU."""
WAIT_S, SILENT_S, DEAD_S = 0.05, 5.0, 60.0
"""So long a request waits for the driver's answer; after so long without one analysts are told that it is
silent; and after so long it is taken to hang, and its last answer not to hold any more."""
SILENT = "The NVIDIA driver doesn't answer. Restart the computer."


@dataclass(frozen=True)
class Device:
    """One device, as it stands in the reply to ``hello``; ``docs/protocol.md`` lists the fields."""

    id: str
    kind: str
    name: str
    memory: int | None
    free: int | None
    driver: str | None
    usable: bool | None
    reason: str = ""


class Devices:
    """The devices of this computer.

    Args:
        nvml: As ``nvml.look`` takes it.
        probe: The program that finds out what torch can use; as ``Probe`` takes it.
        system: As ``sys.platform`` names it.
    """

    def __init__(self, nvml: Any = None, probe: Sequence[str] = PROBE, system: str = sys.platform) -> None:
        self._nvml, self._command, self._system = nvml, probe, system
        self._seen: Seen | None = None
        self._seen_at = float("-inf")
        self._asking: threading.Thread | None = None
        self._asked_at = 0.0
        self._probe: Probe | None = None
        self._trial: Trial | None = None
        self._found: Sequence[str] | None = None
        self._silent = False  # the driver, at the first try

    @property
    def gpus(self) -> Sequence[str] | None:
        """The ids of the GPUs that jobs can have now; None until that is known."""
        if self._found is None:
            return [] if self._silent and self._seen is None else None
        seen = self._answer() if self._found else None
        there = {gpu.id for gpu in seen.gpus if not gpu.fault} if seen else ()
        return [gpu for gpu in self._found if gpu in there]

    @property
    def decided(self) -> bool:
        """Whether a job can have a GPU of the analyst's choice, or can't, rather than wait for the driver."""
        return self._found is not None or self._silence() >= DEAD_S

    @property
    def spared(self) -> bool:
        """Whether a job that gets no GPU must be kept from those that there are, or may be."""
        return self._found is None or bool(self._found)

    async def try_out(self, home: Path) -> bool:
        """Find out which GPUs torch can use, and so which jobs can have, where there are any.

        Args:
            home: As ``Probe`` takes it.

        Returns:
            Whether that is known now. Otherwise the driver is silent; until another try jobs get none.
        """
        until = time.monotonic() + SILENT_S
        self._answer()
        while (seen := self._seen) is None:
            if time.monotonic() > until:
                if not self._silent:
                    logger.warning("the GPUs' driver doesn't answer: until it does jobs run without them")
                self._silent = True
                return False
            await asyncio.sleep(WAIT_S)
            self._answer()
        found: Sequence[Device] = ()
        try:
            if seen.gpus or self._system == "darwin":
                self._trial = await self._try_torch(home)
                found = cuda_devices(seen, self._trial, os.environ.get(VISIBLE))
        finally:
            self._found = [device.id for device in found if device.usable]
        return True

    async def _try_torch(self, home: Path) -> Trial:
        try:
            self._probe = Probe(self._command, home)
        except OSError as error:
            return Trial(error=f"The program that tries the GPUs can't be started ({error}). {AGAIN}")
        return await self._probe.trial()

    def end(self) -> None:
        """End the process that ``try_out`` started."""
        if self._probe is not None:
            self._probe.end()

    def describe(self) -> dict[str, Any]:
        """``devices`` and ``host``, as they stand in the reply to ``hello``."""
        host, memory = about_host(self._system), psutil.virtual_memory()
        found = cuda_devices(self._look(), self._trial, os.environ.get(VISIBLE))
        if self._system == "darwin":
            found.append(mps_device(host["cpu"], memory.total, memory.available, self._trial))
        found.append(Device("cpu", "cpu", host["cpu"], memory.total, memory.available, None, usable=True))
        return {"devices": [asdict(device) for device in found], "host": {**host, "memory": memory.total}}

    def refusal(self, gpu: str) -> BackendError | None:
        """Why a job can't have a GPU; None where it can, or where that is not known yet."""
        seen = self._answer()
        if seen is None:
            return None
        found = cuda_devices(seen, self._trial, os.environ.get(VISIBLE))
        named = {device.id: device for device in found}
        if gpu not in named:
            others = [device for device in found if device.usable is not False]
            there = ", ".join(f"'{device.id}' ({device.name})" for device in others)
            return BackendError(
                "unknown_gpu",
                f"There is no GPU '{gpu}' here; {f'there are: {there}' if there else 'none can be used'}.",
                seen.fault or "Pick one of them, or leave the choice to the backend.",
                detail={"gpus": [device.id for device in others]},
            )
        if named[gpu].usable is False:
            return BackendError(
                "gpu_unusable",
                f"GPU '{gpu}' ({named[gpu].name}) can't be used.",
                named[gpu].reason,
                retryable=True,
            )
        return None

    def _look(self) -> Seen:
        """What analysts are told of the driver: what it tells, or that it is silent."""
        seen = self._answer()
        return Seen(fault=SILENT) if self._silence() >= SILENT_S else seen or Seen()

    def _answer(self) -> Seen | None:
        """What the driver tells now, or told last, for a busy one can take long; None if it told nothing yet.

        One that hangs holds up a thread, and nobody else.
        """
        if self._silence() >= DEAD_S:
            return Seen(fault=SILENT)
        asking = self._asking is not None and self._asking.is_alive()
        if not asking and time.monotonic() - self._seen_at >= FRESH_S:
            self._asking, self._asked_at = (
                threading.Thread(target=self._ask, name="nvml", daemon=True),
                time.monotonic(),
            )
            self._asking.start()
            self._asking.join(WAIT_S)
        return self._seen

    def _silence(self) -> float:
        """How many seconds the driver has been asked without an answer."""
        if self._asking is None or not self._asking.is_alive():
            return 0.0
        return time.monotonic() - self._asked_at

    def _ask(self) -> None:
        self._seen = driver.look(self._nvml)
        self._seen_at = time.monotonic()


def cuda_devices(seen: Seen, trial: Trial | None, visible: str | None) -> list[Device]:
    """The NVIDIA GPUs, and whether torch can use them.

    Args:
        seen: What the driver tells.
        trial: What torch can do; None while that is not known.
        visible: The value of ``CUDA_VISIBLE_DEVICES``; None where it isn't set.
    """
    if seen.fault:
        return [
            Device("cuda", "cuda", "NVIDIA GPU", None, None, seen.driver, usable=False, reason=seen.fault)
        ]
    devices = []
    for gpu in seen.gpus:
        reason = gpu.fault or ("" if trial is None else _why_not(gpu, seen, trial, visible))
        usable = False if reason else None if trial is None else True
        devices.append(Device(gpu.id, "cuda", gpu.name, gpu.memory, gpu.free, seen.driver, usable, reason))
    return devices


def _why_not(gpu: Gpu, seen: Seen, trial: Trial, visible: str | None) -> str:
    """Why torch can't use a GPU, and what to do; empty where it can."""
    tried = next((one for one in trial.gpus if one.id == gpu.id), None)
    if tried is not None and tried.works:
        return ""
    if not trial.torch:
        return trial.error
    if trial.cuda is None:
        return (
            f"The installed torch {trial.torch} is built without CUDA. "
            "Install a build of torch for CUDA, as https://pytorch.org/get-started says."
        )
    if seen.cuda is not None and seen.cuda[0] < int(trial.cuda.split(".")[0]):
        return (
            f"The NVIDIA driver {seen.driver} runs CUDA up to {seen.cuda[0]}.{seen.cuda[1]}, "
            f"and torch {trial.torch} needs CUDA {trial.cuda}. Update the driver."
        )
    if tried is not None and not _has_code(trial.architectures, tried.capability):
        return (
            f"Torch {trial.torch} has no code for this GPU's architecture, {tried.capability}. "
            "Install a release of torch that has: an earlier one for an old GPU, a later one for a new one."
        )
    if tried is not None:
        return (
            f"Torch {trial.torch} can't compute on it ({tried.error}). "
            "Restart the computer, or update the NVIDIA driver."
        )
    if visible is not None:
        return (
            f"{VISIBLE}={visible} in the backend's environment leaves it out. "
            "Start the backend without that variable."
        )
    return (
        f"Torch {trial.torch} doesn't see it{f' ({trial.error})' if trial.error else ''}. "
        "Start the backend anew; if that doesn't help, update the NVIDIA driver."
    )


def _has_code(architectures: Sequence[str], capability: str) -> bool:
    """Whether torch has a GPU's code: that of its major version, of this minor version or an earlier one.

    Source: CUDA C++ Programming Guide, binary and PTX compatibility.
    """
    major, minor = map(int, capability.split("."))
    for name in architectures:
        kind, _, digits = name.partition("_")
        if not digits.isdigit():  # sm_90a is for one GPU alone
            continue
        of = int(digits[:-1]), int(digits[-1])
        if (of[0] == major and of[1] <= minor) or (kind == "compute" and of <= (major, minor)):
            return True
    return False


def mps_device(chip: str, memory: int, free: int, trial: Trial | None) -> Device:
    """The GPU of a Mac, which shares the host's memory, and whether torch can use it.

    Args:
        chip: The processor's name.
        memory: Bytes of the host.
        free: Likewise.
        trial: As ``cuda_devices`` takes it.
    """
    reason = ""
    if trial is not None and not trial.torch:
        reason = trial.error
    elif trial is not None and not trial.mps_built:
        reason = (
            f"The installed torch {trial.torch} is built without MPS. "
            "Install torch's own build for macOS, with a Python for this Mac's processor."
        )
    elif trial is not None and not trial.mps:
        reason = (
            f"Torch {trial.torch} finds no GPU that MPS can use. Update macOS; a Mac of before 2020 has none."
        )
    usable = False if reason else None if trial is None else True
    return Device("mps", "mps", chip, memory, free, None, usable, reason)


@functools.cache
def about_host(system: str = sys.platform) -> Mapping[str, Any]:
    """The processor's name, and how many logical cores it has."""
    name = ""
    with suppress(OSError):
        name = _cpu_name(system)
    return {"cpu": name or platform.machine(), "cores": psutil.cpu_count() or 1}


def _cpu_name(system: str) -> str:
    if system == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    if system == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor()
