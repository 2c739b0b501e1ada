# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory there is, and what it looks like when it isn't enough."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch

from timo.errors import ModelError
from timo.series.words import sized

# torch and CUDA's libraries have no common type for it.
_GPU = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
_HOST = ("can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Shortage:
    """Memory didn't suffice.

    Attributes:
        where: ``GPU`` or ``machine``.
        device: Whose memory.
    """

    where: str
    device: torch.device

    @classmethod
    def of(cls, error: BaseException, device: torch.device) -> Shortage | None:
        """What an error says of memory; None if it is another one."""
        text = str(error)
        if isinstance(error, MemoryError) or any(words in text for words in _HOST):
            return cls("machine", torch.device("cpu"))
        if isinstance(error, torch.OutOfMemoryError) or any(words in text for words in _GPU):
            return cls("GPU", device)
        return None

    def free(self) -> int:
        """Bytes that are free now; to be asked when what was allocated is let go."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return available(self.device)

    def error(self, needed: str, size: int | None = None, smaller: str = "take fewer dates") -> ModelError:
        """What ends a task.

        Args:
            needed: A sentence on what it took.
            size: That in bytes, where it is known.
            smaller: What makes the task take less.
        """
        free = self.free()
        return ModelError(
            "out_of_memory",
            f"The memory of the {self.where} is not enough: {sized(free)} is free. {needed}",
            f"Close other programs, choose another device, or {smaller}.",
            detail={"there": free} if size is None else {"needed": size, "there": free},
        )


def available(device: torch.device) -> int:
    """Bytes that a device can still give."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def total(device: torch.device) -> int:
    """Bytes that a device has, whoever uses them."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)
