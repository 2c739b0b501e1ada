# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker ends with all that it has started: in a process group, and in a job object of a faked Windows."""

import subprocess
import sys

import pytest

from tests.timo_backend.conftest import PATIENCE_S, wait_until_gone
from timo_backend import groups

CHILD = "import subprocess, sys; print(subprocess.Popen(['sleep', '3600']).pid, flush=True); input()"


class Kernel:
    """Notes what is asked of Windows; ``fails`` names the function that does."""

    def __init__(self, fails=""):
        self.asked = []
        self._fails = fails

    def __getattr__(self, name):
        def call(*values):
            self.asked.append((name, *values))
            return 0 if name == self._fails else 77

        return call

    def names(self):
        return [name for name, *_ in self.asked]


class Process:
    """A process as `subprocess` has it on Windows."""

    _handle = 5
    killed = False

    def kill(self):
        self.killed = True


def test_a_process_group_ends_with_its_children():
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **groups.options()
    ) as process:
        child = int(process.stdout.readline())
        group = groups.group_of(process)
        group.kill()
        assert process.wait(PATIENCE_S) < 0
        wait_until_gone(child)
        group.terminate()  # of what is gone: nothing happens
        group.close()


def test_on_windows_a_worker_gets_a_job_object_that_ends_with_the_server():
    kernel = Kernel()
    group = groups.group_of(Process(), "win32", kernel)
    assert kernel.names() == ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"]
    _, job, kind, limits, size = kernel.asked[1]
    assert (job, kind, size, len(limits)) == (77, 9, 144, 144)
    assert int.from_bytes(limits[16:20], "little") == 0x2000 and sum(limits) == 0x20
    assert kernel.asked[2] == ("AssignProcessToJobObject", 77, 5)
    group.terminate()
    assert len(kernel.asked) == 3, "there is no signal that it could be asked by"
    group.kill()
    group.close()
    group.kill()
    group.close()
    assert kernel.asked[3:] == [("TerminateJobObject", 77, 0xC000013A), ("CloseHandle", 77)]
    assert groups.options("win32") == {"creationflags": 0x08000200}


@pytest.mark.parametrize(
    "function", ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"]
)
def test_without_a_job_object_no_worker_runs(function):
    process, kernel = Process(), Kernel(function)
    with pytest.raises(OSError, match="job object"):
        groups.group_of(process, "win32", kernel)
    assert process.killed
    assert ("CloseHandle" in kernel.names()) == (function != "CreateJobObjectW")
