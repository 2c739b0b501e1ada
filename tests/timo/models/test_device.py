# SPDX-License-Identifier: GPL-3.0-or-later
"""An analyst's choice of device and precision, on machines of all kinds."""

import subprocess
import sys

import pytest
import torch

from timo.errors import ModelError
from timo.models.device import compute_on


@pytest.fixture
def machine(monkeypatch):
    """Says which devices there are."""

    def has(*kinds: str, bf16: bool = True) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in kinds)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in kinds)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)

    return has


@pytest.mark.parametrize(
    ("kinds", "device"), [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda:0"), (("mps", "cuda"), "cuda:0")]
)
def test_auto_takes_the_fastest_device_there_is(machine, kinds, device):
    machine(*kinds)
    assert compute_on("auto").device == torch.device(device)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(machine, device):
    machine()
    with pytest.raises(ModelError, match=f"no '{device}' device"):
        compute_on(device)


def test_auto_precision_is_bfloat16_where_the_gpu_computes_in_it(machine):
    machine("cuda", "mps")
    assert compute_on("auto", "auto").precision == "bfloat16"
    assert compute_on("mps", "auto").precision == "float32"
    assert compute_on("cpu", "auto").precision == "float32"
    machine("cuda", bf16=False)
    assert compute_on("auto", "auto").precision == "float32"


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_float16_needs_a_cuda_gpu(machine, device):
    machine("mps", "cuda")
    with pytest.raises(ModelError, match="float16 needs a CUDA GPU"):
        compute_on(device, "float16")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_are_of_the_chosen_precision(precision):
    with compute_on("cpu", precision).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == getattr(torch, precision)


def test_mapping_does_not_wait_for_what_only_training_needs():
    heavy = {"lightning_fabric", "torchmetrics"}
    code = f"import sys, timo.tasks.predict; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
