# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention that never writes its scores, and gives their log-sum-exp: torch's flash kernel.

It takes queries, keys and values of one head dimension, and half precision, which is where matrix products
are so fast that writing scores costs more than they do. Several dates' values lie side by side under one
query: its scores and their exponentials, which a kernel spends most of its time on, serve as many dates as
fit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WIDEST = 128  # of dates side by side: wider, the kernel slows down
_MOST = 256  # the kernel's greatest head dimension
_ALIGNED = 8  # its head dimensions are multiples of it
_BUILT = torch.backends.cuda.is_flash_attention_available()  # not in torch's builds for Windows


def fuses(q: Tensor) -> bool:
    """Whether the kernel takes such queries (..., d): half precision on an NVIDIA GPU since Ampere.

    Not with gradients, which would leave out what comes through the log-sum-exp, and not in exported graphs,
    whose number of dates is open.
    """
    return (
        q.device.type == "cuda"
        and _BUILT
        and torch.version.hip is None
        and q.dtype in (torch.bfloat16, torch.float16)
        and q.shape[-1] <= _MOST
        and not torch.is_grad_enabled()
        and not torch.compiler.is_exporting()
        and torch.cuda.get_device_properties(q.device).major >= 8
    )


def fused_attention(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax attention with unscaled scores, the same for the values of all dates.

    Args:
        q: (B, h, n, d).
        k: (B, h, N, d).
        v: (B, h, N, T, d).

    Returns:
        (B, h, n, T, d), and the scores' log-sum-exp (B, h, n) in float32 or better.
    """
    T, d = v.shape[3:]
    groups = -(-T // max(WIDEST // d, 1))
    width = -(-(-(-T // groups) * d) // _ALIGNED) * _ALIGNED
    q, k = _padded(q, width), _padded(k, width)
    parts = v.tensor_split(groups, dim=3)
    results = [_flash(q, k, _padded(part.flatten(3), width)) for part in parts]
    outs = [out[..., : p.shape[3] * d].reshape(*q.shape[:3], -1, d) for p, (out, _) in zip(parts, results)]
    return torch.cat(outs, dim=3), results[0][1]


def _padded(x: Tensor, width: int) -> Tensor:
    return F.pad(x, (0, width - x.shape[3]))


def _flash(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, scale=1.0)[:2]  # type: ignore[no-any-return]
