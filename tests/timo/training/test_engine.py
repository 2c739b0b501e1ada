# SPDX-License-Identifier: GPL-3.0-or-later
import math
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning_fabric import Fabric

from tests.timo.training.trainings import (
    TO_CLASSIFY,
    Drawn,
    Interrupting,
    Pixelwise,
    Satisfied,
    train,
)
from timo.errors import Cancelled, ModelError, OutputError
from timo.models.pixels import PixelSeries, WithPixels
from timo.tasks.reporter import Reporter
from timo.training.checkpoint import Checkpoint
from timo.training.data import Batch
from timo.training.engine import Schedule, Training, fit, judge
from timo.training.losses import ClassLoss
from timo.training.objectives import ClassObjective
from timo.training.rates import PIXEL_RATE, warm_up_and_cosine


class Around(Pixelwise):
    """As part of a model that sees each pixel alone, too."""

    @property
    def encoder(self):
        return self


class Given:
    """The same few chips each epoch."""

    steps = 1

    def __init__(self, value=0.5, classes=(0, 1)):
        days = torch.tensor([[18000, 18030]])
        self.batches = [
            Batch(torch.full((1, 2, 1, 32, 32), value), torch.full((1, 32, 32), k), days) for k in classes
        ]

    def epoch(self, number, first=0, all_labels=False):
        return self.batches[first:1]

    def validation(self):
        return self.batches


def test_a_training_that_goes_astray_is_an_error_and_no_model():
    with pytest.raises(ModelError, match="epoch 1") as caught:
        fit(Fabric(accelerator="cpu"), Pixelwise(), TO_CLASSIFY, Given(3e38), Schedule(8, 0.3), Reporter())
    assert caught.value.code == "training_diverged"
    assert "0.3" in caught.value.action


def test_a_class_that_training_lacks_leaves_the_validation_loss_a_number():
    fabric, model = Fabric(accelerator="cpu"), Pixelwise()
    without = judge(fabric, model, TO_CLASSIFY, Given(classes=(0, 1)).validation(), Reporter())
    judged = judge(fabric, model, TO_CLASSIFY, Given(classes=(0, 1, 2)).validation(), Reporter())
    assert judged.row["val_loss"] == pytest.approx(without.row["val_loss"])
    assert judged.figures["per_class"][2]["pixels"] == 32 * 32


def test_a_frame_that_is_no_number_is_named_and_nothing_is_learnt_from_it():
    fabric, model, chips = Fabric(accelerator="cpu"), Pixelwise(), Given(math.nan)
    sentence = "Date 0 of sample 0 of the batch holds NaN"
    with pytest.raises(ModelError, match=sentence):
        fit(fabric, model, TO_CLASSIFY, chips, Schedule(8, 0.3), Reporter())
    with pytest.raises(ModelError, match=sentence):
        judge(fabric, model, TO_CLASSIFY, chips.validation(), Reporter())


@settings(max_examples=12, deadline=None)  # 12 checks: 3 epochs of 3 steps and a validation
@given(stops=st.lists(st.integers(0, 11), min_size=1, max_size=3))
def test_a_training_that_was_interrupted_anywhere_ends_with_the_same_weights(stops):
    with TemporaryDirectory() as place:
        folder = Path(place)
        whole = train(folder / "whole", unbroken := Interrupting())
        parts, curves = None, []
        for stop in (*stops, math.inf):
            reporter = Interrupting(stop)
            with suppress(Cancelled):
                parts = train(folder / "parts", reporter)
            curves += reporter.curves
            if parts:
                break
        assert parts.state.keys() == whole.state.keys()
        for name, weights in whole.state.items():
            assert weights.equal(parts.state[name]), name
        assert (parts.epoch, parts.history) == (whole.epoch, whole.history)
        assert curves == unbroken.curves


@pytest.mark.parametrize("after", range(6))
def test_a_training_that_the_analyst_ends_keeps_the_best_of_the_epochs_that_it_did(tmp_path, after):
    whole, reporter = train(tmp_path / "whole", Interrupting()), Satisfied(after)
    ended = train(tmp_path / "ended", reporter)
    done = len(ended.history)
    assert 1 <= done < 3, "one epoch at least, to have something to keep"
    assert ended.history == whole.history[:done]
    assert 1 <= ended.kept <= done and ended.state
    assert "is kept" in reporter.lines[-1]


@pytest.mark.parametrize("checks", [4, 6, 12])
def test_ended_while_it_learns_from_all_labels_it_keeps_what_it_knew_after_the_last_whole_epoch(
    tmp_path, checks
):
    """Not what was judged last: that would lose all that was learnt since."""
    reporter = Satisfied(checks)
    ended = train(tmp_path / "ended", reporter, epochs=5, judged=1)
    done = len(ended.history)
    assert 1 < done < 5
    assert (ended.kept, ended.epoch) == (done, 1)
    assert [row["val_loss"] is None for row in ended.history] == [False] + [True] * (done - 1)
    stopped = Interrupting()
    stopped.metric = lambda name, value, step: setattr(stopped, "left", 0 if step == done else math.inf)
    with pytest.raises(Cancelled):
        train(tmp_path / "cut", stopped, epochs=5, judged=1)
    state, _ = Checkpoint(tmp_path / "cut", "key").load()
    for name, weights in ended.state.items():
        assert weights.equal(state["averaged"][f"module.{name}"]), name


def test_a_checkpoint_of_other_settings_is_told_and_not_taken_up(tmp_path):
    with pytest.raises(Cancelled):
        train(tmp_path, Interrupting(5))
    told = Interrupting()
    other = train(tmp_path, told, key="other")
    assert "other settings" in told.lines[0]
    for name, weights in train(tmp_path / "anew", Interrupting()).state.items():
        assert weights.equal(other.state[name]), name


def test_a_damaged_checkpoint_is_told_and_the_training_starts_anew(tmp_path):
    with pytest.raises(Cancelled):
        train(tmp_path, Interrupting(5))
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:-1000])
    told = Interrupting()
    train(tmp_path, told)
    assert "can't be read" in told.lines[0]


def test_a_checkpoint_is_written_when_the_last_is_old_and_kept_when_the_disk_is_full(tmp_path, monkeypatch):
    now = 0.0
    checkpoint = Checkpoint(tmp_path / "here", "key", clock=lambda: now)
    checkpoint.save_when_due(lambda: {"step": 1})
    assert not checkpoint.path.exists()
    now = 31.0
    checkpoint.save_when_due(lambda: {"step": 2})
    checkpoint.save_when_due(lambda: {"step": 3})
    assert checkpoint.load() == ({"step": 2}, None)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        checkpoint.save({"step": 4})
    assert caught.value.retryable
    assert checkpoint.load() == ({"step": 2}, None)
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["checkpoint.pt"]


def test_removing_a_checkpoint_leaves_what_else_is_in_its_folder(tmp_path):
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save({"step": 1})
    (tmp_path / "notes.txt").write_text("mine")
    checkpoint.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 1000])
def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing(steps):
    share = warm_up_and_cosine(steps)
    shares = [share(step) for step in range(steps + 1)]
    top = shares.index(max(shares))
    assert max(shares) <= 1
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert shares[: top + 1] == sorted(shares[: top + 1])
    if steps >= 10:
        assert max(shares) > 0.95
        assert shares[-1] == pytest.approx(0, abs=1e-9)
        assert top <= max(2, 0.11 * steps)


def test_a_pixels_own_series_learns_faster_than_what_is_around_it():
    around, alone = Around(), PixelSeries(1, 3, cosines=2, hidden=8, noise=0, dropout=0)
    goal = ClassObjective(ClassLoss(torch.ones(3)), ["field", "woods", "water"])
    training = Training(
        Fabric(accelerator="cpu"), WithPixels(around, alone), goal, Given(), Schedule(9, 1e-3)
    )
    biases = around.layer.bias, alone.layers[-1].bias
    before = [bias.detach().clone() for bias in biases]
    training.learn(Given().batches[0])
    moved = [(bias.detach() - old).abs().max() for bias, old in zip(biases, before)]
    assert moved[1] / moved[0] == pytest.approx(PIXEL_RATE, rel=0.01)


def test_a_batch_in_parts_teaches_the_same():
    states = []
    for parts in (1, 2):
        torch.manual_seed(0)
        outcome = fit(
            Fabric(accelerator="cpu"),
            Pixelwise(),
            TO_CLASSIFY,
            Drawn(),
            Schedule(2, 0.05, parts=parts),
            Reporter(),
        )
        states.append(outcome.state)
    for name, weights in states[0].items():
        torch.testing.assert_close(states[1][name], weights, msg=name)


class Crowded(Pixelwise):
    """Has memory for one sample at a time."""

    def forward(self, series, valid, dates):
        if self.training and len(series) > 1:
            raise torch.OutOfMemoryError
        return super().forward(series, valid, dates)


def test_a_batch_that_does_not_fit_into_memory_goes_through_in_parts():
    states = []
    for kind in (Pixelwise, Crowded):
        torch.manual_seed(0)
        arguments = Fabric(accelerator="cpu"), kind(), TO_CLASSIFY, Drawn(), Schedule(2, 0.05), Reporter()
        states.append(fit(*arguments).state)
    for name, weights in states[0].items():
        torch.testing.assert_close(states[1][name], weights, msg=name)


class Worse(Drawn):
    """What a model learns of it is wrong where it is judged."""

    def validation(self):
        batch = self.draw(0)
        return [batch._replace(labels=1 - batch.labels)]


def test_a_training_that_gets_no_better_ends_early():
    arguments = Fabric(accelerator="cpu"), Pixelwise(), TO_CLASSIFY, Worse()
    outcome = fit(*arguments, Schedule(50, 0.5, patience=3), Reporter())
    assert len(outcome.history) == outcome.epoch + 3 < 50


def test_patience_counts_only_epochs_that_were_judged():
    arguments = Fabric(accelerator="cpu"), Pixelwise(), TO_CLASSIFY, Worse()
    outcome = fit(*arguments, Schedule(8, 0.5, patience=3, judged=3), Reporter())
    assert [row["val_loss"] is None for row in outcome.history] == [False] * 3 + [True] * 5
    assert outcome.kept == 8


def test_the_last_judgement_is_of_the_model_that_learns_on_from_all_labels():
    arguments = Fabric(accelerator="cpu"), Pixelwise(), TO_CLASSIFY, Worse()
    outcome = fit(*arguments, Schedule(8, 0.5, judged=3), Reporter())
    losses = [row["val_loss"] for row in outcome.history[:3]]
    assert losses[2] > min(losses)
    assert outcome.epoch == 3
    assert outcome.score[-1] == -losses[2]


def test_patience_may_end_a_training_before_it_learns_from_all_labels():
    arguments = Fabric(accelerator="cpu"), Pixelwise(), TO_CLASSIFY, Worse()
    outcome = fit(*arguments, Schedule(50, 0.5, patience=3, judged=40), Reporter())
    assert len(outcome.history) == outcome.epoch + 3 < 40
    assert outcome.kept == outcome.epoch
