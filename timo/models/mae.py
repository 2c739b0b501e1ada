# SPDX-License-Identifier: GPL-3.0-or-later
"""The masked autoencoder: the encoder learns from series without labels, by filling in what it can't see.

A unit is 32 x 32 pixels of one frame, what one token of the last stage stands for. Most units are hidden;
the encoder works on the others alone, and a small decoder predicts the pixels of the hidden ones.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from timm.layers.weight_init import trunc_normal_
from torch import Tensor, nn

from timo.errors import ModelError
from timo.models.encoder import Stage, TiMoEncoder
from timo.models.layers import Block, init_weights
from timo.models.position import Position, add_position

UNIT = 32  # pixels along each side
NORM_PIX_EPS = 1e-6


class Reconstruction(NamedTuple):
    """What the autoencoder gives for a batch.

    A sample has N = T * H/32 * W/32 units, date by date, row by row.
    """

    loss: Tensor
    """Scalar: mean squared error over the pixels of hidden units."""
    latent: Tensor
    """(B, K, C): the encoder's output at the K visible units, in their order. A sample with absent dates has
    fewer; what stands after its last one means nothing."""
    prediction: Tensor
    """(B, N, in_chans * 32 * 32): pixels of every unit, see `to_frames`."""
    visible: Tensor
    """(B, N) bool: the units that the encoder saw."""


class TiMoMAE(nn.Module):
    """An encoder with full attention in every stage, and a decoder.

    Oddities of the published autoencoder. It is fixed at 3 frames of 224 x 224; this one takes any number of
    dates and any size that is a multiple of 32. It normalises the pixels that it predicts by one mean and
    variance of the whole batch, where the masked autoencoder that it follows takes each unit's own, so that
    contrast within a unit counts as much in a dark one as in a bright one: see `norm_pix_over`.

    Args:
        decoder_dim: Channels of the decoder, a multiple of 8 and of `decoder_heads`. This and the next two
            are those of the published numbers that this class is held to.
        decoder_depth: Blocks of the decoder.
        decoder_heads: Attention heads of the decoder.
        mask_ratio: Share of the units that is hidden, between 0 and 1; at least one unit stays visible.
        norm_pix_loss: Predict normalised pixels.
        norm_pix_over: What `norm_pix_loss` takes mean and variance of: "batch", as published, or "patch",
            each unit by itself.
        **encoder: Arguments of `TiMoEncoder`. `attention` is not looked at: all stages have full attention,
            as published, because the visible units of a series are no grid that medians could be taken of.

    Raises:
        ModelError: If the stages or the decoder's sizes don't fit together.

    Source: He et al. 2022, Masked Autoencoders Are Scalable Vision Learners, and the numbers of TiMo's
    published code; `timo.models.official` converts its weights.
    """

    def __init__(
        self,
        decoder_dim: int = 64,
        decoder_depth: int = 2,
        decoder_heads: int = 4,
        mask_ratio: float = 0.75,
        norm_pix_loss: bool = False,
        norm_pix_over: Literal["batch", "patch"] = "batch",
        **encoder: Any,
    ) -> None:
        super().__init__()
        _check(decoder_dim, decoder_heads, mask_ratio, norm_pix_over)
        self.mask_ratio = mask_ratio
        self.norm_pix_loss = norm_pix_loss
        self.norm_pix_over = norm_pix_over
        self.encoder = TiMoEncoder(**{**encoder, "attention": ("full",) * 4})
        self.decoder = Decoder(
            self.encoder.embed_dims[-1],
            decoder_dim,
            depth=decoder_depth,
            num_heads=decoder_heads,
            pixels=self.encoder.in_chans * UNIT**2,
            position=self.encoder.position,
        )

    def forward(
        self,
        series: Tensor,
        noise: Tensor | None = None,
        valid: Tensor | None = None,
        dates: Tensor | None = None,
        bands: Tensor | None = None,
    ) -> Reconstruction:
        """Hide units, encode the others, predict the pixels of all.

        Args:
            series: (B, T, in_chans, H, W) float; H and W are multiples of 32.
            noise: (B, N): the int(N * (1 - mask_ratio)) units with the smallest noise stay visible; None
                draws it. Units of absent dates don't count, whatever their noise.
            valid: (B, T, H, W) bool or None. Units of dates without a valid pixel are neither seen nor
                predicted; other pixels that are not valid are seen as filled before, and not in the loss.
            dates: As for `TiMoEncoder`.
            bands: (B, in_chans) bool or None for all: bands that a sample lacks are not in the loss, so that
                series of differing sensors teach one model.

        Raises:
            ModelError: If a shape doesn't fit.
        """
        present = self.encoder.present(series, valid, dates)
        visible, order = self._mask(series, noise, present)
        latent = self._encode(series, visible, order, present, dates)
        prediction = self.decoder(latent, visible, series.shape, present, dates)
        loss = self._loss(series, prediction, visible, valid, bands)
        return Reconstruction(loss, latent, prediction, visible)

    def reconstruct(self, result: Reconstruction, series: Tensor, valid: Tensor | None = None) -> Tensor:
        """The predicted frames, in the values of the series: (B, T, in_chans, H, W), visible units too.

        Args:
            result: What `forward` gave for the series.
            series: As for `forward`. Where normalised pixels are predicted, its means and variances are put
                back.
            valid: As for `forward`.
        """
        prediction = result.prediction
        if self.norm_pix_loss:
            mean, deviation = self._statistics(*_targets(series, valid))
            prediction = (_bands(prediction) * deviation + mean).flatten(2)
        return to_frames(prediction, *series.shape[-2:])

    def _visible_of(self, units: int) -> int:
        """How many of a sample's units stay visible."""
        return max(1, int(units * (1 - self.mask_ratio)))

    def _mask(self, series: Tensor, noise: Tensor | None, present: Tensor | None) -> tuple[Tensor, Tensor]:
        """Which units are visible (B, N), and the numbers of the visible ones (B, K), in their order.

        K is that of a sample with all dates; where some are absent, hidden units fill the last places.
        """
        B, T, _, H, W = series.shape
        a_date = (H // UNIT) * (W // UNIT)
        if noise is None:
            noise = torch.rand(B, T * a_date, device=series.device)
        elif noise.shape != (B, T * a_date):
            raise ModelError(
                "noise_shape",
                f"noise must be of shape {(B, T * a_date)}, and is {tuple(noise.shape)}.",
                "Give one number for each 32 x 32 pixels of each date.",
            )
        most = self._visible_of(T * a_date)
        kept: int | Tensor = most
        if present is not None:
            counts = [self._visible_of(count * a_date) for count in range(T + 1)]
            kept = torch.tensor(counts, device=series.device)[present.sum(1)][:, None]
            noise = noise.masked_fill(~present.repeat_interleave(a_date, 1), torch.inf)
        visible = noise.argsort(dim=1, stable=True).argsort(1) < kept
        return visible, (~visible).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]

    def _encode(
        self, series: Tensor, visible: Tensor, order: Tensor, present: Tensor | None, dates: Tensor | None
    ) -> Tensor:
        """Features of the visible units, (B, K, C)."""
        # Whole frames go through the stem, as published: a visible unit sees hidden neighbours as 0.
        seen = torch.where(visible_pixels(visible, *series.shape[-2:])[:, :, None], series, 0)
        x = self.encoder.embed(seen, present, dates)  # B T H/4 W/4 C
        B, T, rows, columns, C = x.shape
        side = UNIT * rows // series.shape[-2]  # tokens along a unit's side
        x = x.view(B, T, rows // side, side, columns // side, side, C).transpose(3, 4)
        of_batch = order + visible.shape[1] * torch.arange(B, device=order.device)[:, None]
        x = x.reshape(-1, side, side, C).index_select(0, of_batch.flatten())  # (B K) 8 8 C
        slots = None if present is None else visible.gather(1, order)
        for index, stage in enumerate(self.encoder.stages):
            if index:
                x = self.encoder.embeds[index](x.flatten(0, 1))
            x = stage(x.view(B, -1, *x.shape[-3:]), slots)  # each unit as if it were a frame
        return x.flatten(2)

    def _loss(
        self,
        series: Tensor,
        prediction: Tensor,
        visible: Tensor,
        valid: Tensor | None,
        bands: Tensor | None,
    ) -> Tensor:
        target, known = _targets(series, valid)
        if self.norm_pix_loss:
            mean, deviation = self._statistics(target, known)
            target = (target - mean) / deviation
        hidden = known & ~visible[:, :, None, None]
        error = (prediction.float().view_as(target) - target).square()
        if bands is not None:
            hidden = hidden & bands[:, None, :, None]
            return (error * hidden).sum() / hidden.sum().clamp_min(1)
        error = error.mean(2, keepdim=True)
        return (error * hidden).sum() / hidden.sum().clamp_min(1)

    def _statistics(self, target: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the known pixels, of all or of each unit; they broadcast."""
        over = (0, 1, 2, 3) if self.norm_pix_over == "batch" else (2, 3)
        count = known.sum(over, keepdim=True) * target.shape[2]
        mean = target.sum(over, keepdim=True) / count.clamp_min(1)
        squares = ((target - mean).square() * known).sum(over, keepdim=True)
        return mean, (squares / (count - 1).clamp_min(1) + NORM_PIX_EPS).sqrt()


class Decoder(nn.Module):
    """Latent of the visible units, and a learned token for each hidden one, to the pixels of all."""

    def __init__(
        self, in_dim: int, dim: int, *, depth: int, num_heads: int, pixels: int, position: Position
    ) -> None:
        super().__init__()
        self.position = position
        self.embed = nn.Linear(in_dim, dim)
        self.mask_token = nn.Parameter(torch.empty(1, 1, dim))
        blocks = (Block(dim, num_heads, mlp_ratio=4, attention="full") for _ in range(depth))
        self.stage = Stage(blocks, dim)
        self.predict = nn.Linear(dim, pixels)
        self.apply(init_weights)
        trunc_normal_(self.mask_token, std=0.02)

    def forward(
        self,
        latent: Tensor,
        visible: Tensor,
        shape: torch.Size,
        present: Tensor | None,
        dates: Tensor | None,
    ) -> Tensor:
        """Latent (B, K, C), visible (B, N) of a series of that shape -> (B, N, pixels)."""
        B, T, _, H, W = shape
        tokens = self.embed(latent)
        place = (visible.cumsum(1) - 1).clamp_min(0)[..., None].expand(-1, -1, tokens.shape[-1])
        x = torch.where(visible[..., None], tokens.gather(1, place), self.mask_token)
        x = x.view(B, T, H // UNIT, W // UNIT, -1)
        x = self.stage(add_position(x, kind=self.position, present=present, dates=dates), present)
        pixels: Tensor = self.predict(x.flatten(1, 3))
        return pixels


def to_units(frames: Tensor) -> Tensor:
    """Frames (B, T, C, H, W) -> units (B, N, C * 32 * 32): date by date, row by row; in each band by band."""
    B, T, C, H, W = frames.shape
    rows, columns = H // UNIT, W // UNIT
    x = frames.reshape(B, T, C, rows, UNIT, columns, UNIT).permute(0, 1, 3, 5, 2, 4, 6)
    return x.reshape(B, T * rows * columns, C * UNIT**2)


def to_frames(units: Tensor, height: int, width: int) -> Tensor:
    """Units (B, N, C * 32 * 32) of frames of that many pixels -> frames (B, T, C, height, width)."""
    B, N, pixels = units.shape
    rows, columns, C = height // UNIT, width // UNIT, pixels // UNIT**2
    T = N // (rows * columns)
    x = units.reshape(B, T, rows, columns, C, UNIT, UNIT).permute(0, 1, 4, 2, 5, 3, 6)
    return x.reshape(B, T, C, height, width)


def visible_pixels(visible: Tensor, height: int, width: int) -> Tensor:
    """Visible units (B, N) of frames of that many pixels -> (B, T, height, width) bool."""
    grid = visible.view(len(visible), -1, height // UNIT, width // UNIT)
    return grid.repeat_interleave(UNIT, 2).repeat_interleave(UNIT, 3)


def _targets(series: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Pixels of all units (B, N, C, 1024), 0 where not valid, and which are (B, N, 1, 1024) bool."""
    target = _bands(to_units(series).float())
    if valid is None:
        return target, target.new_ones(1, 1, 1, 1, dtype=torch.bool).expand_as(target[:, :, :1])
    known = to_units(valid[:, :, None])[:, :, None]
    return torch.where(known, target, 0), known


def _bands(units: Tensor) -> Tensor:
    """(B, N, C * 32 * 32) -> (B, N, C, 32 * 32)."""
    return units.view(*units.shape[:2], -1, UNIT**2)


def _check(decoder_dim: int, decoder_heads: int, mask_ratio: float, norm_pix_over: str) -> None:
    if decoder_dim < 8 or decoder_dim % 8 or decoder_heads < 1 or decoder_dim % decoder_heads:
        raise ModelError(
            "decoder_config",
            f"decoder_dim is {decoder_dim}, not a multiple of 8 and of its {decoder_heads} heads.",
            "Pick a size like 64 with 4 heads, or 512 with 16.",
        )
    if not 0 < mask_ratio < 1:
        raise ModelError(
            "mask_ratio", f"mask_ratio is {mask_ratio}, not between 0 and 1.", "Hide a share such as 0.75."
        )
    if norm_pix_over not in ("batch", "patch"):
        raise ModelError(
            "norm_pix_over",
            f"norm_pix_over '{norm_pix_over}' is not one of batch, patch.",
            "Pick one of them.",
        )
