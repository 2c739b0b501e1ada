# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on the encoder: the UPerNet head and the segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from timo.models.encoder import TiMoEncoder, spread
from timo.models.layers import init_weights

POOL_SIZES = (1, 2, 3, 6)


class ConvNormAct(nn.Sequential):
    """Convolution that keeps the size, BatchNorm, ReLU."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2)
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)


class UPerNet(nn.Module):
    """Joins the four stages of each frame to one map at the finest stage's resolution.

    Args:
        in_channels: Channels of each stage, finest first.
        channels: Channels of all layers, and of the result.

    Source: Xiao et al. 2018, Unified Perceptual Parsing for Scene Understanding.
    """

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        *finer, coarsest = in_channels
        self.pyramid = nn.ModuleList(ConvNormAct(coarsest, channels, 1) for _ in POOL_SIZES)
        self.bottleneck = ConvNormAct(coarsest + len(POOL_SIZES) * channels, channels, 3)
        self.laterals = nn.ModuleList(ConvNormAct(width, channels, 1) for width in finer)
        self.smooths = nn.ModuleList(ConvNormAct(channels, channels, 3) for _ in finer)
        self.fuse = ConvNormAct(len(in_channels) * channels, channels, 3)
        self.apply(init_weights)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """4 tensors (M, C_i, H_i, W_i), finest first -> (M, channels, H_1, W_1)."""
        *finer, coarsest = stages
        pooled = [
            resize(conv(F.adaptive_avg_pool2d(coarsest, cells)), coarsest.shape[-2:])
            for conv, cells in zip(self.pyramid, POOL_SIZES)
        ]
        x = self.bottleneck(torch.cat([coarsest, *pooled], dim=1))
        levels = [x]
        for stage, lateral in zip(reversed(finer), reversed(list(self.laterals))):
            levels.insert(0, lateral(stage) + resize(levels[0], stage.shape[-2:]))
        smooth = [*(conv(level) for conv, level in zip(self.smooths, levels)), levels[-1]]
        out: Tensor = self.fuse(torch.cat([resize(level, finer[0].shape[-2:]) for level in smooth], dim=1))
        return out


class TiMoSegmenter(nn.Module):
    """One class for every pixel: of the series as a whole, or of every date.

    Args:
        num_classes: Classes K.
        head_channels: Channels of the UPerNet head; None takes the last stage's, as the paper does.
        per_date: Give a map for every date. Otherwise the maximum over the dates is taken before the last
            convolution.
        **encoder: Arguments of `TiMoEncoder`.
    """

    def __init__(
        self, num_classes: int = 6, head_channels: int | None = None, per_date: bool = False, **encoder: Any
    ) -> None:
        super().__init__()
        self.per_date = per_date
        self.encoder = TiMoEncoder(**encoder)
        channels = head_channels or self.encoder.embed_dims[-1]
        self.head = UPerNet(self.encoder.embed_dims, channels)
        self.classifier = nn.Conv2d(channels, num_classes, 1)
        init_weights(self.classifier)

    def forward(self, series: Tensor, valid: Tensor | None = None, dates: Tensor | None = None) -> Tensor:
        """Class scores before softmax.

        Args:
            series: (B, T, in_chans, H, W) float; H and W are multiples of 32.
            valid: (B, T, H, W) bool or None; a date without a valid pixel is left out, see `TiMoEncoder`.
            dates: As for `TiMoEncoder`.

        Returns:
            (B, K, H, W), or (B, T, K, H, W) for `per_date`.

        Raises:
            ModelError: If the shape of the series or of `valid` doesn't fit.
        """
        stages = self.encoder(series, valid, dates)
        present = self.encoder.present(series, valid)
        B, T, _, H, W = series.shape
        if present is None:
            x = self.head([stage.flatten(0, 1) for stage in stages])  # (B T) C H/4 W/4
        else:
            # What the head gives is never negative, so absent dates, as 0, don't raise the maximum.
            x = spread(self.head([stage[present] for stage in stages]), present)
        if self.per_date:
            return resize(self.classifier(x), (H, W)).view(B, T, -1, H, W)
        out: Tensor = self.classifier(_greatest(x.view(B, T, *x.shape[1:]), (H, W)))
        return out


def _greatest(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Maximum over the dates at full resolution, (B, T, C, h, w) -> (B, C, *size)."""
    if not torch.is_grad_enabled():
        # One date after the other: all dates at full resolution would be the largest tensor of the model.
        return reduce(torch.maximum, (resize(frame, size) for frame in x.unbind(1)))
    # With channels last, and the place of each maximum kept, the way back is 5 times shorter on a CPU.
    frames = resize(x.flatten(0, 1).contiguous(memory_format=torch.channels_last), size)
    greatest = frames.permute(0, 2, 3, 1).reshape(*x.shape[:2], *size, -1).max(dim=1).values
    return greatest.permute(0, 3, 1, 2)


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, (M, C, h, w) -> (M, C, *size)."""
    return F.interpolate(x, size=list(size), mode="bilinear", align_corners=False)
