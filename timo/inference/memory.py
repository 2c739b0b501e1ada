# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory there is, and what it looks like when it isn't enough."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch


@dataclass(frozen=True)
class Shortage:
    """Memory didn't suffice.

    Attributes:
        where: ``GPU`` or ``machine``.
        available: Bytes that were still free when it was noticed.
    """

    where: str
    available: int

    @classmethod
    def of(cls, error: BaseException, device: torch.device) -> Shortage | None:
        """What an error says of memory; None if it is another one."""
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
            return cls("GPU", available(device))
        # torch has no type of its own for the host's memory.
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            return cls("machine", available(torch.device("cpu")))
        return None


def available(device: torch.device) -> int:
    """Bytes that a device can still give."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
