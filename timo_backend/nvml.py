# SPDX-License-Identifier: GPL-3.0-or-later
"""The NVIDIA GPUs of this computer as their driver knows them, whatever torch can do with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Args:
        id: Its UUID, as ``CUDA_VISIBLE_DEVICES`` takes it.
        name: The product's.
        memory: Bytes that it has; None where the driver doesn't say.
        free: Bytes of them that nobody uses now; None likewise.
        fault: Why the driver can't use it, and what to do; else empty.
    """

    id: str
    name: str
    memory: int | None = None
    free: int | None = None
    fault: str = ""


@dataclass(frozen=True)
class Seen:
    """What the driver tells.

    Args:
        gpus: In its order.
        driver: Its version; None where it doesn't say.
        cuda: The newest CUDA version that it runs, ``(major, minor)``; None likewise.
        fault: Why it tells of no GPU although there is one, and what to do; else empty.
    """

    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda: tuple[int, int] | None = None
    fault: str = ""


def look(nvml: Any = None) -> Seen:
    """Ask the driver. NVML is opened anew each time: the driver may have been updated meanwhile.

    Args:
        nvml: The module ``pynvml``, or what has its functions; loaded when left out.
    """
    try:
        nvml = import_module("pynvml") if nvml is None else nvml
    except ImportError as error:
        return Seen(fault=f"What asks the driver is not installed ({error}). Install the backend anew.")
    try:
        return _look(nvml)
    except Exception as error:  # whatever a driver that doesn't fit its library brings about
        return Seen(fault=f"The NVIDIA driver's answer is not understood ({error}). Restart the computer.")


def _look(nvml: Any) -> Seen:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Seen(fault=_why_closed(nvml, error))
    try:
        count = _asked(nvml, nvml.nvmlDeviceGetCount) or 0
        version = _asked(nvml, nvml.nvmlSystemGetCudaDriverVersion)
        return Seen(
            tuple(_gpu(nvml, index) for index in range(count)),
            _asked(nvml, nvml.nvmlSystemGetDriverVersion),
            None if version is None else (version // 1000, version % 1000 // 10),
        )
    finally:
        _asked(nvml, nvml.nvmlShutdown)


def _gpu(nvml: Any, index: int) -> Gpu:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        ident, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError as error:
        return Gpu(
            f"cuda:{index}",
            "NVIDIA GPU",
            fault=f"The NVIDIA driver can't reach this GPU ({error}). Restart the computer.",
        )
    memory = _asked(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)  # some that share the host's don't say
    return Gpu(ident, name, *((None, None) if memory is None else (int(memory.total), int(memory.free))))


def _asked(nvml: Any, function: Callable[..., Any], *values: Any) -> Any:
    """The function's value; None where the driver doesn't say."""
    try:
        return function(*values)
    except nvml.NVMLError:
        return None


def _why_closed(nvml: Any, error: Any) -> str:
    if error.value == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return ""  # no NVIDIA driver: nothing says that there is a GPU
    if error.value == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return "The NVIDIA driver was updated while the old one was in use. Restart the computer."
    if error.value == nvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return (
            "The NVIDIA driver is installed and not loaded. Restart the computer; "
            "if that doesn't help, install the driver anew."
        )
    if error.value == nvml.NVML_ERROR_NO_PERMISSION:
        return "This user may not use the NVIDIA driver. Ask the administrator for access to the GPU."
    return f"The NVIDIA driver doesn't answer ({error}). Restart the computer."
