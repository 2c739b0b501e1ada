# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: steps, validation each epoch, the best epoch kept, going on after an interruption."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from timo.errors import Cancelled, ModelError
from timo.models.checks import check_inputs
from timo.tasks.reporter import Reporter
from timo.training.checkpoint import Checkpoint
from timo.training.device import random_state, set_random_state
from timo.training.metrics import Accuracy

Batch = tuple[torch.Tensor, torch.Tensor]

WEIGHT_DECAY = 0.05
GRADIENT_NORM = 1.0
WARM_UP = 0.1
FIRST_RATE = 1 / 25  # of the peak, in the first step
# The weights that are judged and kept are a running mean over about so many epochs: with few labels a single
# step moves the map more than it improves it.
AVERAGED_EPOCHS = 2


class Chips(Protocol):
    """Where batches come from: series (B, T, C, H, W) float32 and labels (B, H, W) int64 (255 for none)."""

    steps: int
    """Batches an epoch."""

    def epoch(self, number: int, first: int = 0) -> Iterable[Batch]:
        """The training batches of one epoch, from 1, without its ``first`` ones.

        The same number gives the same batches, whatever was asked for before.
        """
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
    checkpoint: Checkpoint | None = None,
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
        checkpoint: Where the state is kept now and then, and when the training is cancelled. A training that
            goes on from it ends with the weights of one that was never interrupted, to the last bit.

    Raises:
        Cancelled: When the reporter says so.
        ModelError: The loss is no number any more (``training_diverged``), or the model can't take a batch.
        OutputError: The checkpoint can't be written.
    """
    training = _Training(fabric, model, loss, chips, schedule)
    if checkpoint is not None:
        saved, doubt = checkpoint.load()
        if doubt:
            reporter.log(doubt, "warning")
        if saved is not None:
            training.restore(saved)
            reporter.log(f"Going on where the training was interrupted, in epoch {training.epoch}.")
    try:
        while training.epoch <= schedule.epochs:
            _epoch(training, classes, reporter, checkpoint)
    except Cancelled:
        if checkpoint is not None:
            checkpoint.save(training.state())
            reporter.log(f"What was learnt is kept in {checkpoint.path.parent}: the same command goes on.")
        raise
    return training.outcome


class _Training:
    """What a training is made of, and how far it is."""

    def __init__(
        self, fabric: Fabric, model: nn.Module, loss: nn.Module, chips: Chips, schedule: Schedule
    ) -> None:
        self.fabric, self.chips, self.schedule, self.model = fabric, chips, schedule, model
        self.steps = schedule.epochs * chips.steps
        weights, plain = _parameter_groups(model)
        optimizer = torch.optim.AdamW(
            [{"params": weights, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}],
            lr=schedule.learning_rate,
        )
        self.scheduler = LambdaLR(optimizer, warm_up_and_cosine(self.steps))
        self.wrapped, self.optimizer = fabric.setup(model, optimizer)
        self.loss = fabric.to_device(loss)
        self.averaged = AveragedModel(
            model, avg_fn=_running_mean(AVERAGED_EPOCHS * chips.steps), use_buffers=True
        )
        self.outcome = Fit()
        self.epoch = 1  # the one that runs
        self.step = 0  # its steps that are done
        self.total = 0.0  # the sum of their losses

    def learn(self, batch: Batch) -> None:
        """One step."""
        check_inputs(self.model, batch[0])
        series, labels = self.fabric.to_device(batch)
        value = self.loss(self.wrapped(series), labels)
        self.fabric.backward(value)
        norm = self.fabric.clip_gradients(
            self.wrapped, self.optimizer, max_norm=GRADIENT_NORM, error_if_nonfinite=False
        )
        total = self.total + float(value.detach())
        if not math.isfinite(total + float(norm or 0.0)):
            raise ModelError(
                "training_diverged",
                f"The training went astray in epoch {self.epoch}: its loss is no number any more.",
                f"Choose a lower learning rate than {self.schedule.learning_rate:g}.",
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.scheduler.step()
        self.averaged.update_parameters(self.model)
        self.step, self.total = self.step + 1, total

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on: what ``torch.load`` takes with ``weights_only``."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "total": self.total,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "averaged": self.averaged.state_dict(),
            "outcome": asdict(self.outcome),
            "random": random_state(self.fabric.device),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Be what ``state`` told."""
        self.epoch, self.step, self.total = saved["epoch"], saved["step"], saved["total"]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.averaged.load_state_dict(saved["averaged"])
        self.outcome = Fit(**saved["outcome"])
        set_random_state(self.fabric.device, saved["random"])


def _epoch(
    training: _Training, classes: list[str], reporter: Reporter, checkpoint: Checkpoint | None
) -> None:
    """What is left of the epoch, its validation, and whether it is the best."""
    chips, epoch, epochs = training.chips, training.epoch, training.schedule.epochs
    training.wrapped.train()
    for batch in chips.epoch(epoch, training.step):
        reporter.check()
        training.learn(batch)
        done = (epoch - 1) * chips.steps + training.step
        reporter.progress(done / training.steps, f"Epoch {epoch} of {epochs}")
        if checkpoint is not None:
            checkpoint.save_when_due(training.state)
    averaged, outcome = training.averaged.module, training.outcome
    validation_loss, figures = validate(training.fabric, averaged, training.loss, chips, classes, reporter)
    row = {
        "train_loss": training.total / chips.steps,
        "val_loss": validation_loss,
        "val_accuracy": figures["overall_accuracy"],
        "val_miou": figures["mean_iou"],
    }
    if not outcome.state or _score(row) > _score(outcome.history[outcome.epoch - 1]):
        outcome.epoch, outcome.figures = epoch, figures
        outcome.state = {key: tensor.detach().cpu().clone() for key, tensor in averaged.state_dict().items()}
    outcome.history.append(row)
    for name, figure in row.items():
        reporter.metric(name, figure, epoch)
    training.epoch, training.step, training.total = epoch + 1, 0, 0.0


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


def warm_up_and_cosine(steps: int) -> Callable[[int], float]:
    """The share of the peak learning rate at each step: up along a cosine, then down along one to nothing."""
    rising = max(WARM_UP * steps, min(2, steps / 2))  # a warm-up of less than two steps is none

    def share(step: int) -> float:
        if step < rising:
            return FIRST_RATE + (1 - FIRST_RATE) * (1 - math.cos(math.pi * step / rising)) / 2
        return (1 + math.cos(math.pi * min((step - rising) / max(steps - rising, 1), 1))) / 2

    return share


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
