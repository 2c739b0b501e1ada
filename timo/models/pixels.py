# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pixel's own series says of it, at full resolution, beside what the model sees around it.

The paper's model finds nothing finer than its stem's 4 x 4 pixels, and takes the maximum over the dates. An
analyst's few hundred labels often tell more of a pixel by its own course through the season.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from timo.models.norm import batch_norm

HIDDEN = 512


class PixelSeries(nn.Module):
    """Class scores of every pixel from its own values on all dates.

    Each band's series is projected on cosines of the time since its first date, scaled to the series' length:
    as many numbers whatever the number of dates, and none lost where there are as many cosines as dates. A
    small network makes scores of them. What is dropped and added in training keeps it from learning the few
    labelled pixels by heart.

    Args:
        in_chans: Bands C.
        num_classes: Classes K.
        cosines: How many F; more tell faster changes.
        hidden: Width of the network.
        dropout: Share of its hidden values that is dropped in training.
        noise: Standard deviation of what is added to the standardised projections in training.
    """

    def __init__(
        self,
        in_chans: int,
        num_classes: int,
        cosines: int = 12,
        hidden: int = HIDDEN,
        dropout: float = 0.5,
        noise: float = 0.5,
    ) -> None:
        super().__init__()
        self.cosines, self.noise = cosines, noise
        self.norm = nn.BatchNorm2d(cosines * in_chans, affine=False, momentum=None)
        self.layers = nn.Sequential(
            nn.Conv2d(cosines * in_chans, hidden, 1),
            nn.GELU(),
            _Dropout(dropout),
            nn.Conv2d(hidden, hidden, 1),
            nn.GELU(),
            _Dropout(dropout),
            nn.Conv2d(hidden, num_classes, 1),
        )

    def forward(
        self,
        series: Tensor,
        valid: Tensor | None = None,
        dates: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Scores (B, K, H, W) before softmax.

        Args:
            series: (B, T, C, H, W) float.
            valid: (B, T, H, W) bool or None for all; a date without a valid pixel is left out.
            dates: (B, T) days, or None for dates that are equally far apart.
            wanted: (B, H, W) bool, pixels whose scores are needed, or None for all; the others' are 0, which
                takes no time.
        """
        B, T, _, H, W = series.shape
        present = None if valid is None else valid.flatten(2).any(2)
        basis = cosines_of(dates, present, T, self.cosines, series)  # B T F
        x = torch.einsum("btchw,btf->bfchw", series, basis.to(series.dtype)).reshape(B, -1, H, W)
        if self.training:
            # The mean of all batches so far: a few chips' own would differ from what a map is made with.
            with torch.no_grad():
                batch_norm(self.norm, x)
        if wanted is None:
            return self._scores(x)
        some = self._scores(x.permute(1, 0, 2, 3)[None, :, wanted][..., None])  # 1 K N 1
        scores = some.new_zeros(B, H, W, some.shape[1])
        scores[wanted] = some[0, :, :, 0].T
        return scores.permute(0, 3, 1, 2)

    def _scores(self, x: Tensor) -> Tensor:
        """(B, K, H, W) of projections (B, F * C, H, W)."""
        x = F.batch_norm(x, self.norm.running_mean, self.norm.running_var, eps=self.norm.eps)
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        scores: Tensor = self.layers(x)
        return scores


class _Dropout(nn.Dropout):
    """Three times as fast on a CPU, where torch's own took longer than the layers beside it."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * torch.rand_like(x).ge_(self.p).div_(1 - self.p)


def pixel_operations(in_chans: int, num_classes: int, cosines: int, hidden: int = HIDDEN) -> int:
    """Arithmetic operations of a `PixelSeries`' matrix products, for one pixel."""
    return 2 * hidden * (cosines * in_chans + hidden + num_classes)


def cosines_of(
    dates: Tensor | None, present: Tensor | None, count: int, cosines: int, like: Tensor
) -> Tensor:
    """Cosines of the time since a series' first date, (B, T, F) float32; absent dates are 0.

    Half a wave more with each cosine, over the time from the first date to the last; the sum of the squares
    of each is about 1.

    Args:
        dates: (B, T) days, or None for dates that are equally far apart.
        present: (B, T) bool, or None for all.
        count: T.
        cosines: F.
        like: A tensor of the batch, for its size and device.
    """
    if dates is None:
        dates = torch.arange(count, device=like.device).expand(like.shape[0], -1)
    if present is None:
        present = torch.ones_like(dates, dtype=torch.bool)
    first = dates.masked_fill(~present, torch.iinfo(dates.dtype).max).amin(1, keepdim=True)
    last = dates.masked_fill(~present, torch.iinfo(dates.dtype).min).amax(1, keepdim=True)
    time = (dates - first).float() / (last - first).clamp_min(1).float()  # 0 to 1
    waves = torch.arange(cosines, device=like.device) * math.pi
    weight = present.float() * (2 / present.sum(1, keepdim=True).float()).sqrt()
    return (time[..., None] * waves).cos() * weight[..., None]


class WithPixels(nn.Module):
    """A segmenter and `PixelSeries`, each of which learns by itself; a map is by the mean of their scores.

    Which of the two is to be trusted more, labels that neither has learnt from tell: see ``pixel_share``.

    Args:
        segmenter: Takes (B, T, C, H, W), validity and dates, gives (B, K, H, W).
        pixels: Gives the same.
        pixel_share: What the pixels' scores count in the mean, 0 to 1; None while that is open: a half.
    """

    def __init__(self, segmenter: nn.Module, pixels: PixelSeries, pixel_share: float | None = None) -> None:
        super().__init__()
        self.segmenter, self.pixels, self.pixel_share = segmenter, pixels, pixel_share

    @property
    def encoder(self) -> nn.Module:
        """The segmenter's."""
        return self.segmenter.encoder  # type: ignore[return-value]

    def both(
        self,
        series: Tensor,
        valid: Tensor | None = None,
        dates: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(B, K, H, W) scores before softmax of the segmenter, and of the pixels that are wanted."""
        return self.segmenter(series, valid, dates), self.pixels(series, valid, dates, wanted)

    def forward(
        self,
        series: Tensor,
        valid: Tensor | None = None,
        dates: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """(B, K, H, W) scores before softmax; in training those of each of the two."""
        around, alone = self.both(series, valid, dates, wanted)
        if self.training:
            return around, alone
        return torch.lerp(around, alone, 0.5 if self.pixel_share is None else self.pixel_share)
