# SPDX-License-Identifier: GPL-3.0-or-later
"""The Train page with a series, and what it would submit."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def page(dock, connected, add_raster, qtbot):
    """The page as if the backend were there, with a series of two dates."""
    random = np.random.default_rng(0)
    for day in ("20200101", "20200201"):
        add_raster(f"S2_{day}.tif", values=random.integers(1, 9000, (4, 64, 160)).astype(np.uint16))
    qtbot.waitUntil(lambda: len(dock.series.rows) == 2)
    dock.series.model.tick([0, 1], True)
    return dock.train


@pytest.fixture
def sent(page, monkeypatch):
    """What is submitted in place of sending it."""
    specs = []
    monkeypatch.setattr(
        page.follower._backend, "submit", lambda task, spec: specs.append(dict(spec)) or "key"
    )
    return specs
