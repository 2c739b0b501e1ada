# SPDX-License-Identifier: GPL-3.0-or-later
"""The segmenter: the UPerNet head on the encoder, and one class for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from timo.models.encoder import TiMoEncoder
from timo.models.enlarge import resize
from timo.models.greatest import classify_greatest, greatest
from timo.models.layers import init_weights
from timo.models.upernet import UPerNet


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
            ModelError: If a shape doesn't fit, or dates are needed and not given.
        """
        present = self.encoder.present(series, valid, dates)
        size = (series.shape[3], series.shape[4])
        x = self.join(self.encoder(series, valid, dates), present)  # B T C H/4 W/4
        if self.per_date:
            scores = resize(self.classifier(x.flatten(0, 1)), size)
            return scores.view(*x.shape[:2], -1, *size)
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            out: Tensor = self.classifier(greatest(x, size))
            return out
        return classify_greatest(x, size, self.classifier)

    def join(self, stages: Sequence[Tensor], present: Tensor | None = None) -> Tensor:
        """The head's map of every date; absent dates are 0, so that they don't raise the maximum.

        Args:
            stages: As the encoder gives them, (B, T, C_i, H_i, W_i).
            present: (B, T) bool, or None for all.

        Returns:
            (B, T, head channels, H/4, W/4), never negative.
        """
        frames = [stage.flatten(0, 1) for stage in stages]  # (B T) C_i H_i W_i
        if present is None:
            x: Tensor = self.head(frames)
        elif self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            kept = present.flatten()
            x = torch.where(kept[:, None, None, None], self.head(frames, kept), 0)
        else:  # the head costs the most: absent dates don't enter
            kept = present.flatten()
            some = self.head([frame[kept] for frame in frames])
            x = some.new_zeros(kept.numel(), *some.shape[1:]).contiguous(memory_format=torch.channels_last)
            x[kept] = some
        return x.view(*stages[0].shape[:2], *x.shape[1:])
