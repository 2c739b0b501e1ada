# SPDX-License-Identifier: GPL-3.0-or-later
"""``timo check``: whether this installation can compute, on which device, and why on that one."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from timo import __version__
from timo.errors import ModelError
from timo.terminal import AsJson, out

_DATES, _SIZE = 3, 64


def check(
    device: Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda or mps.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Run a small model once, and say which device it ran on and why."""
    found = _compute(device)
    if as_json:
        print(json.dumps(found))  # noqa: T201
        return
    out.print(
        f"TiMo {found['version']} computes on {found['name']}: {found['reason']} "
        f"A small model took {found['seconds']:.2f} s (torch {found['torch']}).",
        soft_wrap=True,
        highlight=False,
    )


def _compute(device: str) -> dict[str, Any]:
    """A forward of the smallest model over made-up series (1, 3, 3, 64, 64)."""
    import torch

    from timo.models.device import compute_on
    from timo.models.registry import segmenter

    where = compute_on(device).device
    torch.manual_seed(0)
    model = segmenter("timo_tiny", 2, 3).eval().to(where)
    series = torch.rand(1, _DATES, 3, _SIZE, _SIZE, device=where)
    began = time.perf_counter()
    with torch.inference_mode():
        scores = model(series).cpu()
    if not torch.isfinite(scores).all():
        raise ModelError(
            "not_finite",
            f"A model that ran on '{where}' gave numbers that are not finite.",
            "Update the driver of the GPU, or choose the device 'cpu'.",
        )
    return {
        "version": __version__,
        "torch": torch.__version__,
        "device": where.type,
        "name": _name(where),
        "reason": _reason(device, where),
        "seconds": round(time.perf_counter() - began, 3),
    }


def _name(where: Any) -> str:
    import torch

    if where.type == "cuda":
        return str(torch.cuda.get_device_name(where))
    return "the GPU of this Mac" if where.type == "mps" else "the processor"


def _reason(asked: str, where: Any) -> str:
    """Why this device, in a sentence."""
    import torch

    if asked != "auto":
        return "it was asked for."
    if where.type != "cpu":
        return "it is a GPU that torch can use."
    if torch.version.cuda is None and not torch.backends.mps.is_built():
        return "the installed torch is built for the processor alone."
    if torch.version.cuda is not None:
        return f"torch finds no NVIDIA GPU that it can use with CUDA {torch.version.cuda}."
    return "torch finds no GPU on this Mac that it can use."
