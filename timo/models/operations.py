# SPDX-License-Identifier: GPL-3.0-or-later
"""How many arithmetic operations a model takes for an input of a given size.

A multiplication and an addition count as two operations. Counted are those of matrix products and
convolutions, which are nearly all: gyroscope attention scores its medians once for all dates, and the last
convolution of the UPerNet head mixes the channels of the three coarser maps at their own size, before they
are enlarged. A convolution is the sum over its kernel, if not said otherwise. Normalisations, activations,
softmax, medians and interpolation are left out: they are bound by memory, not by arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from timo.models.encoder import PAPER_ATTENTION
from timo.models.layers import AttentionKind
from timo.models.upernet import POOL_SIZES


class Input(NamedTuple):
    """The size of a batch of series: height and width in pixels, multiples of 32."""

    bands: int
    dates: int
    height: int
    width: int
    batch: int = 1


def encoder_operations(
    size: Input,
    *,
    embed_dims: Sequence[int],
    num_heads: Sequence[int],
    mlp_ratios: Sequence[float],
    depths: Sequence[int],
    attention: Sequence[AttentionKind] = PAPER_ATTENTION,
) -> int:
    """Operations of one forward of `TiMoEncoder` with these arguments.

    Args:
        size: The input.
        embed_dims: Channels of each stage.
        num_heads: Heads of each stage. They change nothing: products of all heads together are as wide.
        mlp_ratios: Hidden channels of each stage's MLPs over its channels.
        depths: Blocks of each stage.
        attention: "gyroscope" or "full" for each stage.
    """
    frames = size.batch * size.dates
    products, before = 0, size.bands
    for stage, (dim, ratio, depth, kind) in enumerate(zip(embed_dims, mlp_ratios, depths, attention)):
        N = _tokens(size, stage)
        if stage == 0:
            products += frames * (4 * N * dim * before * 7 * 7 + N * dim * dim * 2 * 2)
        else:
            products += frames * N * dim * before * 3 * 3
        before = dim
        linear = frames * N * dim * (4 * dim + 2 * int(dim * ratio))  # queries, keys, values, projection; MLP
        attend = _gyroscope if kind == "gyroscope" else _full
        products += depth * (linear + size.batch * attend(size.dates, N, dim))
    return 2 * products


def _gyroscope(T: int, N: int, C: int) -> int:
    """Products of one gyroscope attention apart from its linear layers."""
    over_space = N * N * C + N * N * T * C  # scores of the medians, shared by all dates; values of all dates
    over_time = 2 * N * T * T * C
    differential = (T + 1) * N * C  # of the queries and of their medians
    return over_space if T == 1 else over_space + over_time + differential


def _full(T: int, N: int, C: int) -> int:
    return 2 * T * N * T * N * C


def head_operations(
    size: Input,
    in_channels: Sequence[int],
    channels: int,
    num_classes: int,
    *,
    as_written: bool = False,
    winograd: bool = False,
) -> int:
    """Operations of a segmenter's head: UPerNet for every date, the classifier once for the series.

    Args:
        size: The input of the segmenter.
        in_channels: Channels of the four stages.
        channels: Width of the head.
        num_classes: Classes told apart.
        as_written: Count the last convolution on the enlarged maps, as the paper's equations read: three
            times its products.
        winograd: Count 36 products for 16 results of a 3x3 convolution, as Winograd's F(4x4, 3x3) takes, in
            place of 144. What it takes to get there and back, much less in wide layers, is left out.
    """
    kernel = Fraction(36, 16) if winograd else Fraction(9)
    *finer, coarsest = in_channels
    tokens = [_tokens(size, stage) for stage in range(len(in_channels))]
    products = Fraction(sum(cells * cells * coarsest * channels for cells in POOL_SIZES))
    products += tokens[-1] * kernel * (coarsest + len(POOL_SIZES) * channels) * channels
    products += sum(N * width * channels for N, width in zip(tokens, finer))
    products += sum(N * kernel * channels * channels for N in tokens[:-1])
    mixed = len(tokens) * tokens[0] if as_written else sum(tokens)
    products += mixed * kernel * channels * channels
    classifier = size.batch * size.height * size.width * channels * num_classes
    return round(2 * (size.batch * size.dates * products + classifier))


def _tokens(size: Input, stage: int) -> int:
    """Tokens of a frame at a stage, counted from 0."""
    side = 4 << stage
    return (size.height // side) * (size.width // side)
