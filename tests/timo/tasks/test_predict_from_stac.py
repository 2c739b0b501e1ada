# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_bounds
from rasterio.windows import from_bounds

from tests.scenes import SIDE, TRANSFORM
from tests.stac_server import StacServer
from timo import tasks
from timo.series.stac_search import make_search, write_search
from timo.tasks.specs import load


@pytest.fixture
def search(scene, tmp_path, monkeypatch):
    """A search, in a file, that finds the scene's rasters in a catalogue."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    described = {
        "eo:bands": [{"name": name} for name in ("B04", "B08", "B11")],
        "raster:bands": [{"nodata": 0}] * 3,
    }
    with StacServer(scene.folder) as server:
        for path in sorted(scene.folder.glob("*.tif")):
            day = path.stem[-8:]
            when = f"{day[:4]}-{day[4:6]}-{day[6:]}T10:30:00Z"
            server.add(f"S2A_31UFS_{day}_0_L2A", when, {"image": (path.name, described)})
        west, north = TRANSFORM @ (0, 0)
        box = transform_bounds("EPSG:32631", "EPSG:4326", west, north - 10 * SIDE, west + 10 * SIDE, north)
        write_search(make_search(server.url, "s2", box, "2020-01-01/2020-12-31"), tmp_path / "search.json")
        yield tmp_path / "search.json"


def test_a_model_maps_what_a_search_finds(scene, bundle, search, tmp_path):
    out = tmp_path / "map.tif"
    tasks.run("predict", load("predict", {"series": str(search), "model": str(bundle), "out": str(out)}))
    west, north = TRANSFORM @ (0, 0)
    with rasterio.open(out) as file:
        assert file.crs == "EPSG:32631"
        window = from_bounds(west, north - 10 * SIDE, west + 10 * SIDE, north, file.transform)
        mapped = file.read(1, window=window.round_offsets().round_lengths())
    assert mapped.shape == scene.truth.shape
    assert np.mean(mapped == scene.truth) > 0.9
