# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device a job gets: each GPU has one job at a time, and what needs none of them one beside."""

from __future__ import annotations

from collections.abc import Container, Sequence

CPU = "cpu"
"""The slot of jobs without an NVIDIA GPU of their own; with MPS, too."""


def slot_for(device: str, gpu: str | None, gpus: Sequence[str] | None, taken: Container[str]) -> str | None:
    """The slot in which a job can start now: a GPU's id or ``CPU``; None if it has to wait.

    Args:
        device: The spec's: ``auto``, ``cpu``, ``cuda``, ``mps``.
        gpu: The id of the GPU that was chosen for it, if any.
        gpus: The ids of the GPUs that jobs can have; None while that is not known.
        taken: The slots that have a job.
    """
    if device in ("cpu", "mps"):
        fitting: Sequence[str] = (CPU,)
    elif gpus is None:
        return None
    elif gpu is not None:
        fitting = (gpu,)
    else:
        fitting = gpus or (CPU,)
    return next((slot for slot in fitting if slot not in taken), None)


def environment(slot: str, spared: bool) -> dict[str, str]:
    """The variables that keep a worker to its slot's device, and from GPUs that are to be spared."""
    if slot != CPU:
        return {"CUDA_VISIBLE_DEVICES": slot}
    return {"CUDA_VISIBLE_DEVICES": ""} if spared else {}
