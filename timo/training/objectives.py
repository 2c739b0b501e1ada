# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training is for: the loss of a batch, and the figures that an epoch is judged by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import nn

from timo.models.mae import UNIT, Reconstruction, TiMoMAE, visible_pixels
from timo.models.pixels import WithPixels
from timo.models.zoom import enlarged
from timo.series.labels import NOT_LABELLED
from timo.training.data import Batch
from timo.training.losses import ClassLoss
from timo.training.metrics import Accuracy


@dataclass
class Judgement:
    """How good a model is.

    Attributes:
        row: Figures of the curve, by name.
        score: What the best epoch has most of.
        figures: All that is known.
    """

    row: dict[str, float]
    score: tuple[float, ...]
    figures: dict[str, Any] = field(default_factory=dict)


# What the pixels' scores may count beside those of what is around them: never all, since the surroundings
# take longer to learn, and gain most after the last judgement.
SHARES = (0.0, 0.25, 0.5, 0.75)


MOST_PIXELS = 2048
"""Labels of a chip that its pixels' own series learn from in a step."""


class Objective(Protocol):
    """Of a training; batches are on the model's device."""

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean loss of a batch, a scalar."""
        ...

    def mass(self, batch: Batch) -> float:
        """What a batch's loss counts by in the mean over several; 0 for a batch that teaches nothing."""
        ...

    def judge(self, model: nn.Module, batches: Iterable[Batch]) -> Judgement:
        """Figures of a model in eval mode."""
        ...


class ClassObjective(nn.Module):
    """Classes for pixels, or for chips: of a series, or of each of its dates.

    Args:
        loss: Of logits and labels.
        classes: The classes' names, in the order of their indices.
        per_date: The model gives (B, T, K, ...) logits, and labels are (B, T, ...).
    """

    def __init__(self, loss: ClassLoss, classes: Sequence[str], *, per_date: bool = False) -> None:
        super().__init__()
        self.classes, self.per_date = list(classes), per_date
        self.class_loss = loss

    def logits(
        self, model: nn.Module, batch: Batch, wanted: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """(B, K, ...), the classes second; of each part of the model that learns by itself.

        Args:
            model: Takes a batch's series, validity and dates, and ``wanted`` where that is given.
            batch: On its device.
            wanted: Of a model ``WithPixels``: see there.
        """
        some = {} if wanted is None else {"wanted": wanted}
        out = model(batch.series, batch.valid, batch.dates, **some)
        every = list(out) if isinstance(out, tuple) else [out]
        return [one.transpose(1, 2) if self.per_date else one for one in every]

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """See ``Objective``; NaN where nothing has a weight.

        The pixels' own series learn from at most ``MOST_PIXELS`` labels a chip, drawn at random: neighbours
        are alike, and all of a chip whose every pixel is labelled take longer than all the rest of the model.
        """
        labelled = batch.labels != NOT_LABELLED
        network = getattr(model, "module", model)  # of Fabric's wrapper
        if not isinstance(network, WithPixels) or not labelled.any():
            return torch.stack(
                [self.class_loss(one, batch.labels) for one in self.logits(model, batch)]
            ).mean()
        drawn = at_most(labelled, MOST_PIXELS)
        around, alone = self.logits(model, batch, drawn)
        by_pixel = batch.labels.masked_fill(~drawn, NOT_LABELLED)
        return torch.stack([self.class_loss(around, batch.labels), self.class_loss(alone, by_pixel)]).mean()

    def mass(self, batch: Batch) -> float:
        """See ``Objective``."""
        return self.class_loss.mass(batch.labels)

    def judge(self, model: nn.Module, batches: Iterable[Batch]) -> Judgement:
        """Mean loss and accuracy; the score is the mean IoU, and where it is the same, the loss.

        A batch whose classes all weigh nothing, since training has none of them, has no loss: it is left out
        of the mean, which is NaN where no batch has one.

        Of a model whose ``pixel_share`` is open it is the best of several, which the figures tell. It is one
        number for all labels: they flatter the model little.
        """
        both = model.both if isinstance(model, WithPixels) and model.pixel_share is None else None
        shares: Sequence[float | None] = [None] if both is None else SHARES
        accuracies = [Accuracy(self.classes) for _ in shares]
        losses: list[list[float]] = [[] for _ in shares]
        for batch in batches:
            if both is None:
                tried = self.logits(model, batch)
            else:
                around, alone = both(batch.series, batch.valid, batch.dates)
                tried = [torch.lerp(around, alone, share) for share in SHARES]
            for logits, accuracy, seen in zip(tried, accuracies, losses, strict=True):
                seen.append(float(self.class_loss(logits, batch.labels)))
                accuracy.update(logits.argmax(1), batch.labels)
        judged = [_judgement(*one) for one in zip(shares, accuracies, losses, strict=True)]
        return max(judged, key=lambda one: one.score)


def at_most(mask: torch.Tensor, count: int) -> torch.Tensor:
    """Of each sample's pixels so many, drawn at random where there are more.

    Args:
        mask: (B, H, W) bool.
        count: The most that is kept of each sample.

    Returns:
        (B, H, W) bool.
    """
    flat = mask.flatten(1)
    if count >= flat.shape[1]:
        return mask
    chosen = torch.rand(flat.shape, device=mask.device).masked_fill(~flat, -1.0).topk(count, 1).indices
    return (torch.zeros_like(flat).scatter(1, chosen, True) & flat).view_as(mask)


def _judgement(share: float | None, accuracy: Accuracy, losses: Sequence[float]) -> Judgement:
    figures = accuracy.figures()
    known = [one for one in losses if not math.isnan(one)]
    row = {
        "val_loss": sum(known) / len(known) if known else math.nan,
        "val_accuracy": figures["overall_accuracy"],
        "val_miou": figures["mean_iou"],
    }
    if share is not None:
        figures["pixel_share"] = share
    # Mean IoUs within a hundredth differ by chance: the loss decides.
    return Judgement(row, (round(row["val_miou"], 2), -row["val_loss"]), figures)


class Filled(NamedTuple):
    """What a masked autoencoder makes of a batch.

    Attributes:
        frames: (B, T, C, H, W) float, predicted for all pixels, those that it saw too.
        seen: (B, T, H, W) bool, pixels of visible units.
        loss: Mean squared error of the others.
    """

    frames: torch.Tensor
    seen: torch.Tensor
    loss: float


class ReconstructionObjective(nn.Module):
    """Pixels of the units that a masked autoencoder doesn't see.

    Values are standardised: a band that is 0 all over a chip is one that its series lacks, and not in the
    loss.

    Args:
        zoom: How many times frames are enlarged before the model.
        seed: Of the units that are hidden when it is judged: always the same.
    """

    def __init__(self, *, zoom: int, seed: int) -> None:
        super().__init__()
        self.zoom, self.seed = zoom, seed

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """See ``Objective``."""
        return self._reconstruct(model, batch, None).loss

    def mass(self, batch: Batch) -> float:
        """See ``Objective``: each chip counts the same."""
        return float(len(batch.series))

    def judge(self, model: nn.Module, batches: Iterable[Batch]) -> Judgement:
        """Mean loss; 1 is what the mean of each band would have, since values are standardised."""
        random = torch.Generator().manual_seed(self.seed)
        losses = []
        for batch in batches:
            noise = self._noise(batch, random)
            losses.append(float(self._reconstruct(model, batch, noise).loss))
        loss = sum(losses) / len(losses)
        return Judgement({"val_loss": loss}, (-loss,), {"reconstruction_loss": loss})

    def filled(self, model: TiMoMAE, batch: Batch) -> Filled:
        """What a model in eval mode makes of a batch; the hidden units are always the same."""
        noise = self._noise(batch, torch.Generator().manual_seed(self.seed))
        result = self._reconstruct(model, batch, noise)
        series, valid = enlarged(batch.series, batch.valid, self.zoom)
        frames = model.reconstruct(result, series, valid)
        seen = visible_pixels(result.visible, *series.shape[-2:])
        smaller = F.avg_pool2d(frames.flatten(0, 1).float(), self.zoom).view_as(batch.series)
        return Filled(smaller, seen[..., :: self.zoom, :: self.zoom], float(result.loss))

    def _noise(self, batch: Batch, random: torch.Generator) -> torch.Tensor:
        B, T, _, H, W = batch.series.shape
        units = T * (H * self.zoom // UNIT) * (W * self.zoom // UNIT)
        return torch.rand(B, units, generator=random).to(batch.series.device)

    def _reconstruct(self, model: nn.Module, batch: Batch, noise: torch.Tensor | None) -> Reconstruction:
        there = (batch.series != 0).flatten(3).any(3).any(1)  # (B, C)
        series, valid = enlarged(batch.series, batch.valid, self.zoom)
        result: Reconstruction = model(series, noise, valid, batch.dates, there)
        return result
