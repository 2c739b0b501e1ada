# SPDX-License-Identifier: GPL-3.0-or-later
"""Bilinear enlargement of maps, as torch does it and as a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, (M, C, h, w) -> (M, C, *size)."""
    return F.interpolate(x, size=list(size), mode="bilinear", align_corners=False)


def enlarging(size: int, larger: int, like: Tensor) -> Tensor:
    """Matrix (larger, size) that enlarges along one axis as `resize` does.

    Args:
        size: Values before.
        larger: Values after.
        like: A tensor of the device and the precision.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    each = torch.eye(size, dtype=dtype, device=like.device)[None]
    return F.interpolate(each, size=larger, mode="linear", align_corners=False)[0].T.to(like.dtype)
