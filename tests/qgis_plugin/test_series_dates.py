# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of one date are joined, or said to be twice there, as the backend will do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QComboBox, QDialog, QPushButton

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
FOUR = ("", "", "", "")


@pytest.fixture
def page(dock):
    return dock.series


@pytest.fixture
def add(write_raster, page, qtbot):
    """Adds a raster of 40 x 40 pixels, east and size in metres, and ticks everything."""

    def run(name, *, names, east=500000, size=10, count=40):
        values = np.full((len(names), count, count), 4, np.uint16)
        path = write_raster(name, values=values, names=names)
        dataset = gdal.Open(str(path), gdal.GA_Update)
        dataset.SetGeoTransform((east, size, 0, 5000000, 0, -size))
        dataset = None
        QgsProject.instance().addMapLayer(QgsRasterLayer(str(path), path.stem, "gdal"))
        qtbot.waitUntil(lambda: len(page.rows) == len(QgsProject.instance().mapLayers()))
        page.model.tick(range(len(page.rows)), True)
        qtbot.waitUntil(lambda: not page.file_dates.waits_for(page.rows))

    return run


@pytest.fixture
def refusal(page):
    """Why the backend's own library refuses the series that the page writes: a code, empty if it doesn't."""
    if not PYTHON.exists():
        pytest.skip("the library is not installed beside the tests")
    program = (
        "import sys\nfrom timo.errors import SeriesError\nfrom timo.series.series import open_series\n"
        "try:\n    open_series(sys.argv[1], keep_empty=True)\n"
        "except SeriesError as error:\n    print(error.code)"
    )

    def run():
        command = [str(PYTHON), "-c", program, str(page.write())]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return run


def say(page, layer, roles):
    """Say what the bands of a layer's sensor measure, by its menu's dialog."""
    row = next(row for row in page.rows if row.name == layer)
    page.fixes.map_bands([row.layer_id])
    asked = page.findChildren(QDialog, "timoSeriesBands")[-1]
    for box, role in zip(asked.findChildren(QComboBox), roles):
        box.setCurrentIndex(box.findData(role))
    asked.accept()


JOINED = {
    "a mask beside nameless bands": {
        "S2_20200715.tif": {"names": FOUR},
        "S2_20200715_SCL.tif": {"names": ("",)},
    },
    "a mask whose band is called by its number": {
        "S2_20200715_B02.tif": {"names": ("Band 1",)},
        "S2_20200715_SCL.tif": {"names": ("Band 1",)},
    },
    "two masks": {
        "S2_20200715.tif": {"names": FOUR},
        "S2_20200715_SCL.tif": {"names": ("SCL",)},
        "S2_20200715_QA60.tif": {"names": ("QA60",)},
    },
    "a nameless band beside named ones": {
        "S2_20200715.tif": {"names": ("B02", "B03")},
        "S2_20200715_x.tif": {"names": ("",)},
    },
    "tiles": {
        "S2_20200715_a.tif": {"names": FOUR},
        "S2_20200715_b.tif": {"names": FOUR, "east": 500400},
    },
}
TWICE = {
    "one role of two sensors": {
        "S2_20200715.tif": {"names": ("B04",)},
        "LC08_20200715.tif": {"names": ("B4",)},
    },
    "nameless bands of two sensors": {
        "S1_20200715.tif": {"names": ("", "")},
        "S2_20200715.tif": {"names": FOUR},
    },
    "one band in two resolutions": {
        "S2_20200715_fine.tif": {"names": ("B02",)},
        "S2_20200715_coarse.tif": {"names": ("B02",), "size": 20, "count": 20},
    },
    "one band twice, half a pixel beside": {
        "S2_20200715_a.tif": {"names": ("B02",)},
        "S2_20200715_b.tif": {"names": ("B02",), "east": 500005},
    },
}


@pytest.mark.parametrize("files", JOINED.values(), ids=JOINED)
def test_what_the_backend_joins_is_told_as_joined(page, add, refusal, files):
    for name, options in files.items():
        add(name, **options)
    assert {row.fault for row in page.rows} == {"Joined"}
    assert page.why_not() == "" and page.date_count() == 1
    assert refusal() == ""


@pytest.mark.parametrize("files", TWICE.values(), ids=TWICE)
def test_what_the_backend_refuses_is_told_as_a_duplicate(page, add, refusal, files):
    for name, options in files.items():
        add(name, **options)
    assert {row.fault for row in page.rows} == {"Duplicate"}
    assert "untick one of them" in page.why_not()
    assert refusal() == "band_twice"


def test_nameless_radar_and_optical_bands_are_joined_once_they_are_mapped(page, add, refusal):
    add("S1_20200715.tif", names=("", ""))
    add("S2_20200715.tif", names=FOUR)
    assert "or map their bands if they differ" in page.why_not()
    say(page, "S1_20200715", ("vv", "vh"))
    say(page, "S2_20200715", ("blue", "green", "red", "nir"))
    assert {row.fault for row in page.rows} == {"Joined"}
    assert page.why_not() == "" and refusal() == ""


def test_keeping_the_first_leaves_the_mask_and_what_is_there_once(page, add, qtbot, refusal):
    for name, names in (
        ("S2_20200715_a.tif", FOUR),
        ("S2_20200715_b.tif", FOUR),
        ("S2_20200715_SCL.tif", ("",)),
        ("c_S1_20200715_a.tif", ("vv", "vh")),
        ("c_S1_20200715_b.tif", ("vv", "vh")),
    ):
        add(name, names=names)
    fix = page.findChild(QPushButton, "timoSeriesProblemsFix_duplicate")
    qtbot.mouseClick(fix, Qt.MouseButton.LeftButton)
    assert [row.name for row in page.rows if row.ticked] == [
        "c_S1_20200715_a", "S2_20200715_a", "S2_20200715_SCL",
    ]  # fmt: skip
    assert page.why_not() == "" and refusal() == ""
