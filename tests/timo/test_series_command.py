# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``timo series`` shows an analyst."""

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform


def timo(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "timo", "series", *map(str, arguments)],
        capture_output=True, text=True, check=False, env={"COLUMNS": "200", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("field")
    for date, code in (("20200801", 4), ("20200811", 9), ("20220901", 4)):
        with rasterio.open(
            folder / f"S2_{date}.tif", "w", driver="GTiff", count=2, height=4, width=5, dtype="uint16",
            crs="EPSG:32631", transform=Affine(10, 0, 500_000, 0, -10, 5_600_000),
        ) as file:  # fmt: skip
            file.write(np.stack([np.full((4, 5), 700), np.full((4, 5), code)]).astype(np.uint16))
            file.descriptions = ("B04", "SCL")
    return folder


def test_dates_bands_masks_and_problems_are_shown(folder):
    run = timo(folder)
    assert run.returncode == 0, run.stderr
    for text in (
        "2 dates", "2020-08-01", "sentinel-2", "100%", "1 band", "red", "reflectance",
        "Mask: SCL hides clouds, shadows, snow and saturated pixels, at 2 of 2 dates.",
        "Grid: 5 x 4 pixels of 10 x 10, EPSG:32631",
        "S2_20200811.tif: Its scene of 2020-08-11 is nearly empty", "Problem: S2_20220901.tif",
    ):  # fmt: skip
        assert text in run.stdout


def test_the_same_as_json(folder):
    summary = json.loads(timo(folder, "--json").stdout)
    assert [date["mask"] for date in summary["dates"]] == ["SCL", "SCL"]
    assert summary["bands"][0]["unit"] == "reflectance"
    assert summary["masks"][0]["dates"] == 2
    assert len(summary["left_out"]) == len(summary["problems"]) == 1


def test_the_values_at_a_place_are_shown_and_given_as_json(folder):
    (longitude,), (latitude,) = transform("EPSG:32631", "EPSG:4326", [500_015], [5_599_985])
    run = timo(folder, "--at", longitude, latitude)
    assert run.returncode == 0, run.stderr
    for text in ("2 dates with data at", "Date", "red", "2020-08-01", "2022-09-01", "0.07"):
        assert text in run.stdout
    found = json.loads(timo(folder, "--at", longitude, latitude, "--json").stdout)
    assert found["dates"] == ["2020-08-01", "2022-09-01"]
    assert timo(folder, "--at", "400", "50").stderr.startswith("The place 400 50 is not on earth.")
