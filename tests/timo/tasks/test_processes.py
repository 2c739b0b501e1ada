# SPDX-License-Identifier: GPL-3.0-or-later
"""Two processes under torchrun train about as one does."""

import json
import os
import subprocess
import sys

import pytest

PROCESSES = 2


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(scene, tmp_path):
    options = [
        "finetune", "--series", scene.folder, "--labels", scene.labels, "--class-field", "kind",
        "--zoom", "1", "--epochs", "2", "--device", "cpu",
    ]  # fmt: skip
    one, two = tmp_path / "one", tmp_path / "two"
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for out, before in ((one, []), (two, launch)):
        command = [sys.executable, *before, "-m", "timo", *options, "--out", out]
        run = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, check=False, env=environment, timeout=300
        )
        assert run.returncode == 0, run.stderr[-2000:]
    cards = [json.loads((out / "model.json").read_text()) for out in (one, two)]
    curves = [[row["train_loss"] for row in card["training"]["history"]] for card in cards]
    # On the CPU each process has BatchNorm's statistics of its own chips: alike, not equal.
    assert curves[1] == pytest.approx(curves[0], rel=0.25)
    assert cards[1]["training"]["pixels"] == cards[0]["training"]["pixels"]
