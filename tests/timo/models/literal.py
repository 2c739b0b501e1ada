# SPDX-License-Identifier: GPL-3.0-or-later
"""The oracle: attention as its equations read, with every tensor that the equations name.

Nothing here is meant to be fast. `timo.models.attention` computes the same functions without the
(T, N, N + T) tensor of every head, and is held to this file; this file is held to the published numbers.
It was committed before the fast form and stays as it is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def lower_median(x: Tensor, present: Tensor | None = None) -> Tensor:
    """Median over time of x (B, T, ...), the lower one for an even number of dates.

    `present` (B, T) leaves dates out, sample by sample; every sample has at least one.
    """
    if present is None:
        return x.median(dim=1).values
    absent = ~present.reshape(*present.shape, *[1] * (x.dim() - 2))
    return x.masked_fill(absent, math.nan).nanmedian(dim=1).values


class Differential(nn.Module):
    """d[t, n]: Linear(head_dim, 1) -> BatchNorm -> ReLU of (query - median query), one scalar a query."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(head_dim, 1, bias=False)
        self.norm = nn.BatchNorm1d(1)

    def forward(self, difference: Tensor, present: Tensor | None = None) -> Tensor:
        """(B, T, N, heads, head_dim) -> (B, T, N, heads); absent dates get 0 and are in no statistics."""
        d = self.project(difference).squeeze(-1)
        if present is None:
            present = torch.ones(d.shape[:2], dtype=torch.bool, device=d.device)
        kept = d[present]
        kept = self.norm(kept.reshape(-1, 1)).relu().reshape(kept.shape)
        return torch.zeros_like(d).masked_scatter(present[:, :, None, None].expand_as(d), kept)


class LiteralGyroscopeAttention(nn.Module):
    """One softmax over the T temporal and the N spatial keys of every query, written out.

    Scores are not scaled. The temporal keys of query (t, n) are k[u, n] for u != t, with values v[u, n];
    its spatial keys are the medians over time k~[m], with the values v[t, m] of its own date, scored against
    the median query q~[n] plus the differential term d[t, n].
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.differential = Differential(dim // num_heads)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """x (B, T, N, C), present (B, T) bool or None for all -> (B, T, N, C)."""
        B, T, N, C = x.shape
        q = self.q(x).reshape(B, T, N, self.num_heads, -1)
        k, v = self.kv(x).reshape(B, T, N, 2, self.num_heads, -1).unbind(3)
        q_median, k_median = lower_median(q, present), lower_median(k, present)  # B N h d
        d = self.differential(q - q_median[:, None], present)

        shared = torch.einsum("bnhd,bmhd->bhnm", q_median, k_median)
        spatial = shared[:, :, None] + d.permute(0, 3, 1, 2)[..., None]  # B h T N N
        temporal = torch.einsum("btnhd,bunhd->bhtnu", q, k)  # B h T N T
        itself = torch.eye(T, dtype=torch.bool, device=x.device)[:, None, :]
        temporal = temporal.masked_fill(itself, -math.inf)
        if present is not None:
            temporal = temporal.masked_fill(~present[:, None, None, None, :], -math.inf)

        weights = torch.cat([temporal, spatial], dim=-1).softmax(dim=-1)  # B h T N (T + N)
        over_time, over_space = weights.split([T, N], dim=-1)
        out = torch.einsum("bhtnu,bunhd->btnhd", over_time, v)
        out = out + torch.einsum("bhtnm,btmhd->btnhd", over_space, v)
        return self.proj(out.reshape(B, T, N, C))


class LiteralFullAttention(nn.Module):
    """Every token of every date attends to all of them; scores are scaled by head_dim ** -0.5."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """x (B, T, N, C), present (B, T) bool or None for all -> (B, T, N, C)."""
        B, T, N, C = x.shape
        q = self.q(x).reshape(B, T * N, self.num_heads, -1)
        k, v = self.kv(x).reshape(B, T * N, 2, self.num_heads, -1).unbind(2)
        scores = torch.einsum("bnhd,bmhd->bhnm", q, k) * q.shape[-1] ** -0.5
        if present is not None:
            absent = ~present.repeat_interleave(N, dim=1)
            scores = scores.masked_fill(absent[:, None, None, :], -math.inf)
        out = torch.einsum("bhnm,bmhd->bnhd", scores.softmax(dim=-1), v)
        return self.proj(out.reshape(B, T, N, C))
