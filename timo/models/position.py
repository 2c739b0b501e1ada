# SPDX-License-Identifier: GPL-3.0-or-later
"""Sine-cosine codes of where and when a token is: half of the channels for its date, half for its place."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Position = Literal["index", "sorted", "date"]
POSITIONS: tuple[Position, ...] = ("index", "sorted", "date")
YEAR = 365.2425  # days


def add_position(
    x: Tensor, *, kind: Position = "index", present: Tensor | None = None, dates: Tensor | None = None
) -> Tensor:
    """Add to every token the code of its date and of its cell.

    Args:
        x: (B, T, H, W, C); C is a multiple of 8.
        kind: What stands for the date. "index": the number of the frame in the order given, as published.
            "sorted": its number in the order of the dates. "date": the days since the first present date, and
            the season.
        present: (B, T) bool, or None for all: absent frames are not counted, nor the first date.
        dates: (B, T) int64, days since 1970-01-01; not looked at for "index".

    Returns:
        (B, T, H, W, C), in x's dtype.
    """
    _, T, H, W, C = x.shape
    if kind == "date" and dates is not None:
        frames = date_code(dates, present, C // 2)
    elif kind == "sorted" and dates is not None:
        frames = sine_cosine(_rank(dates, present), C // 2)
    elif present is None:
        frames = sine_cosine(torch.arange(T, device=x.device)[None], C // 2)
    else:
        frames = sine_cosine((present.cumsum(1) - 1).clamp_min(0), C // 2)
    return x + _join(frames, H, W).to(x.dtype)


def position_code(frame_index: Tensor, height: int, width: int, dim: int) -> Tensor:
    """Code of the frame's number (first half of the channels), the column and the row (a quarter each).

    Args:
        frame_index: Number of each frame within its series, (..., T).
        height: Rows of tokens.
        width: Columns of tokens.
        dim: Channels, a multiple of 8.

    Returns:
        float32 (..., T, height, width, dim).
    """
    return _join(sine_cosine(frame_index, dim // 2), height, width)


def date_code(dates: Tensor, present: Tensor | None, dim: int) -> Tensor:
    """Code of real dates, (B, T) days -> float32 (B, T, dim).

    The first half of the channels tells the days since the series' first present date, so that it doesn't
    depend on the calendar; the second the season, as harmonics of the year: two dates a year apart get the
    same.
    """
    known = dates if present is None else dates.masked_fill(~present, torch.iinfo(dates.dtype).max)
    elapsed = dates - known.amin(1, keepdim=True)
    if present is not None:
        elapsed = elapsed.masked_fill(~present, 0)
    turn = (dates % 146097).to(_precise(dates.device)) * (
        2 * math.pi / YEAR
    )  # the calendar's cycle: 400 years
    phase = turn[..., None] * torch.arange(1, dim // 4 + 1, device=dates.device)
    season = torch.cat([phase.sin(), phase.cos()], dim=-1).float()
    return torch.cat([sine_cosine(elapsed, dim // 2), season], dim=-1)


def sine_cosine(position: Tensor, dim: int) -> Tensor:
    """(...) -> float32 (..., dim): sines, then cosines, of wavelengths from 2 pi towards 10000 * 2 pi."""
    kind = _precise(position.device)  # phases of late frames lose digits in float32
    exponent = torch.arange(dim // 2, dtype=kind, device=position.device) * (2 / dim)
    phase = position.to(kind)[..., None] * torch.pow(10000.0, -exponent)
    return torch.cat([phase.sin(), phase.cos()], dim=-1).float()


def _precise(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64


def _rank(dates: Tensor, present: Tensor | None) -> Tensor:
    """Number of each frame in the order of the dates; of two on one date the one given first is first."""
    T = dates.shape[1]
    order = torch.arange(T, device=dates.device)
    ours, theirs = dates[:, :, None], dates[:, None, :]
    before = (theirs < ours) | ((theirs == ours) & (order[None, :] < order[:, None]))
    if present is not None:
        before = before & present[:, None, :]
    return before.sum(2)


def _join(frames: Tensor, height: int, width: int) -> Tensor:
    """Codes of frames (..., T, C/2) and of cells, together: (..., T, height, width, C)."""
    quarter = frames.shape[-1] // 2
    rows = sine_cosine(torch.arange(height, device=frames.device), quarter)[:, None]
    columns = sine_cosine(torch.arange(width, device=frames.device), quarter)[None]
    grid = (*frames.shape[:-1], height, width, -1)
    return torch.cat(
        [frames[..., None, None, :].expand(grid), columns.expand(grid), rows.expand(grid)], dim=-1
    )
