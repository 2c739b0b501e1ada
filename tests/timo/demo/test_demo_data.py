# SPDX-License-Identifier: GPL-3.0-or-later
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import demo_data
import numpy as np
import pytest
import rasterio

from timo.errors import SeriesError

PROGRAM = Path(demo_data.__file__)


@pytest.fixture
def series(wheel, tmp_path):
    demo_data.write_series(wheel, tmp_path / "series")
    return tmp_path / "series"


def test_dates_are_at_least_twelve_and_every_year_has_as_many():
    years = Counter(date.year for date in demo_data.DATES)
    assert len(set(demo_data.DATES)) == len(demo_data.DATES) >= 12
    assert set(years) == {2017, 2018, 2019, 2020}
    assert len(set(years.values())) == 1


def test_dates_are_clear_and_free_of_snow(shared):
    for date in demo_data.DATES:
        with rasterio.open(shared / "scl" / f"SCL_{date:%Y%m%d}.tif") as source:
            classes = source.read(1)
        assert np.isin(classes, (4, 5)).mean() > 0.97
        assert not (classes == 11).any()


def test_series_has_the_values_and_the_grid_of_the_reference_copy(series, shared):
    for date in demo_data.DATES:
        with (
            rasterio.open(series / f"S2_{date:%Y%m%d}.tif") as ours,
            rasterio.open(shared / f"S2_{date:%Y%m%d}.tif") as fine,
            rasterio.open(shared / "s2_20m" / f"S2_20m_{date:%Y%m%d}.tif") as coarse,
        ):
            assert ours.descriptions == ("B02", "B03", "B04", "B08", "B8A", "B11")
            assert ours.crs == fine.crs
            assert ours.crs.to_epsg() == 3035
            assert ours.transform == fine.transform
            assert ours.nodata == 0
            assert ours.scales == (1e-4,) * 6
            values = ours.read()
            np.testing.assert_array_equal(values[:4], fine.read())
            # Four pixels of 10 m in one of 20 m: their mean is the coarse value, smoothed a little.
            means = values[4:].reshape(2, 50, 2, 50, 2).mean(axis=(2, 4))
            relative = np.abs(means - coarse.read()) / coarse.read()
            assert np.median(relative) < 0.02


def test_series_replaces_what_was_in_the_folder(wheel, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "S2_20000101.tif").write_bytes(b"of another run")
    files = demo_data.write_series(wheel, folder, demo_data.DATES[:2])
    assert sorted(folder.glob("*.tif")) == files
    assert sorted(tmp_path.iterdir()) == [folder]


def test_date_that_the_cube_lacks_is_named(wheel, tmp_path):
    with pytest.raises(SeriesError, match="no image of 2019-01-01"):
        demo_data.write_series(wheel, tmp_path / "series", [demo_data.dt.date(2019, 1, 1)])
    assert not (tmp_path / "series").exists()


def test_wheel_that_is_there_is_not_downloaded_again(wheel, monkeypatch):
    monkeypatch.setattr(demo_data.subprocess, "run", lambda *_, **__: pytest.fail("downloaded"))
    assert demo_data.fetch_wheel(wheel.parent) == wheel


def test_no_network_and_no_copy_is_one_sentence_and_exit_1(tmp_path):
    offline = {
        **os.environ,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
    }
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--home", str(tmp_path / "home")],
        capture_output=True, text=True, env=offline, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nrt==0.1.0" in done.stderr
    assert not (tmp_path / "home" / "series").exists()


def test_damaged_wheel_is_refused(tmp_path):
    (tmp_path / demo_data.WHEEL).write_bytes(b"half of it")
    with pytest.raises(SeriesError, match="damaged"):
        demo_data.fetch_wheel(tmp_path)
