# SPDX-License-Identifier: GPL-3.0-or-later
"""The device that a model computes on, and how precisely."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from timo.errors import ModelError

_LOWER = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """Where a model computes, and in which numbers.

    Attributes:
        device: Where.
        precision: ``float32``, ``bfloat16`` or ``float16``.
    """

    device: torch.device
    precision: str

    def autocast(self) -> AbstractContextManager[Any]:
        """The context that a forward runs in."""
        lower = _LOWER.get(self.precision)
        return nullcontext() if lower is None else torch.autocast(self.device.type, lower)


def compute_on(device: str, precision: str = "float32") -> Compute:
    """What an analyst's choice means on this machine; torch then keeps to kernels that are deterministic.

    Args:
        device: ``auto`` (a GPU where one can be used), ``cpu``, ``cuda`` or ``mps``.
        precision: ``float32``, ``bfloat16``, ``float16``, or ``auto``, bfloat16 on a CUDA GPU that computes
            in it, else float32.

    Raises:
        ModelError: The device is not there, or something else than a CUDA GPU is to compute in float16.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = next(kind for kind, usable in there.items() if usable) if device == "auto" else device
    if not there[name]:
        raise ModelError(
            "device_missing",
            f"This machine has no '{device}' device that can be used.",
            "Choose 'auto' or 'cpu'.",
        )
    if precision == "auto":
        lower = name == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bfloat16" if lower else "float32"
    if precision == "float16" and name != "cuda":
        raise ModelError(
            "precision_device", "float16 needs a CUDA GPU.", "Choose 'auto', 'float32' or 'bfloat16'."
        )
    # Warn only: a few CUDA kernels have no deterministic form, and a training is worth more than a refusal.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Torch then fills what it makes beforehand, lest something be left in it: nothing of ours is left so.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return Compute(torch.device(name, 0) if name == "cuda" else torch.device(name), precision)
