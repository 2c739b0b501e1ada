# SPDX-License-Identifier: GPL-3.0-or-later
"""The published model's numbers, and a small encoder to try things on."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from timo.models.official import convert_state_dict

PARITY = Path(__file__).parents[2] / "data" / "parity"

# The published numbers' encoder.
SMALL = {
    "in_chans": 4,
    "embed_dims": (16, 32, 40, 48),
    "num_heads": (2, 2, 4, 6),
    "mlp_ratios": (4, 4, 4, 4),
    "depths": (2, 1, 2, 1),
    "attention": ("gyroscope", "gyroscope", "full", "full"),
}


class Published:
    """One parity file: its tensors by name, and its weights under this package's names."""

    def __init__(self, name):
        self.tensors = load_file(PARITY / f"{name}.safetensors")

    def __getitem__(self, name):
        return self.tensors[name]

    def part(self, prefix):
        """The tensors under a prefix, with this package's names."""
        found = {
            name.removeprefix(prefix): tensor.clone()
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }
        return convert_state_dict(found)


@pytest.fixture(scope="session")
def published_encoder():
    return Published("encoder")


@pytest.fixture(scope="session")
def published_segmenter():
    return Published("segmenter")


@pytest.fixture(scope="session")
def published_classifier():
    return Published("classifier")


@pytest.fixture(scope="session")
def published_autoencoder():
    return Published("mae")


@pytest.fixture
def small():
    """Arguments of a small encoder, as in the published numbers."""
    return dict(SMALL)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
