# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished job's map and confidence in the project, and the menu of their layers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qgis.core import QgsProject


@pytest.fixture(scope="session")
def classes():
    return {1: ("wood", (0, 100, 0)), 2: ("field & meadow", (200, 200, 0))}


@pytest.fixture
def job(tmp_path, make_map, make_floats, classes):
    """Paths of a finished job's map and confidence, whose tags say how they were made."""
    series = tmp_path / "series.csv"
    series.write_text("path,date\n")
    (tmp_path / "woods").mkdir()
    spec = {
        "series": [str(series)],
        "model": str(tmp_path / "woods"),
        "out": str(tmp_path / "map.tif"),
        "confidence": str(tmp_path / "map-confidence.tif"),
        "batch": 4,
    }
    tags = {
        "TIMO_MODEL": "woods <b>2020</b>",
        "TIMO_MODEL_SHA256": "ab" * 32,
        "TIMO_DATES": "2020-01-15, 2020-02-15",
        "TIMO_SOURCES": "a.tif (12 bytes)",
        "TIMO_VERSIONS": "timo 0.1, GDAL 3.8",
        "TIMO_SPEC": json.dumps(spec),
    }
    values = np.full((40, 60), 1)
    values[:, 30:] = 2
    confidence = np.random.default_rng(0).uniform(0.5, 1, values.shape)
    confidence[7, 50] = 0.2
    return {
        "map": str(make_map("map.tif", values, classes, tags)),
        "confidence": str(make_floats("map-confidence.tif", confidence)),
    }


@pytest.fixture
def layers(dock, job, iface):
    from timo_qgis.layers.results import add_results, read_results

    added = list(add_results(QgsProject.instance(), read_results(job)[0], "job-1", "map"))
    iface.active = added[0]
    return added


@pytest.fixture
def choose(dock, layers, iface, qtbot):
    """Picks an entry of the layer's menu and gives the window that opens."""

    def choose(entry, window, layer=0):
        iface.active = layers[layer]
        dock.results.actions[entry].trigger()
        found = []

        def there():
            found[:] = iface.window.findChildren(window)
            return bool(found)

        qtbot.waitUntil(there)
        return found[0]

    return choose
