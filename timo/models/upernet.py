# SPDX-License-Identifier: GPL-3.0-or-later
"""The UPerNet head, with as few operations as its exact result allows.

Its last 3x3 convolution runs over four maps side by side, of which three were enlarged. Mixing channels
commutes with enlarging: each of the 9 taps is mixed at the small size, then enlarged, shifted and added to
what the finest map gives. So is the 3x3 convolution over the pooled pyramid. The result is the same, see
`add_enlarged`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from timo.models.enlarge import enlarging, resize
from timo.models.layers import init_weights
from timo.models.norm import batch_norm
from timo.models.winograd import conv3x3

POOL_SIZES = (1, 2, 3, 6)


class ConvNormAct(nn.Module):
    """Convolution that keeps the size, BatchNorm, ReLU; channels last."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2)
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """(M, H, W, C_in), present (M,) bool or None for all -> (M, H, W, C)."""
        weight = self.conv.weight
        if weight.shape[2] == 1:
            return self.finish(x @ weight.flatten(1).T, present)
        return self.finish(conv3x3(x, weight), present)

    def finish(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """What follows the products: bias, BatchNorm and ReLU of x (M, H, W, C), present (M,) or None.

        Frames that are not present are in no statistics.
        """
        kept = None if present is None else present[:, None, None, None]
        if self.conv.bias is not None:
            # In place: x is the products, which nothing else needs.
            x = x.add_(self.conv.bias)
        x = batch_norm(self.bn, x.permute(0, 3, 1, 2), kept)
        out: Tensor = self.act(x).permute(0, 2, 3, 1)
        return out


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

    def forward(self, stages: Sequence[Tensor], present: Tensor | None = None) -> Tensor:
        """Join stages; those with channels last in memory, as the encoder gives them, are the fastest.

        Args:
            stages: 4 tensors (M, C_i, H_i, W_i), finest first.
            present: (M,) bool, or None for all. Other frames are in no statistics, and their result is finite
                and means nothing.

        Returns:
            (M, channels, H_1, W_1), never negative.
        """
        *finer, coarsest = (stage.permute(0, 2, 3, 1).contiguous() for stage in stages)  # M H W C
        levels = [self._pyramid(coarsest, present)]
        for stage, lateral in zip(reversed(finer), reversed(list(self.laterals))):
            levels.insert(0, lateral(stage, present) + _resize(levels[0], stage.shape[1:3]))
        smooth = [layer(level, present) for layer, level in zip(self.smooths, levels)]
        return _joined(self.fuse, [*smooth, levels[-1]], present).permute(0, 3, 1, 2)

    def _pyramid(self, coarsest: Tensor, present: Tensor | None) -> Tensor:
        """(M, h, w, C_4) -> (M, h, w, channels), having seen the means of 1, 4, 9 and 36 cells."""
        pooled = [
            layer(F.adaptive_avg_pool2d(coarsest.permute(0, 3, 1, 2), cells).permute(0, 2, 3, 1), present)
            for layer, cells in zip(self.pyramid, POOL_SIZES)
        ]
        return _joined(self.bottleneck, [coarsest, *pooled], present)


def _joined(layer: ConvNormAct, maps: Sequence[Tensor], present: Tensor | None) -> Tensor:
    """`layer` of all maps (M, h_i, w_i, C_i) side by side, each enlarged to the first one's size."""
    first, *others = torch.split(layer.conv.weight, [one.shape[3] for one in maps], dim=1)
    out = conv3x3(maps[0], first)
    for one, weight in zip(maps[1:], others):
        out = add_enlarged(out, one, weight)
    return layer.finish(out, present)


def add_enlarged(out: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Add, in place if it can, a 3x3 convolution over an enlarged map, without enlarging it.

    The taps of a kernel's row, mixed at the small size, are enlarged, shifted and summed along the width by
    one matrix product, and along the height by another, which adds them up:

        out += sum over dy of R[dy] @ (sum over dx of (x @ weight[dy, dx]) @ C[dx]^T)

    R[dy] (H, h) is the matrix of a bilinear enlargement, shifted by dy, with zeros where the convolution
    looks beyond the border; C[dx] (W, w) likewise.

    Args:
        out: (M, H, W, O).
        x: (M, h, w, C).
        weight: (O, C, 3, 3).

    Returns:
        (M, H, W, O).
    """
    M, H, W, channels = out.shape
    _, h, w, C = x.shape
    tokens = x.reshape(M * h * w, C)
    mixes = weight.permute(2, 3, 0, 1).reshape(3, 3 * channels, C)
    rows = _shifted(h, H, x)  # 3 H h
    columns = _shifted(w, W, x).permute(1, 2, 0).reshape(W, 3 * w)
    total = out.reshape(M, H, W * channels)
    for mix, row in zip(mixes, rows):
        taps = (tokens @ mix.T).view(M * h, 3 * w, channels)
        wide = columns.to(taps.dtype).expand(M * h, W, 3 * w) @ taps
        total.baddbmm_(row.to(taps.dtype).expand(M, H, h), wide.view(M, h, W * channels))
    return total.view(M, H, W, channels)


def _shifted(size: int, larger: int, like: Tensor) -> Tensor:
    """(3, larger, size): what enlarging gives before, at and after each row, 0 beyond the border."""
    padded = F.pad(enlarging(size, larger, like), (0, 0, 1, 1))
    return torch.stack([padded[:-2], padded[1:-1], padded[2:]])


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, (M, h, w, C) -> (M, *size, C)."""
    return resize(x.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
