# SPDX-License-Identifier: GPL-3.0-or-later
"""A real STAC API on this machine: real HTTP, real files, the real clients."""

import numpy as np
import pytest

from tests.stac_server import StacServer
from tests.timo.series.stac.searches import COARSE, CORNER, HEIGHT, NIR, RED, SWIR, WIDTH


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def server(tmp_path):
    (tmp_path / "web").mkdir()
    with StacServer(tmp_path / "web") as running:
        yield running


@pytest.fixture
def scene(server, write_raster):
    """Adds a scene: files of red and infrared at 10 m and of short-wave infrared at 20 m, and their item."""

    def add(name, when, *, transform=CORNER, coarse=COARSE, facts=(RED, NIR, SWIR), nodata=0, **more):
        random = np.random.default_rng(len(server.items))
        files = {}
        for key, fact in zip(("B04", "B08", "B11"), facts):
            side = 2 if key == "B11" else 1
            values = random.integers(1, 10_000, (HEIGHT // side, WIDTH // side)).astype(np.uint16)
            values[random.random(values.shape) < 0.05] = 0
            write_raster(
                server.folder / name / f"{key}.tif", values, nodata=nodata, tiled=True, blockxsize=16,
                blockysize=16, transform=coarse if key == "B11" else transform,
            )  # fmt: skip
            files[key] = (f"{name}/{key}.tif", fact)
        return server.add(name, when, files, **more)

    return add
