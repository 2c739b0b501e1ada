# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker and all that it starts, ended together: a process group, on Windows a job object."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any, Protocol

KILLED = 0xC000013A
"""The status of a process that was ended with its job object: Windows' own for one that was interrupted."""


class Group(Protocol):
    """What a worker was started into."""

    def terminate(self) -> None:
        """Ask the worker to end, where it can be asked."""

    def kill(self) -> None:
        """End the worker and its children. To be called before it is reaped: then its id is nobody else's."""

    def close(self) -> None:
        """The worker has ended: nothing of the group is left after this, where the system sees to that."""


def options(platform: str = sys.platform) -> dict[str, Any]:
    """Of ``subprocess.Popen``, for a worker that shall have a group of its own."""
    if platform != "win32":
        return {"start_new_session": True}
    new_group, no_window = 0x00000200, 0x08000000  # else a console opens with each job
    return {"creationflags": new_group | no_window}


def group_of(process: subprocess.Popen[bytes], platform: str = sys.platform, kernel: Any = None) -> Group:
    """The group of a process that was just started with ``options`` and has had no order yet.

    Args:
        process: The worker.
        platform: As ``sys.platform``.
        kernel: Windows' kernel32, or what has its functions.

    Raises:
        OSError: It can't be made; the process is ended.
    """
    if platform != "win32":
        return _Session(process)
    try:
        return _JobObject(process, kernel or _kernel())
    except OSError:
        process.kill()
        raise


class _Session:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def terminate(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        return


class _JobObject:
    """Windows ends all its processes when its last handle is closed: also when the server is killed.

    Source: Microsoft, Win32 API, Job Objects.
    """

    _EXTENDED_LIMITS, _KILL_ON_CLOSE, _FLAGS_AT, _SIZE = 9, 0x2000, 16, 144  # of a 64-bit Windows

    def __init__(self, process: subprocess.Popen[bytes], kernel: Any) -> None:
        self._kernel = kernel
        self._job = kernel.CreateJobObjectW(None, None)
        limits = bytearray(self._SIZE)
        limits[self._FLAGS_AT : self._FLAGS_AT + 4] = self._KILL_ON_CLOSE.to_bytes(4, "little")
        handle = int(process._handle)  # type: ignore[attr-defined]
        if not (
            self._job
            and kernel.SetInformationJobObject(self._job, self._EXTENDED_LIMITS, bytes(limits), self._SIZE)
            and kernel.AssignProcessToJobObject(self._job, handle)
        ):
            self.close()
            raise OSError(errno.EPERM, "a job object could not be made")

    def terminate(self) -> None:
        """There is no signal that a process could clean up after: the order that it got has to do."""

    def kill(self) -> None:
        if self._job:
            self._kernel.TerminateJobObject(self._job, KILLED)

    def close(self) -> None:
        if self._job:
            self._kernel.CloseHandle(self._job)
        self._job = None


def _kernel() -> Any:
    import ctypes
    from ctypes import wintypes

    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined, unused-ignore]
    kernel.CreateJobObjectW.restype = wintypes.HANDLE
    kernel.CreateJobObjectW.argtypes = [ctypes.c_void_p, wintypes.LPCWSTR]
    for name, arguments in (
        ("SetInformationJobObject", [wintypes.HANDLE, ctypes.c_int, ctypes.c_char_p, wintypes.DWORD]),
        ("AssignProcessToJobObject", [wintypes.HANDLE, wintypes.HANDLE]),
        ("TerminateJobObject", [wintypes.HANDLE, wintypes.UINT]),
        ("CloseHandle", [wintypes.HANDLE]),
    ):
        getattr(kernel, name).argtypes = arguments
    return kernel
