# SPDX-License-Identifier: GPL-3.0-or-later
"""3x3 convolution with a quarter of the multiplications, for the widest layers of the head on a CPU.

Winograd's F(4x4, 3x3): tiles of 6x6 values, which overlap by 2, and the kernel are each evaluated as
polynomials at 6 x 6 points; there, a convolution is one matrix product of all channels a point; and 4x4
results are read off the products. That is 36 multiplications for 16 results, where the sum over the kernel
takes 144.

The usual points 0, +-1, +-2 cost a digit. At 0, +-3/4, +-3/2 the greatest error is 1.2e-6 to 2.0e-6 of the
greatest result (48 to 1024 channels, float32 against float64); torch's own convolution has 0.5e-6 to 2.9e-6.

Source: Lavin and Gray 2016, Fast Algorithms for Convolutional Neural Networks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)  # and infinity
_TILES = 192  # of one matrix product: what goes through it stays small enough for memory to be used again
_CHANNELS = 128  # with 64, coming and going costs more than the products save
_KERNEL_COST = 32  # transforming the kernel costs about as much as the products of this many tiles


def conv3x3(x: Tensor, weight: Tensor) -> Tensor:
    """3x3 convolution that keeps the size, channels last and without bias; with gradients of first order.

    Compilers and exported graphs get torch's own convolution, which they know; so do GPUs, whose libraries
    choose such a form themselves, and lower precisions, in which this one would lose too much.

    Args:
        x: (M, H, W, C).
        weight: (O, C, 3, 3).

    Returns:
        (M, H, W, O).
    """
    if not torch.compiler.is_compiling() and _pays(x, weight):
        out: Tensor = _Winograd.apply(x, weight)
        return out
    return F.conv2d(x.permute(0, 3, 1, 2), weight, padding=1).permute(0, 2, 3, 1)


def _pays(x: Tensor, weight: Tensor) -> bool:
    if (
        x.device.type != "cpu"
        or x.dtype not in (torch.float32, torch.float64)
        or torch.is_autocast_enabled("cpu")
    ):
        return False
    M, H, W, _ = x.shape
    tiles = M * -(-H // 4) * -(-W // 4)
    return min(weight.shape[:2]) >= _CHANNELS and 36 * (tiles + _KERNEL_COST) < 9 * M * H * W


class _Winograd(torch.autograd.Function):
    """Both gradients are sums over tiles too; nothing but the input is kept for them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            to_x = _convolve(gradient, weight.flip(2, 3).transpose(0, 1))
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(x, gradient)
        return to_x, to_weight


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    """(M, H, W, C), (O, C, 3, 3) -> (M, H, W, O)."""
    M, H, W, C = x.shape
    to_kernel, to_points, from_points = (matrix.to(x) for matrix in _TRANSFORMS)
    kernel = x.new_empty(36, weight.shape[0] * C)
    for part, at in zip(torch.split(weight.reshape(-1, 9), 2**14), torch.split(kernel, 2**14, dim=1)):
        at.copy_(to_kernel @ part.T)  # bit by bit: whole, it takes twice as long
    kernel = kernel.view(36, -1, C).transpose(1, 2)
    h, w = -(-H // 4), -(-W // 4)
    out = x.new_empty(M, 4 * h, 4 * w, kernel.shape[2])
    for tiles, at in _parts(_tiles(x), out.view(M, h, 4, w, 4, -1).permute(2, 4, 0, 1, 3, 5)):
        points = (to_points @ tiles.reshape(36, -1)).view(36, -1, C) @ kernel
        at.copy_((from_points @ points.view(36, -1)).view(at.shape))
    return out if (4 * h, 4 * w) == (H, W) else out[:, :H, :W].contiguous()


def _weight_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """Input (M, H, W, C) and gradient of the result (M, H, W, O) -> gradient of the weight (O, C, 3, 3)."""
    C, channels = x.shape[3], gradient.shape[3]
    to_kernel, to_points, from_points = (matrix.to(x) for matrix in _TRANSFORMS)
    M, H, W, _ = gradient.shape
    padded = F.pad(gradient, (0, 0, 0, -W % 4, 0, -H % 4))
    results = padded.view(M, padded.shape[1] // 4, 4, padded.shape[2] // 4, 4, channels)
    kernel = x.new_zeros(36, channels, C)
    for tiles, of_results in _parts(_tiles(x), results.permute(2, 4, 0, 1, 3, 5)):
        points = (to_points @ tiles.reshape(36, -1)).view(36, -1, C)
        of_points = (from_points.T @ of_results.reshape(16, -1)).view(36, -1, channels)
        kernel.baddbmm_(of_points.transpose(1, 2), points)
    return (to_kernel.T @ kernel.view(36, -1)).T.reshape(channels, C, 3, 3)


def _tiles(x: Tensor) -> Tensor:
    """The 6x6 tiles that 4x4 results need, as a view: (M, H, W, C) -> (6, 6, M, H/4, W/4, C), rounded up."""
    _, H, W, _ = x.shape
    padded = F.pad(x, (0, 0, 1, 1 + -W % 4, 1, 1 + -H % 4))
    return padded.unfold(1, 6, 4).unfold(2, 6, 4).permute(4, 5, 0, 1, 2, 3)


def _parts(*tiled: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Some tiles of each (., ., M, h, w, .) after the other: several frames, or some rows of one."""
    _, _, M, h, w, _ = tiled[0].shape
    frames, rows = max(1, _TILES // (h * w)), max(1, _TILES // w)
    for m in range(0, M, frames):
        for row in range(0, h, rows):
            yield tuple(tensor[:, :, m : m + frames, row : row + rows] for tensor in tiled)


def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Kernel to points (36, 9), tile to points (36, 36), points to results (16, 36), in float64."""

    def powers(number: int) -> Tensor:
        finite = [[point**power for power in range(number)] for point in _POINTS]
        return torch.tensor([*finite, [0.0] * (number - 1) + [1.0]], dtype=torch.float64, device="cpu")

    one_way = (powers(3), torch.linalg.inv(powers(6)).T, powers(4).T)
    to_kernel, to_points, from_points = (torch.kron(matrix, matrix) for matrix in one_way)
    return to_kernel, to_points, from_points


_TRANSFORMS = _transforms()
