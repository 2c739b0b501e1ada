# SPDX-License-Identifier: GPL-3.0-or-later
"""The TiMo encoder: a four-stage transformer over the frames of a series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from timo.errors import ModelError
from timo.models.layers import (
    ATTENTION,
    NORM_EPS,
    AttentionKind,
    Block,
    Downsample,
    Stem,
    init_weights,
    position_code,
)

STRIDE = 32  # pixels a token of the last stage stands for, along each side
PAPER_ATTENTION: tuple[AttentionKind, ...] = ("gyroscope", "gyroscope", "full", "full")


class Stage(nn.Module):
    """Blocks on one grid, then normalisation."""

    def __init__(self, blocks: Iterable[Block], dim: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)

    def forward(self, x: Tensor, present: Tensor | None) -> Tensor:
        """Run the blocks on embedded tokens: (B, T, H, W, C) -> the same shape."""
        B, T, H, W, C = x.shape
        x = x.reshape(B, T, H * W, C)
        for block in self.blocks:
            x = block(x, present)
        normed: Tensor = self.norm(x)
        return normed.view(B, T, H, W, C)


class TiMoEncoder(nn.Module):
    """Features of a satellite image time series at 1/4, 1/8, 1/16 and 1/32 of its resolution.

    The defaults are those of the published base model (90.2 million parameters at 3 bands).

    Args:
        in_chans: Bands of a frame.
        embed_dims: Channels of each stage; the first a multiple of 8.
        num_heads: Attention heads of each stage; each divides its stage's channels.
        mlp_ratios: Hidden channels of each stage's MLPs over its channels.
        depths: Blocks of each stage.
        attention: "gyroscope" or "full" for each stage.
        drop_path_rate: Chance that the last block's residual branches are dropped in training; it grows
            linearly from 0 at the first block.

    Raises:
        ModelError: If the stages don't fit together.

    Source: the TiMo paper and the numbers of its published code; see `timo.models.official` for its weights.
    """

    def __init__(
        self,
        *,
        in_chans: int = 3,
        embed_dims: Sequence[int] = (128, 256, 512, 1024),
        num_heads: Sequence[int] = (4, 8, 16, 32),
        mlp_ratios: Sequence[float] = (4, 4, 4, 4),
        depths: Sequence[int] = (2, 2, 18, 2),
        attention: Sequence[AttentionKind] = PAPER_ATTENTION,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        _check(embed_dims, num_heads, mlp_ratios, depths, attention)
        self.in_chans = in_chans
        self.embed_dims = tuple(embed_dims)
        rates = iter(torch.linspace(0, drop_path_rate, sum(depths), device="cpu").tolist())
        self.embeds = nn.ModuleList(
            [Stem(in_chans, embed_dims[0]), *(Downsample(*dims) for dims in pairwise(embed_dims))]
        )
        self.stages = nn.ModuleList()
        for dim, heads, ratio, depth, kind in zip(embed_dims, num_heads, mlp_ratios, depths, attention):
            blocks = (
                Block(dim, heads, mlp_ratio=ratio, attention=kind, drop_path=next(rates))
                for _ in range(depth)
            )
            self.stages.append(Stage(blocks, dim))
        self.apply(init_weights)

    def forward(
        self, series: Tensor, valid: Tensor | None = None, dates: Tensor | None = None
    ) -> list[Tensor]:
        """Features of every date at every stage.

        Args:
            series: (B, T, in_chans, H, W) float; H and W are multiples of 32.
            valid: (B, T, H, W) bool, False where nodata or cloud. A date none of whose pixels is valid is
                absent: it changes nothing at the other dates, and what comes out at it is finite and means
                nothing. Finer detail is not looked at: invalid pixels are to be filled before. A sample with
                no valid pixel at all is taken as it is.
            dates: (B, T) int64, days since 1970-01-01. Published TiMo uses the order of the frames alone, and
                so does this: dates are accepted and change nothing.

        Returns:
            4 tensors (B, T, C_i, H_i, W_i), finest first.

        Raises:
            ModelError: If the shape of the series or of `valid` doesn't fit.
        """
        present = self.present(series, valid)
        B, T = series.shape[:2]
        features: list[Tensor] = []
        x = series.flatten(0, 1)
        for embed, stage in zip(self.embeds, self.stages):
            # Absent dates may hold anything, even NaN, and are in no statistics: they don't enter.
            x = embed(x) if features or present is None else spread(embed(x[present.flatten()]), present)
            x = x.view(B, T, *x.shape[1:])
            if not features:
                x = x + self._position(x, present)
            x = stage(x, present)
            features.append(x.permute(0, 1, 4, 2, 3))
            x = x.flatten(0, 1)
        return features

    def present(self, series: Tensor, valid: Tensor | None) -> Tensor | None:
        """Which dates take part, (B, T) bool, or None for all; checks the shapes as `forward` does."""
        if series.dim() != 5 or series.shape[2] != self.in_chans:
            raise ModelError(
                "series_shape",
                f"The model takes a series (B, T, {self.in_chans}, H, W), and got {tuple(series.shape)}.",
                f"Give it {self.in_chans} bands, or build the model with in_chans set to the series' bands.",
            )
        B, T, _, H, W = series.shape
        if H % STRIDE or W % STRIDE or not H * W * T:
            raise ModelError(
                "series_size",
                f"The model takes heights and widths that are multiples of {STRIDE}, and got {H} x {W}.",
                f"Cut or pad the frames to a multiple of {STRIDE}.",
            )
        if valid is None:
            return None
        if valid.shape != (B, T, H, W) or valid.dtype != torch.bool:
            raise ModelError(
                "valid_shape",
                f"valid must be bool of shape {(B, T, H, W)}, and is {valid.dtype} of {tuple(valid.shape)}.",
                "Give one truth value for each pixel of each date.",
            )
        present = valid.flatten(2).any(2)
        present = present | ~present.any(1, keepdim=True)
        return None if present.all() else present

    def _position(self, x: Tensor, present: Tensor | None) -> Tensor:
        """Code of each token's place; absent frames are not counted. (B, T, H, W, C) -> broadcasts to it."""
        _, T, H, W, C = x.shape
        if present is None:
            index = torch.arange(T, device=x.device)[None]
        else:
            index = (present.cumsum(1) - 1).clamp_min(0)
        return position_code(index, H, W, C).to(x.dtype)


def spread(frames: Tensor, present: Tensor) -> Tensor:
    """Put the frames of present dates (M, ...) among those of all (B*T, ...); the others become 0."""
    everywhere = frames.new_zeros(present.numel(), *frames.shape[1:])
    return everywhere.masked_scatter(present.view(-1, *[1] * (frames.dim() - 1)), frames)


def _check(
    embed_dims: Sequence[int],
    num_heads: Sequence[int],
    mlp_ratios: Sequence[float],
    depths: Sequence[int],
    attention: Sequence[str],
) -> None:
    action = "See timo.models.registry.VARIANTS for sets that fit."
    if {len(part) for part in (embed_dims, num_heads, mlp_ratios, depths, attention)} != {4}:
        message = "embed_dims, num_heads, mlp_ratios, depths and attention each need 4 entries, one a stage."
        raise ModelError("encoder_config", message, action)
    if embed_dims[0] % 8:
        raise ModelError("encoder_config", f"embed_dims[0] is {embed_dims[0]}, not a multiple of 8.", action)
    for dim, heads in zip(embed_dims, num_heads):
        if heads < 1 or dim % heads:
            raise ModelError("encoder_config", f"{dim} channels don't divide into {heads} heads.", action)
    for kind in attention:
        if kind not in ATTENTION:
            raise ModelError(
                "encoder_config", f"attention '{kind}' is not one of {', '.join(ATTENTION)}.", action
            )
