# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre-training on series of differing sensors: a batch goes through the filters of its own bands alone.

All sensors together have two or three times the bands of one. A band that a batch lacks is 0 all over: its
filters add nothing, and what is predicted for it counts in no loss. Leaving it out gives the same numbers in
a fraction of the time.
"""

from __future__ import annotations

import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.func import functional_call

from timo.bundle import Architecture
from timo.models.mae import UNIT, Reconstruction, TiMoMAE

STEM = "encoder.embeds.0.conv1.weight"  # (D, C, 7, 7)
PREDICT = ("decoder.predict.weight", "decoder.predict.bias")  # (C * 1024, D), (C * 1024)


class BandsOfBatch(nn.Module):
    """A masked autoencoder of C bands, run on the c of them that a batch has.

    Args:
        architecture: An autoencoder's.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self._architecture = architecture
        model = architecture.build()
        assert isinstance(model, TiMoMAE)  # noqa: S101
        self.model = model
        self._smaller: dict[int, TiMoMAE] = {}  # without values, and no submodules

    @property
    def encoder(self) -> nn.Module:
        """The autoencoder's."""
        return self.model.encoder

    def forward(
        self,
        series: Tensor,
        noise: Tensor | None = None,
        valid: Tensor | None = None,
        dates: Tensor | None = None,
        bands: Tensor | None = None,
    ) -> Reconstruction:
        """As ``TiMoMAE`` does, but the prediction is that of the batch's bands, (B, N, c * 32 * 32).

        Args:
            series: (B, T, C, H, W), 0 in bands that are not there.
            noise: See ``TiMoMAE``.
            valid: Likewise.
            dates: Likewise.
            bands: (B, C) bool, bands that each sample has; None for all. The batch has those that any has.
        """
        if bands is None or (kept := bands.any(0)).all():
            whole: Reconstruction = self.model(series, noise, valid, dates, bands)
            return whole
        kept = kept.nonzero().flatten()
        parts = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        parts[STEM] = parts[STEM][:, kept]
        for name in PREDICT:
            of_bands = parts[name].view(-1, UNIT**2, *parts[name].shape[1:])
            parts[name] = of_bands[kept].flatten(0, 1)
        smaller = self._of(len(kept)).train(self.training)
        arguments = (series[:, :, kept], noise, valid, dates, bands[:, kept])
        result: Reconstruction = functional_call(smaller, parts, arguments)
        return result

    def _of(self, count: int) -> TiMoMAE:
        """A model of so many bands, without values of its own."""
        if count not in self._smaller:
            with torch.device("meta"):
                model = replace(self._architecture, in_chans=count).build()
            assert isinstance(model, TiMoMAE)  # noqa: S101
            self._smaller[count] = model
        return self._smaller[count]
