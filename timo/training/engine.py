# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: steps, validation each epoch, the best epoch kept, going on after an interruption."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from timo.errors import Cancelled, ModelError
from timo.memory import Shortage
from timo.models.checks import check_inputs
from timo.series.words import sized
from timo.tasks.reporter import Reporter
from timo.training.checkpoint import Checkpoint
from timo.training.data import Batch
from timo.training.device import random_state, set_random_state
from timo.training.objectives import Judgement, Objective
from timo.training.rates import parameter_groups, running_mean, warm_up_and_cosine
from timo.training.sizing import least_bytes

GRADIENT_NORM = 1.0
# The weights that are judged and kept are a running mean over about so many epochs: with few labels a single
# step moves the map more than it improves it.
AVERAGED_EPOCHS = 2
HALVINGS = 3  # of what goes through the model at once, where memory is short


class Chips(Protocol):
    """Where batches come from."""

    steps: int
    """Batches an epoch."""

    def epoch(self, number: int, first: int = 0, *, all_labels: bool = False) -> Iterable[Batch]:
        """The training batches of one epoch, from 1, without its ``first`` ones.

        The same number gives the same batches, whatever was asked for before. With ``all_labels`` they hold
        those of the validation, too.
        """
        ...

    def validation(self) -> Iterable[Batch]:
        """The validation batches: always the same."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        epochs: At most.
        learning_rate: The peak.
        patience: End when the best epoch is so many epochs ago; None for never.
        parts: In how many parts a batch goes through the model, which takes less memory and more time. The
            gradients are those of the whole batch, apart from BatchNorm's statistics.
        judged: After so many epochs the model learns from the validation labels, too, and can't be judged by
            them any more; None for never.
    """

    epochs: int
    learning_rate: float
    patience: int | None = None
    parts: int = 1
    judged: int | None = None


@dataclass
class Fit:
    """The outcome of a training.

    Attributes:
        epoch: The best of those that were judged, or the last of them where all labels were learnt from then.
        score: Its score.
        figures: Its figures.
        kept: The epoch whose weights are kept: the best, or the last whole one where all labels were learnt
            from, also where the analyst ended it before its time.
        state: Those weights.
        history: Figures of every epoch; None where it was not judged.
    """

    epoch: int = 0
    kept: int = 0
    score: tuple[float, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float | None]] = field(default_factory=list)


def fit(
    fabric: Fabric,
    model: nn.Module,
    objective: Objective,
    chips: Chips,
    schedule: Schedule,
    reporter: Reporter,
    checkpoint: Checkpoint | None = None,
    onlooker: Callable[[nn.Module, Fit], None] | None = None,
) -> Fit:
    """Train a model, and keep the epoch with the best score, or the last where it learns from all labels.

    Args:
        fabric: The device and precision.
        model: A model of ``timo.models``, or one that has its encoder.
        objective: What it shall learn, and what it is judged by.
        chips: The batches.
        schedule: Epochs and peak learning rate.
        reporter: Told the progress of this training (0 to 1), and each epoch's figures.
        checkpoint: Where the state is kept now and then, and when the training is cancelled. A training that
            goes on from it ends with the weights of one that was never interrupted, to the last bit.
        onlooker: Called after each epoch that was judged, with the model that was, in eval mode and on its
            device, and with what has come of it so far; changes neither.

    Raises:
        Cancelled: When the reporter says so.
        ModelError: The loss is no number any more (``training_diverged``), the model can't take a batch, or
            memory doesn't suffice for a part of one (``out_of_memory``): the checkpoint stays.
        OutputError: The checkpoint can't be written.
    """
    try:
        training = Training(fabric, model, objective, chips, schedule)
        return _fit(training, reporter, checkpoint, onlooker)
    except (MemoryError, RuntimeError) as error:
        if (shortage := Shortage.of(error, fabric.device)) is None:
            raise
    # Outside of the handler, which holds on to what is to be free.
    needed = least_bytes(model)
    raise shortage.error(
        f"The model with its gradients and means takes {sized(needed)}, beside what it makes of a batch.",
        needed,
        "take a smaller model, smaller chips or fewer dates",
    )


def _fit(
    training: Training,
    reporter: Reporter,
    checkpoint: Checkpoint | None,
    onlooker: Callable[[nn.Module, Fit], None] | None,
) -> Fit:
    if checkpoint is not None:
        saved, doubt = checkpoint.load()
        if doubt:
            reporter.log(doubt, "warning")
        if saved is not None:
            training.restore(saved)
            reporter.log(f"Going on where the training was interrupted, in epoch {training.epoch}.")
    try:
        while not training.ended and not _enough(training, reporter):
            judged = _epoch(training, reporter, checkpoint)
            if judged and onlooker is not None:
                onlooker(training.averaged.module, training.outcome)
    except Cancelled:
        if checkpoint is not None and training.fabric.is_global_zero:
            if training.kept != (training.epoch, training.step):  # it may have been kept a moment ago
                checkpoint.save(training.state())
            reporter.checkpoint()
            reporter.log(f"What was learnt is kept in {checkpoint.path.parent}: the same command goes on.")
        raise
    if not training.ended:
        reporter.log(f"Ended before its time: what it knew after epoch {training.outcome.kept} is kept.")
    return training.outcome


def _enough(training: Training, reporter: Reporter) -> bool:
    """Whether the analyst wants no more, and there is something to keep."""
    return bool(training.outcome.state) and reporter.enough()


class Training:
    """What a training is made of, and how far it is."""

    def __init__(
        self, fabric: Fabric, model: nn.Module, objective: Objective, chips: Chips, schedule: Schedule
    ) -> None:
        if fabric.world_size > 1 and fabric.device.type == "cuda":  # torch shares statistics on GPUs alone
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        self.fabric, self.chips, self.schedule, self.model = fabric, chips, schedule, model
        self.steps = schedule.epochs * chips.steps
        optimizer = torch.optim.AdamW(parameter_groups(model, schedule.learning_rate))
        self.scheduler = LambdaLR(optimizer, warm_up_and_cosine(self.steps))
        self.wrapped, self.optimizer = fabric.setup(model, optimizer)
        self.objective = fabric.to_device(objective)
        self.parts = schedule.parts
        self.averaged = AveragedModel(
            model, avg_fn=running_mean(AVERAGED_EPOCHS * chips.steps), use_buffers=True
        )
        self.outcome = Fit()
        self.epoch = 1  # the one that runs
        self.step = 0  # its steps that are done
        self.total = 0.0  # the sum of their losses
        self.kept = (0, 0)  # epoch and step of the last checkpoint

    @property
    def ended(self) -> bool:
        """Whether all epochs are done, or the last ones were no better."""
        patience, done = self.schedule.patience, self.epoch - 1
        judged = done if self.schedule.judged is None else min(done, self.schedule.judged)
        waited = patience is not None and judged - self.outcome.epoch >= patience
        return done >= self.schedule.epochs or waited

    def learn(self, batch: Batch) -> None:
        """One step; where memory is too small for the batch, in smaller and smaller parts.

        It is then the step that it would have been in these parts from the first.

        Raises:
            ModelError: The loss is no number any more, or the model can't take the batch.
            MemoryError, RuntimeError: Memory doesn't suffice, see ``Shortage``.
        """
        check_inputs(self.model, batch.series, batch.valid, batch.dates)
        random = random_state(self.fabric.device)
        buffers = [buffer.clone() for buffer in self.model.buffers()]  # BatchNorm's statistics: small
        while True:
            try:
                value = self._backward(batch)
                break
            except (MemoryError, RuntimeError) as error:
                shortage = Shortage.of(error, self.fabric.device)
                # Other processes would wait for gradients that come twice.
                if shortage is None or self.fabric.world_size > 1 or self.parts >= self._most_parts(batch):
                    raise
            # Outside of the handler, which holds on to what has to be freed.
            self.parts *= 2
            self.optimizer.zero_grad()
            shortage.free()
            set_random_state(self.fabric.device, random)
            for buffer, before in zip(self.model.buffers(), buffers, strict=True):
                buffer.copy_(before)
        norm = self.fabric.clip_gradients(
            self.wrapped, self.optimizer, max_norm=GRADIENT_NORM, error_if_nonfinite=False
        )
        total = self.total + value
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

    def _most_parts(self, batch: Batch) -> int:
        return min(self.schedule.parts << HALVINGS, len(batch.series))

    def _backward(self, batch: Batch) -> float:
        """The batch's loss, its gradients added to the parameters'."""
        parts = [self.fabric.to_device(part) for part in batch.split(self.parts)]
        masses = [self.objective.mass(part) for part in parts]
        # Of all processes, whose gradients are averaged: together they learn what one would.
        whole = self._sum(sum(masses)) / self.fabric.world_size
        total = 0.0
        for i, (part, mass) in enumerate(zip(parts, masses)):
            last = i == len(parts) - 1
            if not mass and whole and not (last and self.fabric.world_size > 1):
                continue  # nothing to learn; but other processes wait for the last one's gradients
            share = mass / whole if whole else 1 / len(parts)
            with self.fabric.no_backward_sync(self.wrapped, enabled=not last):
                value = self.objective.loss(self.wrapped, part)
                value = value * share if mass or not whole else torch.nan_to_num(value) * 0
                self.fabric.backward(value)
            total += float(value.detach())
        return self._sum(total) / self.fabric.world_size

    def _sum(self, value: float) -> float:
        """Over all processes."""
        if self.fabric.world_size == 1:
            return value
        total = self.fabric.all_reduce(torch.tensor(value), reduce_op="sum")
        assert isinstance(total, torch.Tensor)  # noqa: S101
        return float(total)

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on: what ``torch.load`` takes with ``weights_only``."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "total": self.total,
            "parts": self.parts,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "averaged": self.averaged.state_dict(),
            "outcome": dict(vars(self.outcome)),  # as it is: copies of its weights would take long
            "random": random_state(self.fabric.device),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Be what ``state`` told."""
        self.epoch, self.step, self.total = saved["epoch"], saved["step"], saved["total"]
        self.parts = saved["parts"]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.averaged.load_state_dict(saved["averaged"])
        self.outcome = Fit(**{**saved["outcome"], "score": tuple(saved["outcome"]["score"])})
        set_random_state(self.fabric.device, saved["random"])


def _epoch(training: Training, reporter: Reporter, checkpoint: Checkpoint | None) -> bool:
    """What is left of the epoch, and its validation; whether there was one."""
    chips, epoch, epochs = training.chips, training.epoch, training.schedule.epochs
    training.wrapped.train()
    all_labels = training.schedule.judged is not None and epoch > training.schedule.judged
    for batch in chips.epoch(epoch, training.step, all_labels=all_labels):
        reporter.check()
        if _enough(training, reporter):
            return False
        parts = training.parts
        training.learn(batch)
        if training.parts > parts:
            now = f"a batch now goes through the model in {training.parts} parts"
            reporter.log(f"Memory was not enough: {now}, which takes longer.", "warning")
        done = (epoch - 1) * chips.steps + training.step
        reporter.progress(done / training.steps, f"Epoch {epoch} of {epochs}")
        first = training.fabric.is_global_zero
        if checkpoint is not None and first and checkpoint.save_when_due(training.state):
            training.kept = training.epoch, training.step
            reporter.checkpoint()
    averaged, outcome = training.averaged.module, training.outcome
    row: dict[str, float | None] = {"train_loss": training.total / chips.steps}
    if all_labels:
        keep = True  # an analyst who ends it now loses nothing of what was learnt since the last judgement
        row.update(dict.fromkeys(outcome.history[-1].keys() - row.keys()))
    else:
        judged = judge(training.fabric, averaged, training.objective, chips.validation(), reporter)
        row.update(judged.row)
        # The last that is judged stands for the ones that go on from it, better or not.
        last = epoch == training.schedule.judged
        keep = last or not outcome.state or judged.score > outcome.score
        if keep:
            outcome.epoch, outcome.score, outcome.figures = epoch, judged.score, judged.figures
    if keep:
        outcome.kept = epoch
        outcome.state = {key: tensor.detach().cpu().clone() for key, tensor in averaged.state_dict().items()}
    outcome.history.append(row)
    for name, figure in row.items():
        if figure is not None:
            reporter.metric(name, figure, epoch)
    training.epoch, training.step, training.total = epoch + 1, 0, 0.0
    return not all_labels


@torch.inference_mode()
def judge(
    fabric: Fabric, model: nn.Module, objective: Objective, batches: Iterable[Batch], reporter: Reporter
) -> Judgement:
    """Figures of a model over batches; model and objective are on the device.

    Raises:
        Cancelled: When the reporter says so.
        ModelError: The model can't take a batch.
    """

    def there() -> Iterator[Batch]:
        for batch in batches:
            reporter.check()
            check_inputs(model, batch.series, batch.valid, batch.dates)
            yield fabric.to_device(batch)

    model.eval()
    return objective.judge(model, there())
