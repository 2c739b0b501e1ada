# SPDX-License-Identifier: GPL-3.0-or-later
"""The published model's numbers, and a small encoder to try things on."""

import pytest
import torch

from tests.timo.models.published import SMALL, Published


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
