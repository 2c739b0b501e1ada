# SPDX-License-Identifier: GPL-3.0-or-later
"""BatchNorm whose statistics leave absent dates out, in training and across processes.

Selecting the present values would give the same numbers, but tensors of a size that depends on their
content: those break `torch.compile` and `torch.export`. Here they are masked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm

_recomputing: ContextVar[bool] = ContextVar("recomputing", default=False)


@contextmanager
def recomputing() -> Iterator[None]:
    """While gradient checkpointing runs a forward a second time, running statistics stay as they are."""
    token = _recomputing.set(True)
    try:
        yield
    finally:
        _recomputing.reset(token)


def batch_norm(norm: _BatchNorm, x: Tensor, present: Tensor | None = None) -> Tensor:
    """Normalise x (M, C, ...) as `norm` does; values that are not present are in no statistics.

    Args:
        norm: A BatchNorm of C channels. A SyncBatchNorm shares its statistics with the other processes by the
            same two sums whether dates are absent or not, so that ranks whose batches differ never wait for
            each other.
        x: (M, C, ...), finite everywhere.
        present: bool, broadcasts to x, with 1 for C; None for all. At least two values are present in all.

    Returns:
        (M, C, ...). Values that are not present are normalised too, and mean nothing.
    """
    synced = isinstance(norm, nn.SyncBatchNorm)
    if not norm.training or (present is None and not synced):
        return _by_torch(norm, x)
    values = x.to(torch.promote_types(x.dtype, torch.float32))
    kept = (
        torch.ones((), dtype=values.dtype, device=x.device) if present is None else present.to(values.dtype)
    )
    over = [dim for dim in range(x.dim()) if dim != 1]
    along = [1, -1, *[1] * (x.dim() - 2)]
    count = kept.expand(x.shape[0], 1, *x.shape[2:]).sum()
    total = (values * kept).sum(over)
    if synced:
        sums = _sum_of_all(torch.cat([total, count[None]]), norm)
        total, count = sums[:-1], sums[-1]
    mean = total / count
    centred = values - mean.view(along)
    squares = (centred.square() * kept).sum(over)
    if synced:
        squares = _sum_of_all(squares, norm)
    variance = squares / count
    if not _recomputing.get():
        _remember(norm, mean.detach(), squares.detach() / (count.detach() - 1).clamp_min(1))
    out = centred * (norm.weight * (variance + norm.eps).rsqrt()).view(along) + norm.bias.view(along)
    return out.to(x.dtype)


def _by_torch(norm: _BatchNorm, x: Tensor) -> Tensor:
    out: Tensor
    if norm.training and _recomputing.get():
        mean, variance = (None if s is None else s.clone() for s in (norm.running_mean, norm.running_var))
        out = F.batch_norm(x, mean, variance, norm.weight, norm.bias, training=True, eps=norm.eps)
    else:
        out = norm(x)
    return out


def _sum_of_all(sums: Tensor, norm: _BatchNorm) -> Tensor:
    """Over the processes of a SyncBatchNorm, where there are some."""
    if not dist.is_initialized():
        return sums
    out: Tensor = all_reduce(sums, group=norm.process_group)  # type: ignore[no-untyped-call]
    return out


@torch.no_grad()
def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics towards those of a batch, as torch's BatchNorm does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    # Without a momentum it is the mean of all batches.
    momentum = 1.0 / norm.num_batches_tracked if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance, momentum)
