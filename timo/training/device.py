# SPDX-License-Identifier: GPL-3.0-or-later
"""The device that a task runs on."""

from __future__ import annotations

import os
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from timo.errors import ModelError

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
    "float16": "16-mixed",
}


def fabric_for(device: str, seed: int = 0, precision: str = "float32") -> Fabric:
    """Lightning Fabric on one device, everything seeded; under ``torchrun`` on one device a process.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        seed: Seeds Python, numpy and torch.
        precision: Of the model's arithmetic: ``float32``, ``bfloat16``, ``float16``, or ``auto``, bfloat16 on
            a CUDA GPU that computes in it, else float32.

    Raises:
        ModelError: If the device is not there, or the CPU is to compute in float16.
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
    on_gpu = there["cuda"] if device == "auto" else device == "cuda"
    if precision == "auto":
        precision = "bfloat16" if on_gpu and torch.cuda.is_bf16_supported(False) else "float32"
    if precision == "float16" and not on_gpu:
        raise ModelError(
            "precision_device", "float16 needs a CUDA GPU.", "Choose 'auto', 'float32' or 'bfloat16'."
        )
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's, which started as many of us
    fabric = Fabric(
        accelerator=device,
        devices=processes,
        num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", "1")),
        # A classifier doesn't use the norms of the finer stages.
        strategy=DDPStrategy(find_unused_parameters=True) if "TORCHELASTIC_RUN_ID" in os.environ else "auto",
        precision=PRECISIONS[precision],
    )
    fabric.launch()
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
