# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: steps, validation each epoch, the best epoch kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel

from timo.errors import ModelError
from timo.models.checks import check_inputs
from timo.tasks.reporter import Reporter
from timo.training.metrics import Accuracy

Batch = tuple[torch.Tensor, torch.Tensor]

WEIGHT_DECAY = 0.05
GRADIENT_NORM = 1.0
WARM_UP = 0.1
# The weights that are judged and kept are a running mean over about so many epochs: with few labels a single
# step moves the map more than it improves it.
AVERAGED_EPOCHS = 2


class Chips(Protocol):
    """Where batches come from: series (B, T, C, H, W) float32 and labels (B, H, W) int64 (255 for none)."""

    steps: int
    """Batches an epoch."""

    def epoch(self, number: int) -> Iterable[Batch]:
        """The training batches of one epoch, from 1; the same number gives the same batches."""
        ...

    def validation(self) -> Iterable[Batch]:
        """The validation batches: always the same."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn."""

    epochs: int
    learning_rate: float


@dataclass
class Fit:
    """The outcome of a training: the best epoch, its figures and weights, and all epochs' figures."""

    epoch: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    fabric: Fabric,
    model: nn.Module,
    loss: nn.Module,
    chips: Chips,
    classes: list[str],
    schedule: Schedule,
    reporter: Reporter,
) -> Fit:
    """Train a segmenter, and keep the epoch with the best validation mean IoU.

    Args:
        fabric: The device and precision.
        model: Takes (B, T, C, H, W), gives (B, K, H, W) logits.
        loss: Of logits and labels.
        chips: The batches.
        classes: Class names, for the figures.
        schedule: Epochs and peak learning rate.
        reporter: Told the progress of this training (0 to 1), and each epoch's figures.

    Raises:
        Cancelled: When the reporter says so.
        ModelError: The loss is no number any more (``training_diverged``), or the model can't take a batch.
    """
    weights, plain = _parameter_groups(model)
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}],
        lr=schedule.learning_rate,
    )
    steps = schedule.epochs * chips.steps
    scheduler = OneCycleLR(
        optimizer,
        max_lr=schedule.learning_rate,
        total_steps=steps,
        pct_start=max(WARM_UP, min(2 / steps, 0.5)),  # a warm-up of less than two steps is none
        cycle_momentum=False,
    )
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
    loss = fabric.to_device(loss)
    averaged = AveragedModel(model, avg_fn=_running_mean(AVERAGED_EPOCHS * chips.steps), use_buffers=True)
    outcome = Fit()
    best = (-math.inf, -math.inf)
    for epoch in range(1, schedule.epochs + 1):
        message = f"Epoch {epoch} of {schedule.epochs}"
        wrapped.train()
        total = 0.0
        for step, batch in enumerate(chips.epoch(epoch)):
            reporter.check()
            check_inputs(model, batch[0])
            series, labels = fabric.to_device(batch)
            value = loss(wrapped(series), labels)
            fabric.backward(value)
            norm = fabric.clip_gradients(
                wrapped, wrapped_optimizer, max_norm=GRADIENT_NORM, error_if_nonfinite=False
            )
            total += float(value.detach())
            if not math.isfinite(total + float(norm or 0.0)):
                raise ModelError(
                    "training_diverged",
                    f"The training went astray in epoch {epoch}: its loss is no number any more.",
                    f"Choose a lower learning rate than {schedule.learning_rate:g}.",
                )
            wrapped_optimizer.step()
            wrapped_optimizer.zero_grad()
            scheduler.step()
            averaged.update_parameters(model)
            reporter.progress(((epoch - 1) * chips.steps + step + 1) / steps, message)
        validation_loss, figures = validate(fabric, averaged.module, loss, chips, classes, reporter)
        row = {
            "train_loss": total / chips.steps,
            "val_loss": validation_loss,
            "val_accuracy": figures["overall_accuracy"],
            "val_miou": figures["mean_iou"],
        }
        outcome.history.append(row)
        for name, figure in row.items():
            reporter.metric(name, figure, epoch)
        score = _score(row)
        if score > best or not outcome.state:
            best = score
            outcome.epoch, outcome.figures = epoch, figures
            outcome.state = {
                key: tensor.detach().cpu().clone() for key, tensor in averaged.module.state_dict().items()
            }
    return outcome


@torch.inference_mode()
def validate(
    fabric: Fabric, model: nn.Module, loss: nn.Module, chips: Chips, classes: list[str], reporter: Reporter
) -> tuple[float, dict[str, Any]]:
    """Mean loss and accuracy figures over the validation batches.

    A batch whose classes all weigh nothing, since training has none of them, has no loss: it is left out of
    the mean, which is NaN where no batch has one.
    """
    model.eval()
    accuracy = Accuracy(classes)
    losses: list[float] = []
    for batch in chips.validation():
        reporter.check()
        check_inputs(model, batch[0])
        series, labels = fabric.to_device(batch)
        logits = model(series)
        losses.append(float(loss(logits, labels)))
        accuracy.update(logits.argmax(1), labels)
    known = [one for one in losses if not math.isnan(one)]
    return sum(known) / len(known) if known else math.nan, accuracy.figures()


def _running_mean(steps: int) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor | int], torch.Tensor]:
    """Mean over about the last ``steps``, in its beginning over fewer, so that the first weights soon go."""

    def mean(averaged: torch.Tensor, current: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
        return averaged + (current - averaged) * max(1 / steps, 9 / (10 + float(count)))

    return mean


def _score(figures: dict[str, float]) -> tuple[float, float]:
    """What the best epoch has most of. Mean IoUs within a hundredth differ by chance: the loss decides."""
    return round(figures["val_miou"], 2), -figures["val_loss"]


def _parameter_groups(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters with and without weight decay: biases and norms are not drawn to zero."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
