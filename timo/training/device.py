# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that a training runs on."""

from __future__ import annotations

import os
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from timo.models.device import compute_on

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
    "float16": "16-mixed",
}


def fabric_for(device: str, seed: int = 0, precision: str = "float32") -> Fabric:
    """Lightning Fabric on one device, everything seeded; under ``torchrun`` on one device a process.

    Args:
        device: As ``compute_on`` takes it.
        seed: Seeds Python, numpy and torch.
        precision: Likewise.

    Raises:
        ModelError: As ``compute_on``.
    """
    chosen = compute_on(device, precision)
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's, which started as many of us
    fabric = Fabric(
        accelerator=chosen.device.type,
        devices=processes,
        num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", "1")),
        # A classifier doesn't use the norms of the finer stages.
        strategy=DDPStrategy(find_unused_parameters=True) if "TORCHELASTIC_RUN_ID" in os.environ else "auto",
        precision=PRECISIONS[chosen.precision],
    )
    fabric.launch()
    fabric.seed_everything(seed, verbose=False)
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
