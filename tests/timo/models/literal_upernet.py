# SPDX-License-Identifier: GPL-3.0-or-later
"""The oracle: the UPerNet head as its definition reads, in torch's own convolutions and interpolations.

Nothing here is meant to be fast. `timo.models.upernet` computes the same function with fewer operations, and
is held to this file. It was committed before the fast form and stays as it is. Its parameters bear the same
names.

Source: Xiao et al. 2018, Unified Perceptual Parsing for Scene Understanding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POOL_SIZES = (1, 2, 3, 6)


def conv_norm_act(in_channels: int, channels: int, kernel_size: int) -> nn.Sequential:
    """Convolution that keeps the size, BatchNorm, ReLU."""
    layer = nn.Sequential()
    layer.add_module("conv", nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2))
    layer.add_module("bn", nn.BatchNorm2d(channels))
    layer.add_module("act", nn.ReLU())
    return layer


class LiteralUPerNet(nn.Module):
    """Pyramid of pooled maps on the coarsest stage, a top-down path, and all levels joined at the finest."""

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        *finer, coarsest = in_channels
        self.pyramid = nn.ModuleList(conv_norm_act(coarsest, channels, 1) for _ in POOL_SIZES)
        self.bottleneck = conv_norm_act(coarsest + len(POOL_SIZES) * channels, channels, 3)
        self.laterals = nn.ModuleList(conv_norm_act(width, channels, 1) for width in finer)
        self.smooths = nn.ModuleList(conv_norm_act(channels, channels, 3) for _ in finer)
        self.fuse = conv_norm_act(len(in_channels) * channels, channels, 3)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """4 tensors (M, C_i, H_i, W_i), finest first -> (M, channels, H_1, W_1)."""
        c1, c2, c3, c4 = stages
        pooled = [c4]
        for cells, conv in zip(POOL_SIZES, self.pyramid):
            pooled.append(enlarge(conv(F.adaptive_avg_pool2d(c4, cells)), c4))
        p4 = self.bottleneck(torch.cat(pooled, dim=1))
        p3 = self.laterals[2](c3) + enlarge(p4, c3)
        p2 = self.laterals[1](c2) + enlarge(p3, c2)
        p1 = self.laterals[0](c1) + enlarge(p2, c1)
        levels = [self.smooths[0](p1), self.smooths[1](p2), self.smooths[2](p3), p4]
        out: Tensor = self.fuse(torch.cat([enlarge(level, c1) for level in levels], dim=1))
        return out


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear, (M, C, h, w) -> (M, C, H, W) of `like`."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def greatest(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Maximum over the dates at full resolution, (B, T, C, h, w) -> (B, C, *size), all dates held at once."""
    B, T = x.shape[:2]
    frames = F.interpolate(x.flatten(0, 1), size=size, mode="bilinear", align_corners=False)
    return frames.view(B, T, *frames.shape[1:]).max(dim=1).values
