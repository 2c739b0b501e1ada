# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model takes: said in one sentence before the forward, instead of deep inside it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from timo.errors import ModelError

STRIDE = 32  # pixels a token of the last stage stands for, along each side


def check_inputs(
    model: Any, series: Tensor, valid: Tensor | None = None, dates: Tensor | None = None
) -> None:
    """Check a batch before a model's forward, values included.

    The forward itself checks shapes alone: checks of values would break `torch.compile` and `torch.export`.

    Args:
        model: A TiMo encoder, or a model that has one as `.encoder`, as `Zoomed` does.
        series: (B, T, C, H, W) float.
        valid: (B, T, H, W) bool or None.
        dates: (B, T) int64 or None.

    Raises:
        ModelError: If a shape doesn't fit, a sample has no valid date, dates are needed and not given, or
            a valid pixel is no finite number.
    """
    encoder = getattr(model, "encoder", model)
    check_shapes(encoder.in_chans, encoder.position, series, valid, dates)
    if valid is not None:
        empty = (~valid.flatten(1).any(1)).nonzero().flatten().tolist()
        if empty:
            raise ModelError(
                "no_valid_date",
                f"Sample {empty[0]} of the batch has no valid pixel on any of its {series.shape[1]} dates.",
                "Leave it out, or give it at least one date with data.",
            )
    finite = series.isfinite().flatten(2).all(2)
    if valid is not None:
        finite |= ~valid.flatten(2).any(2)  # absent dates may hold anything
    if not finite.all():
        sample, date = (~finite).nonzero()[0].tolist()
        raise ModelError(
            "not_finite",
            f"Date {date} of sample {sample} of the batch holds NaN or infinite values.",
            "Fill invalid pixels before the model, or mark the whole date as not valid.",
        )


def check_shapes(
    in_chans: int, position: str, series: Tensor, valid: Tensor | None, dates: Tensor | None
) -> None:
    """Check what can be told without looking at values.

    Raises:
        ModelError: With the numbers that don't fit.
    """
    if series.dim() != 5 or series.shape[2] != in_chans:
        raise ModelError(
            "series_shape",
            f"The model takes a series (B, T, {in_chans}, H, W), and got {tuple(series.shape)}.",
            f"Give it {in_chans} bands, or build the model with in_chans set to the series' bands.",
        )
    B, T, _, H, W = series.shape
    if H % STRIDE or W % STRIDE or H == 0 or W == 0 or T == 0:
        raise ModelError(
            "series_size",
            f"The model takes heights and widths that are multiples of {STRIDE}, and got {H} x {W}"
            f"{'' if T else ' and no date'}.",
            f"Cut or pad the frames to a multiple of {STRIDE}.",
        )
    if valid is not None and (valid.shape != (B, T, H, W) or valid.dtype != torch.bool):
        raise ModelError(
            "valid_shape",
            f"valid must be bool of shape {(B, T, H, W)}, and is {valid.dtype} of {tuple(valid.shape)}.",
            "Give one truth value for each pixel of each date.",
        )
    if dates is not None and (dates.shape != (B, T) or dates.dtype != torch.int64):
        raise ModelError(
            "dates_shape",
            f"dates must be int64 of shape {(B, T)}, and is {dates.dtype} of {tuple(dates.shape)}.",
            "Give the days since 1970-01-01 of each date.",
        )
    if position != "index" and dates is None:
        raise ModelError(
            "dates_missing",
            f"The model tells dates by position='{position}' and got no dates.",
            "Give the days since 1970-01-01 of each date.",
        )
