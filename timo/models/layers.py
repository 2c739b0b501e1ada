# SPDX-License-Identifier: GPL-3.0-or-later
"""The encoder's parts other than attention: stem, down-sampling, block."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from timm.layers.drop import DropPath
from timm.layers.mlp import Mlp
from timm.layers.weight_init import trunc_normal_
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from timo.models.attention import FullAttention, GyroscopeAttention
from timo.models.norm import batch_norm, recomputing

AttentionKind = Literal["gyroscope", "full"]
ATTENTION: tuple[AttentionKind, ...] = ("gyroscope", "full")
MLP_ROWS = 1024
NORM_EPS = 1e-6  # of blocks and stages; stem and down-sampling keep torch's 1e-5, as published


class Stem(nn.Module):
    """Frames to tokens at a quarter of the resolution: a 7x7 and a 2x2 convolution of stride 2 each."""

    def __init__(self, in_chans: int, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, dim, 7, stride=2, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 2, stride=2)
        self.norm = nn.LayerNorm(dim)

    def forward(self, frames: Tensor, present: Tensor | None = None) -> Tensor:
        """Embed frames (M, in_chans, H, W) -> (M, H/4, W/4, dim); present (M,) bool, or None for all."""
        kept = None if present is None else present[:, None, None, None]
        x = self.conv2(F.relu(batch_norm(self.bn, self.conv1(frames), kept), inplace=True))
        tokens: Tensor = self.norm(x.permute(0, 2, 3, 1))
        return tokens


class Downsample(nn.Module):
    """Tokens (M, H, W, in_dim) -> (M, H/2, W/2, dim): a 3x3 convolution of stride 2."""

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_dim, dim, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Halve height and width. (M, H, W, in_dim) -> (M, H/2, W/2, dim)."""
        tokens: Tensor = self.norm(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        return tokens


class Block(nn.Module):
    """Attention and MLP, each normalised before and added to what came in."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        mlp_ratio: float,
        attention: AttentionKind,
        drop_path: float = 0.0,
        scale_gyroscope: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn: GyroscopeAttention | FullAttention
        if attention == "gyroscope":
            self.attn = GyroscopeAttention(dim, num_heads, scaled=scale_gyroscope)
        else:
            self.attn = FullAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.checkpointing = False

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Mix tokens: x (B, T, N, C), present (B, T) bool or None for all -> (B, T, N, C)."""
        if self.checkpointing and torch.is_grad_enabled():
            # Half by half: the smaller the parts, the less there is at once in the backward.
            x = checkpoint(self._attend, x, present, use_reentrant=False, context_fn=_once_and_again)
            out: Tensor = checkpoint(self._mix, x, use_reentrant=False, context_fn=_once_and_again)
            return out
        return self._mix(self._attend(x, present))

    def _attend(self, x: Tensor, present: Tensor | None) -> Tensor:
        out: Tensor = x + self.drop_path(self.attn(self.norm1(x), present))
        return out

    def _mix(self, x: Tensor) -> Tensor:
        """Mix the channels of each token."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or x.device.type != "cpu":
            out: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
            return out
        # A part after the other: what lies between the two layers stays in the cache.
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        parts = (torch.split(tokens.flatten(0, 2), MLP_ROWS) for tokens in (x.contiguous(), out))
        for part, total in zip(*parts):
            torch.add(part, self.mlp(self.norm2(part)), out=total)
        return out


def _once_and_again() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What the first and the second forward of gradient checkpointing run in."""
    return nullcontext(), recomputing()


def init_weights(module: nn.Module) -> None:
    """Initial values for one module; give it to `nn.Module.apply`."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
