# SPDX-License-Identifier: GPL-3.0-or-later
import json
import subprocess
import sys

import pytest
import torch

from timo import cli_check
from timo.cli import app
from timo.errors import ModelError


def test_a_model_runs_and_the_device_is_named_with_a_reason():
    command = [sys.executable, "-m", "timo", "check", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["device"] in ("cpu", "cuda", "mps")
    assert found["torch"] == torch.__version__
    assert found["name"] and found["reason"].endswith(".") and found["seconds"] > 0


def test_it_is_told_in_a_sentence(capsys):
    app(["check", "--device", "cpu"], standalone_mode=False)
    assert "computes on the processor: it was asked for." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cuda", "mps", "reason"), [("13.0", False, "CUDA 13.0"), (None, False, "alone"), (None, True, "Mac")]
)
def test_why_it_is_the_processor_depends_on_the_build_of_torch(monkeypatch, cuda, mps, reason):
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: mps)
    assert reason in cli_check._reason("auto", torch.device("cpu"))


def test_numbers_that_are_not_finite_fail_the_check(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *size, device: torch.full(size, torch.nan, device=device))
    with pytest.raises(ModelError, match="not finite"):
        app(["check", "--device", "cpu"], standalone_mode=False)
