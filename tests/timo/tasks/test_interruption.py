# SPDX-License-Identifier: GPL-3.0-or-later
"""A fine-tuning that was killed goes on with the same command, and ends with the same weights."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from timo.errors import Cancelled, OutputError
from timo.tasks.reporter import Reporter


def command(scene, out, *more):
    return [
        sys.executable, "-m", "timo", "finetune", "--series", str(scene.folder),
        "--labels", str(scene.labels), "--class-field", "kind", "--out", str(out),
        "--zoom", "1", "--epochs", "9", "--json", *more,
    ]  # fmt: skip


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


@pytest.mark.slow  # tests/end_to_end has a worker of the backend killed
def test_killed_in_the_middle_the_same_command_ends_with_the_same_weights(scene, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert subprocess.run(command(scene, whole), capture_output=True, check=False).returncode == 0
    checkpoint = tmp_path / "killed.training" / "checkpoint.pt"
    process = subprocess.Popen(command(scene, killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: checkpoint.exists() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not killed.exists()
    assert checkpoint.exists()
    again = subprocess.run(command(scene, killed), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "Going on" in again.stderr
    assert not checkpoint.parent.exists()
    assert (whole / "weights.safetensors").read_bytes() == (killed / "weights.safetensors").read_bytes()
    cards = [json.loads((folder / "model.json").read_text()) for folder in (whole, killed)]
    assert cards[0]["metrics"] == cards[1]["metrics"]
    assert cards[0]["training"]["history"] == cards[1]["training"]["history"]


def test_a_cancelled_training_keeps_what_it_learnt_and_no_half_model(scene, tmp_path):
    class Stopping(Reporter):
        def __init__(self):
            self.left, self.lines = 12, []

        def check(self):
            self.left -= 1
            if self.left < 0:
                raise Cancelled

        def log(self, message, level="info"):
            self.lines.append(message)

    reporter = Stopping()
    with pytest.raises(Cancelled):
        scene.finetune(tmp_path / "m", reporter=reporter)
    assert not (tmp_path / "m").exists()
    assert any("m.training" in line for line in reporter.lines)
    reporter.left = 10_000
    scene.finetune(tmp_path / "m", reporter=reporter)
    assert any("Going on" in line for line in reporter.lines)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


class Ending(Reporter):
    """Stops a training when its model is in place, before it can say so."""

    def artifact(self, path, kind):
        if kind == "bundle":
            raise Cancelled


def test_stopped_when_the_model_is_whole_it_goes_on_and_replaces_no_model_of_the_analyst(scene, tmp_path):
    out, card = tmp_path / "m", tmp_path / "m" / "model.json"
    with pytest.raises(Cancelled):
        scene.finetune(out, reporter=Ending())
    with pytest.raises(OutputError, match="exists already"):
        scene.finetune(out, seed=1)  # another training
    made = card.rename(tmp_path / "model.json")
    card.write_text("the analyst's own")
    with pytest.raises(OutputError, match="exists already"):
        scene.finetune(out)
    assert card.read_text() == "the analyst's own"
    made.replace(card)
    (tmp_path / "m.training" / ".placing.1").touch()  # of one that was killed while it noted the model
    scene.finetune(out)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_model_of_labels_that_have_changed_since_is_another_s(scene, tmp_path):
    labels = shutil.copy(scene.labels, tmp_path / "labels.gpkg")
    with pytest.raises(Cancelled):
        scene.finetune(tmp_path / "m", reporter=Ending(), epochs=1, labels=str(labels))
    before = (tmp_path / "m" / "model.json").read_bytes()
    os.utime(labels)
    with pytest.raises(OutputError, match="exists already"):
        scene.finetune(tmp_path / "m", epochs=1, labels=str(labels))
    assert (tmp_path / "m" / "model.json").read_bytes() == before
