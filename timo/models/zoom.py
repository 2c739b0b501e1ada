# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeing things smaller than the stem's 4 pixels: frames are enlarged before the network."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Zoomed(nn.Module):
    """A segmenter that sees its frames enlarged, and whose logits are averaged back.

    The paper's model finds nothing finer than its stem's 4 x 4 pixels, which at 10 m is a field of 40 m. With
    ``zoom`` 2 or 4 it does, at 4 or 16 times the operations.

    Args:
        segmenter: Takes (B, T, C, H, W), gives (B, K, H, W), or (B, T, K, H, W); or a classifier, whose
            (B, K) or (B, T, K) are left as they are.
        zoom: How many times height and width are enlarged.
    """

    def __init__(self, segmenter: nn.Module, zoom: int) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.zoom = zoom

    @property
    def encoder(self) -> nn.Module:
        """The segmenter's."""
        return self.segmenter.encoder  # type: ignore[return-value]

    def forward(
        self, series: torch.Tensor, valid: torch.Tensor | None = None, dates: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(B, T, C, H, W) -> (B, K, H, W) logits; H and W times ``zoom`` are multiples of 32.

        ``valid`` and ``dates`` are as for ``TiMoSegmenter``.
        """
        if self.zoom == 1:
            return self.segmenter(series, valid, dates)  # type: ignore[no-any-return]
        logits: torch.Tensor = self.segmenter(*enlarged(series, valid, self.zoom), dates)
        if logits.dim() < 4:  # of chips: B K, or B T K
            return logits
        if logits.dim() == 5:  # B T K H W
            pooled = F.avg_pool2d(logits.flatten(0, 1), self.zoom)
            return pooled.view(*logits.shape[:2], *pooled.shape[1:])
        return F.avg_pool2d(logits, self.zoom)


def enlarged(
    series: torch.Tensor, valid: torch.Tensor | None, zoom: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Frames (B, T, C, H, W) between the pixels' centres bilinearly, their validity (B, T, H, W) repeated."""
    if zoom == 1:
        return series, valid
    frames = series.flatten(0, 1)  # B T C H W -> (B T) C H W
    frames = F.interpolate(frames, scale_factor=zoom, mode="bilinear", align_corners=False)
    if valid is not None:
        valid = valid.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    return frames.reshape(*series.shape[:3], *frames.shape[-2:]), valid
