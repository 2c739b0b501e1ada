# SPDX-License-Identifier: GPL-3.0-or-later
"""TiMo's two kinds of attention over a series of T dates with N tokens each.

Gyroscope attention lets a query attend to its own location at the other dates and to all N locations of its
own date, under one softmax. Written out, that is a (T, N, N + T) tensor for every head. It is computed here
without it, exactly: the spatial scores are those of the medians over time, which all dates share, plus one
scalar a query, which cancels within the spatial softmax and only weighs space against time.

Both kinds take and give (B, T, N, C), and take `present` (B, T), False for dates that nobody may attend to;
at least one date of every sample is present. What comes out at an absent date is finite and means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from timo.models.fused import fused_attention, fuses
from timo.models.norm import batch_norm

# Where no gradient is needed, so many bytes of scores are held at once: on a CPU they stay in its cache, and
# what is allocated again and again is small enough for the system not to hand out fresh pages each time.
CPU_BLOCK_BYTES = 4 * 2**20
GPU_BLOCK_BYTES = 512 * 2**20
# Rows of the projections, at least: below, matrix products slow down.
LEAST_ROWS = 512
MOST_SORTED = 32


class GyroscopeAttention(nn.Module):
    """Attention over time at a query's location and over space at its date, under one softmax.

    With q, k, v of every date, q~, k~ the (lower) medians over time, and d[t, n] a learned scalar of q - q~:

        S[n, m]    = q~[n] . k~[m]                        shared by all dates
        O_space    = softmax_m(S) v[t],  L = logsumexp_m(S)
        E[n, t, u] = q[t, n] . k[u, n] for u != t         T x T for every location
        O_time     = softmax_u(E) v[:, n],  M = logsumexp_u(E)
        w          = sigmoid(L[n] + d[t, n] - M[t, n])
        out        = w O_space + (1 - w) O_time

    With one date, w = 1.

    Args:
        dim: Channels C, a multiple of `num_heads`.
        num_heads: Number of heads.
        scaled: Whether all scores are scaled by head_dim ** -0.5. The published code doesn't (False).
    """

    def __init__(self, dim: int, num_heads: int, *, scaled: bool = False) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5 if scaled else 1.0
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.differential = Differential(dim // num_heads)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Attend: x (B, T, N, C), present (B, T) bool or None for all -> (B, T, N, C)."""
        x = x.transpose(1, 2)  # B N T C: what is added up lies close together
        local = [self._at_locations(block, present) for block in self._blocks(x)]
        keys = torch.cat([part[1] for part in local], dim=1).transpose(1, 2)  # B h N d
        values = torch.cat([part[2].permute(0, 3, 1, 2, 4) for part in local], dim=2)  # B h N T d
        blocks = []
        for q_median, _, _, d, over_time, M in local:
            over_space, L = _over_space(q_median, keys, values)
            w = torch.sigmoid(L + d - M).to(over_time.dtype)
            blocks.append(self.proj(torch.lerp(over_time, over_space, w).flatten(3)))
        return torch.cat(blocks, dim=1).transpose(1, 2)

    def _at_locations(self, x: Tensor, present: Tensor | None) -> tuple[Tensor, ...]:
        """What each location tells by itself: x (B, n, T, C) -> q~, k~, v, d, O_time, M."""
        x = x.contiguous()
        q: Tensor = self.q(x).unflatten(3, (self.num_heads, -1))  # B n T h d
        k, v = self.kv(x).unflatten(3, (2, self.num_heads, -1)).unbind(3)
        q_median, k_median = lower_median(q, present), lower_median(k, present)  # B n h d
        d = self.differential(q, q_median, present)  # B n T h 1
        if self.scale != 1.0:
            k, k_median = k * self.scale, k_median * self.scale
        return q_median, k_median, v, d, *_over_time(q, k, v, present)

    def _blocks(self, x: Tensor) -> Sequence[Tensor]:
        """Locations that are worked on at once; all of them where a graph is recorded."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return [x]
        B, N, T, _ = x.shape
        budget = CPU_BLOCK_BYTES if x.device.type == "cpu" else GPU_BLOCK_BYTES
        return torch.split(x, max(budget // (4 * B * self.num_heads * N), LEAST_ROWS // T, 1), dim=1)


def _over_space(q: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Spatial part at each date: median queries (B, n, h, d), keys (B, h, N, d), values (B, h, N, T, d).

    Gives (B, n, T, h, d), and L (B, n, 1, h, 1).
    """
    q = q.transpose(1, 2)
    if fuses(q):
        out, L = fused_attention(q, keys, values)
        L = L[..., None]
    else:
        weights, L = _softmax(_exact(q @ keys.transpose(2, 3)))  # B h n N, B h n 1
        # All dates side by side.
        out = (weights.to(values.dtype) @ values.flatten(3)).view(*weights.shape[:3], *values.shape[3:])
    return out.permute(0, 2, 3, 1, 4), L.transpose(1, 2)[:, :, None]


def _over_time(q: Tensor, k: Tensor, v: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor]:
    """Each query's temporal part: q, k, v (B, n, T, h, d) -> (B, n, T, h, d), and M (B, n, T, h, 1)."""
    T = q.shape[2]
    out_of_reach = torch.eye(T, dtype=torch.bool, device=q.device)
    if present is not None:
        out_of_reach = out_of_reach | ~present[:, None, None, None, :]
    scores = _exact(q.transpose(2, 3) @ k.permute(0, 1, 3, 4, 2))  # B n h T T
    # The lowest finite number: a query with no other date gets w = 1 and no NaN, forward and backward.
    weights, M = _softmax(scores.masked_fill(out_of_reach, torch.finfo(scores.dtype).min))
    out = weights.to(v.dtype) @ v.transpose(2, 3)  # B n h T d
    return out.transpose(2, 3), M.transpose(2, 3)


def _exact(scores: Tensor) -> Tensor:
    """Scores in float32 where a lower precision made them: unscaled, they are large."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _softmax(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax of the last dimension, and its log-sum-exp (..., 1)."""
    if torch.compiler.is_compiling():
        return _weights_and_sum(scores)
    weights, L = _Softmax.apply(scores)
    return weights, L


def _weights_and_sum(scores: Tensor) -> tuple[Tensor, Tensor]:
    weights = scores.softmax(-1)
    # The greatest weight is exp(greatest score - log-sum-exp), and no less than 1 over their number: this is
    # as exact as torch.logsumexp, and takes a third of its time on a CPU.
    return weights, scores.amax(-1, keepdim=True) - weights.amax(-1, keepdim=True).log()


class _Softmax(torch.autograd.Function):
    """Keeps the weights alone: they are the log-sum-exp's gradient too."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> tuple[Tensor, Tensor]:
        weights, L = _weights_and_sum(scores)
        ctx.save_for_backward(weights)
        return weights, L

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_weights: Tensor, to_L: Tensor) -> Tensor:
        (weights,) = ctx.saved_tensors
        gradient: Tensor = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
        return gradient.addcmul_(weights, to_L)


class Differential(nn.Module):
    """d[t, n]: Linear(head_dim, 1) -> BatchNorm -> ReLU of (query - median query), one scalar a query."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(head_dim, 1, bias=False)
        self.norm = nn.BatchNorm1d(1)

    def forward(self, q: Tensor, q_median: Tensor, present: Tensor | None = None) -> Tensor:
        """From q (B, N, T, h, d), q_median (B, N, h, d): d (B, N, T, h, 1). Statistics: present dates."""
        d: Tensor = self.project(q) - self.project(q_median)[:, :, None]
        if present is None:
            return F.relu(batch_norm(self.norm, d.reshape(-1, 1))).view_as(d)
        kept = present[:, None, :, None, None].expand_as(d)
        normed = batch_norm(self.norm, d.reshape(-1, 1), kept.reshape(-1, 1)).view_as(d)
        return torch.where(kept, F.relu(normed), 0)  # absent dates get 0


class FullAttention(nn.Module):
    """Every token of every date attends to every token of every date, scaled by head_dim ** -0.5.

    Args:
        dim: Channels C, a multiple of `num_heads`.
        num_heads: Number of heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Attend: x (B, T, N, C), present (B, T) bool or None for all -> (B, T, N, C)."""
        B, T, N, C = x.shape
        q = self.q(x).view(B, T * N, self.num_heads, -1).transpose(1, 2)  # B h (T N) d
        k, v = self.kv(x).view(B, T * N, 2, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if present is None else present.repeat_interleave(N, dim=1)[:, None, None, :]
        joined = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.proj(joined.transpose(1, 2).reshape(B, T, N, C))
        return out


def lower_median(x: Tensor, present: Tensor | None = None) -> Tensor:
    """Median over present dates of x (B, N, T, ...) -> (B, N, ...), the lower one for an even number."""
    if present is not None:
        absent = ~present.view(present.shape[0], 1, -1, *[1] * (x.dim() - 3))
        return x.masked_fill(absent, float("nan")).nanmedian(dim=2).values
    dates = x.shape[2]
    if torch.is_grad_enabled() or not isinstance(dates, int) or dates > MOST_SORTED:
        return x.median(dim=2).values
    # torch.median sorts value by value; exchanging whole slices is many times faster at a dozen dates.
    frames = list(x.unbind(2))
    for i, j, low, high in EXCHANGES[dates]:
        first, second = frames[i], frames[j]
        if low:
            frames[i] = torch.minimum(first, second)
        if high:
            frames[j] = torch.maximum(first, second)
    return frames[(dates - 1) // 2]


def _exchanges(count: int) -> tuple[tuple[int, int, bool, bool], ...]:
    """Exchanges (i, j, are i's minimum and j's maximum needed) that leave the lower median in its place.

    Batcher's odd-even merge sort (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M), without the
    exchanges that the middle doesn't depend on.
    """
    network = []
    power = 1 << max(count - 1, 1).bit_length() - 1
    p = power
    while p > 0:
        q, r, distance = power, 0, p
        while distance > 0:
            network += [(i, i + distance) for i in range(count - distance) if i & p == r]
            distance, q, r = q - p, q >> 1, p
        p >>= 1
    needed = {(count - 1) // 2}
    kept = []
    for i, j in reversed(network):
        if i in needed or j in needed:
            kept.append((i, j, i in needed, j in needed))
            needed |= {i, j}
    return tuple(reversed(kept))


EXCHANGES = tuple(_exchanges(count) for count in range(MOST_SORTED + 1))  # by the number of dates
