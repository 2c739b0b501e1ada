# SPDX-License-Identifier: GPL-3.0-or-later
"""The TiMo encoder: a four-stage transformer over the frames of a series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from timo.errors import ModelError
from timo.models.checks import check_shapes
from timo.models.layers import (
    ATTENTION,
    NORM_EPS,
    AttentionKind,
    Block,
    Downsample,
    Stem,
    init_weights,
)
from timo.models.position import POSITIONS, Position, add_position

PAPER_ATTENTION: tuple[AttentionKind, ...] = ("gyroscope", "gyroscope", "full", "full")


class Stage(nn.Module):
    """Blocks on one grid, then normalisation."""

    def __init__(self, blocks: Iterable[Block], dim: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
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

    The published code takes square frames alone, all of them present; this takes any height and width that
    are multiples of 32, and leaves absent dates out. Where both take the series they give the same.

    Args:
        in_chans: Bands of a frame.
        embed_dims: Channels of each stage; the first a multiple of 8.
        num_heads: Attention heads of each stage; each divides its stage's channels.
        mlp_ratios: Hidden channels of each stage's MLPs over its channels.
        depths: Blocks of each stage.
        attention: "gyroscope" or "full" for each stage.
        drop_path_rate: Chance that the last block's residual branches are dropped in training; it grows
            linearly from 0 at the first block.
        position: What the model knows of time. "index" (published): the number of each frame in the order
            given; dates are read by the published loaders and used by nothing. "sorted": its number in the
            order of the dates, so that the order of the files is no matter. "date": the days since the first
            date, and the season, so that gaps count and series of other dates can be mapped.
        scale_gyroscope: Whether gyroscope attention scales its scores by head_dim ** -0.5, as full attention
            does. The published code doesn't (False); scaled, training from random weights is calmer.

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
        position: Position = "index",
        scale_gyroscope: bool = False,
    ) -> None:
        super().__init__()
        _check(embed_dims, num_heads, mlp_ratios, depths, attention, position)
        self.in_chans = in_chans
        self.embed_dims = tuple(embed_dims)
        self.position: Position = position
        rates = iter(torch.linspace(0, drop_path_rate, sum(depths), device="cpu").tolist())
        self.embeds = nn.ModuleList(
            [Stem(in_chans, embed_dims[0]), *(Downsample(*dims) for dims in pairwise(embed_dims))]
        )
        self.stages = nn.ModuleList()
        for dim, heads, ratio, depth, kind in zip(embed_dims, num_heads, mlp_ratios, depths, attention):
            blocks = (
                Block(
                    dim,
                    heads,
                    mlp_ratio=ratio,
                    attention=kind,
                    drop_path=next(rates),
                    scale_gyroscope=scale_gyroscope,
                )
                for _ in range(depth)
            )
            self.stages.append(Stage(blocks, dim))
        self.apply(init_weights)

    def forward(
        self, series: Tensor, valid: Tensor | None = None, dates: Tensor | None = None
    ) -> list[Tensor]:
        """Features of every date at every stage.

        Run `timo.models.checks.check_inputs` before it on data that may be wrong: here shapes alone are
        checked.

        Args:
            series: (B, T, in_chans, H, W) float; H and W are multiples of 32.
            valid: (B, T, H, W) bool, False where nodata or cloud. A date none of whose pixels is valid is
                absent: it changes nothing at the other dates, and what comes out at it is finite and means
                nothing. So series of differing length share a batch, padded with absent dates. Finer detail
                is not looked at: invalid pixels are to be filled before. A sample with no valid pixel at all
                is taken as it is.
            dates: (B, T) int64, days since 1970-01-01; see `position`. Absent dates may have any.

        Returns:
            4 tensors (B, T, C_i, H_i, W_i), finest first.

        Raises:
            ModelError: If a shape doesn't fit, or dates are needed and not given.
        """
        present = self.present(series, valid, dates)
        x = self.embed(series, present, dates)  # B T H W C
        features = []
        for index, stage in enumerate(self.stages):
            if index:
                halved = self.embeds[index](x.flatten(0, 1))
                x = halved.view(*x.shape[:2], x.shape[2] // 2, x.shape[3] // 2, -1)
            x = stage(x, present)
            features.append(x.permute(0, 1, 4, 2, 3))
        return features

    def present(self, series: Tensor, valid: Tensor | None, dates: Tensor | None = None) -> Tensor | None:
        """Which dates take part, (B, T) bool, or None for all; checks the shapes as `forward` does."""
        check_shapes(self.in_chans, self.position, series, valid, dates)
        if valid is None:
            return None
        present = valid.flatten(2).any(2)
        return present | ~present.any(1, keepdim=True)

    def embed(self, series: Tensor, present: Tensor | None = None, dates: Tensor | None = None) -> Tensor:
        """The stem's tokens, with their position: (B, T, in_chans, H, W) -> (B, T, H/4, W/4, C_1).

        Args:
            series: (B, T, in_chans, H, W).
            present: (B, T) bool as from `present`, or None for all.
            dates: (B, T) int64, days since 1970-01-01; see `position`.
        """
        frames = series.flatten(0, 1)
        kept = None
        if present is not None:
            kept = present.flatten()
            frames = torch.where(kept[:, None, None, None], frames, 0)  # absent dates may hold even NaN
        B, T, _, H, W = series.shape
        # Sizes are said anew: those that follow from convolutions are long to trace.
        x = self.embeds[0](frames, kept).view(B, T, H // 4, W // 4, -1)
        return add_position(x, kind=self.position, present=present, dates=dates)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute each half of a block a second time in the backward instead of keeping what it needs.

        Takes about a third more time and a fraction of the memory. Results are the same; running statistics
        move once.
        """
        for module in self.modules():
            if isinstance(module, Block):
                module.checkpointing = enable


def _check(
    embed_dims: Sequence[int],
    num_heads: Sequence[int],
    mlp_ratios: Sequence[float],
    depths: Sequence[int],
    attention: Sequence[str],
    position: str,
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
    if position not in POSITIONS:
        raise ModelError(
            "encoder_config", f"position '{position}' is not one of {', '.join(POSITIONS)}.", action
        )
