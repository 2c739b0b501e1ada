# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA GPUs that are not there, as the driver's library would tell of them."""

import time
from types import SimpleNamespace

import pynvml

GIB = 2**30


class FakeNvml:
    """What the backend uses of ``pynvml``, whose errors and their numbers it has.

    Args:
        ids: The GPUs'.
        closed: The number of the error with which the library doesn't open; None: it opens.
        lost: The ids of those that the driver can't reach.
        silent: Whether it doesn't say how much memory there is.
        cuda: The newest CUDA version that the driver runs, as NVML writes it.
        slow: The driver does not answer while this is true.
    """

    def __init__(self, ids=(), closed=None, lost=(), silent=False, cuda=13000, slow=lambda: False):
        self.ids, self.closed, self.lost, self.silent, self.cuda = list(ids), closed, lost, silent, cuda
        self.slow = slow
        self.free = 20 * GIB
        self.opened = 0

    def __getattr__(self, name):
        return getattr(pynvml, name)

    def nvmlInit(self):
        while self.slow():
            time.sleep(0.02)
        if self.closed is not None:
            raise pynvml.NVMLError(self.closed)
        self.opened += 1

    def nvmlShutdown(self):
        self.opened -= 1

    def nvmlSystemGetDriverVersion(self):
        return "590.44"

    def nvmlSystemGetCudaDriverVersion(self):
        return self.cuda

    def nvmlDeviceGetCount(self):
        return len(self.ids)

    def nvmlDeviceGetHandleByIndex(self, index):
        if self.ids[index] in self.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return self.ids[index]

    def nvmlDeviceGetUUID(self, handle):
        return handle

    def nvmlDeviceGetName(self, handle):
        return "NVIDIA RTX 4090"

    def nvmlDeviceGetMemoryInfo(self, handle):
        if self.silent:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(total=24 * GIB, free=self.free, used=24 * GIB - self.free)
