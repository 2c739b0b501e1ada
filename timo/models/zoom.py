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
        segmenter: Takes (B, T, C, H, W), gives (B, K, H, W).
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

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """(B, T, C, H, W) -> (B, K, H, W) logits; H and W times ``zoom`` are multiples of 32."""
        if self.zoom == 1:
            return self.segmenter(series)  # type: ignore[no-any-return]
        dates = series.shape[1]
        frames = series.flatten(0, 1)  # B T C H W -> (B T) C H W
        frames = F.interpolate(frames, scale_factor=self.zoom, mode="bilinear", align_corners=False)
        logits = self.segmenter(frames.reshape(-1, dates, *frames.shape[1:]))
        return F.avg_pool2d(logits, self.zoom)
