# SPDX-License-Identifier: GPL-3.0-or-later
"""A process kept to a folder, as a backend does with its worker; small files to read."""

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from timo import access
from timo.access import Access


@pytest.fixture
def restrict(monkeypatch):
    """Restricts this process to a folder, as a backend does with its worker."""

    def to(folder, home=None):
        folders = None if folder is None else [str(folder)]
        monkeypatch.setenv(access.VARIABLE, Access.to(folders, home).to_text())
        access.present.cache_clear()

    yield to
    access.present.cache_clear()


@pytest.fixture
def raster():
    def make(path, driver="GTiff"):
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": driver, "width": 4, "height": 4, "count": 1, "dtype": "uint8"}
        with rasterio.open(
            path, "w", **profile, crs="EPSG:32633", transform=from_origin(0, 40, 10, 10)
        ) as file:
            file.write(np.ones((1, 4, 4), np.uint8))
        return path

    return make


@pytest.fixture
def polygons():
    def make(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        box = np.array([shapely.to_wkb(shapely.box(0, 0, 30, 30))], object)
        pyogrio.raw.write(
            path, box, [np.array(["a"], object)], ["kind"], geometry_type="Polygon", crs="EPSG:32633"
        )
        return path

    return make
