# SPDX-License-Identifier: GPL-3.0-or-later
"""Areas on the earth, as maps that are compared and exported, and labels that are looked at, measure them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from osgeo import osr
from qgis.core import QgsGeometry, QgsRectangle

SINUSOIDAL = (
    'PROJCS["MODIS",GEOGCS["sphere",DATUM["sphere",SPHEROID["sphere",6371007.181,0]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Sinusoidal"],'
    'PARAMETER["longitude_of_center",0],PARAMETER["false_easting",0],PARAMETER["false_northing",0],'
    'UNIT["metre",1]]'
)

IN_THREADS = """
import sys
from threading import Thread
from osgeo import osr
from qgis.core import QgsApplication, QgsGeometry, QgsRectangle
application = QgsApplication([], False)
application.initQgis()
sys.path.insert(0, sys.argv[1])
from timo_qgis.layers.hectares import hectares_in
reference = osr.SpatialReference()
reference.ImportFromEPSG(32633)
shape = QgsGeometry.fromRect(QgsRectangle(500_000, 5_000_000, 501_000, 5_001_000))
for _ in range(4):
    thread = Thread(target=lambda: print(hectares_in(reference)(shape)))
    thread.start()
    thread.join()
application.exitQgis()
"""


def square(left, bottom, side):
    return QgsGeometry.fromRect(QgsRectangle(left, bottom, left + side, bottom + side))


@pytest.fixture
def measured(package):
    """A shape's hectares."""
    from timo_qgis.layers.hectares import hectares_in

    def measured(system, shape):
        reference = osr.SpatialReference()
        assert not (reference.ImportFromEPSG if isinstance(system, int) else reference.ImportFromWkt)(system)
        return hectares_in(reference)(shape)

    return measured


def test_areas_are_the_same_in_every_thread(package):
    """QGIS's threads end when they had nothing to do for half a minute, and the next work has a new one.

    In a process of its own: there a new thread stands where the last one stood.
    """
    folder = Path(package.__file__).parents[1]
    answer = subprocess.run(
        [sys.executable, "-c", IN_THREADS, str(folder)],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert [float(line) for line in answer.stdout.split()] == [pytest.approx(100.08, abs=0.001)] * 4


@pytest.mark.parametrize(
    ("system", "left", "bottom", "side", "hectares"),
    [
        pytest.param(32633, 500_000, 5_000_000, 1000, 100.080047, id="metres"),
        pytest.param(3857, 500_000, 5_000_000, 1000, 57.0424, id="Web Mercator"),
        pytest.param(2225, 6_500_000, 2_000_000, 3000, 83.624089, id="feet"),
        pytest.param(4326, 15, 45, 0.01, 87.6163, id="degrees"),
        pytest.param(27571, 600_000, 1_200_000, 1000, 100.024536, id="metres, from grads"),
        pytest.param(4807, 2.5, 50, 0.01, 70.9723, id="grads"),
        pytest.param(SINUSOIDAL, 500_000, 5_000_000, 1000, 100.000001, id="a sphere, as of MODIS"),
    ],
)
def test_areas_are_the_earths_in_every_system(measured, system, left, bottom, side, hectares):
    """Expected: the geodesic polygons of the same corners, by GeographicLib in pyproj 3.7."""
    assert measured(system, square(left, bottom, side)) == pytest.approx(hectares, rel=2e-4)
