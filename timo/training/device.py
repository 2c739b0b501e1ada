# SPDX-License-Identifier: GPL-3.0-or-later
"""The device that a task runs on."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric

from timo.errors import ModelError


def fabric_for(device: str, seed: int = 0) -> Fabric:
    """Lightning Fabric on one device, everything seeded.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        seed: Seeds Python, numpy and torch.

    Raises:
        ModelError: If the device is not there.
    """
    there = {
        "auto": True,
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there[device]:
        raise ModelError(
            "device_missing",
            f"This machine has no '{device}' device that can be used.",
            "Choose 'auto' or 'cpu'.",
        )
    fabric = Fabric(accelerator=device, devices=1)
    fabric.seed_everything(seed, verbose=False)
    # Warn only: a few CUDA kernels have no deterministic form, and a training is worth more than a refusal.
    torch.use_deterministic_algorithms(True, warn_only=True)
    return fabric


def random_state(device: torch.device) -> list[torch.Tensor]:
    """The state of torch's random numbers, on the CPU and on the device."""
    states = [torch.get_rng_state()]
    if device.type in ("cuda", "mps"):
        states.append(getattr(torch, device.type).get_rng_state())
    return states


def set_random_state(device: torch.device, states: list[torch.Tensor]) -> None:
    """Go on with the random numbers after ``random_state``."""
    torch.set_rng_state(states[0])
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).set_rng_state(states[1])
