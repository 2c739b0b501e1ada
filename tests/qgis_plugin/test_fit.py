# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether model and series fit is said beside the button, before a job is sent that would be refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def page(dock, connected):
    """The page as if the backend were there: nothing is sent to it."""
    return dock.predict


@pytest.fixture
def model(page, qtbot, tmp_path):
    """Puts a model into the home that knows these bands and pixels, and chooses it."""

    def make(bands=("blue", "green"), pixel=(10.0, 10.0), crs="EPSG:32631"):
        folder = tmp_path / "home" / "models" / "woods"
        folder.mkdir(parents=True)
        card = {
            "task": "segmentation",
            "name": "woods",
            "architecture": {"name": "timo_tiny"},
            "classes": [{"value": 1, "name": "oak", "color": "#228844"}],
            "bands": [{"name": name, "role": name} for name in bands],
            "dates": {"count": 2, "minimum": 1},
            "ground_sample_distance": pixel,
            "crs": crs,
        }
        (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
        page.refresh()
        qtbot.waitUntil(lambda: page.models.count() == 1)

    return make


@pytest.fixture
def series(dock, add_raster, qtbot):
    """Two ticked dates of 10 m pixels."""

    def make(*bands):
        for month in (1, 2):
            names = bands[month - 1] if bands else ("B02", "B03", "B04", "B08")
            values = np.ones((len(names), 8, 8), np.uint16)
            add_raster(f"S2_20200{month}15.tif", values=values, names=names)
        qtbot.waitUntil(lambda: len(dock.series.rows) == 2)
        dock.series.model.tick([0, 1], True)
        qtbot.waitUntil(lambda: not dock.series.file_dates.waits_for(dock.series.rows))

    return make


def told(page):
    """Whether Predict can be pressed, and the sentence beside it."""
    return page.footer_row.button.isEnabled(), page.footer_row.reason.text()


def test_series_that_fits_can_be_mapped_at_once(page, model, series):
    model()
    series()
    assert told(page) == (True, "") and page.fit.text() == ""


def test_bands_that_are_missing_are_named_before_the_click(page, model, series):
    model(bands=("blue", "nir", "swir16", "swir22"))
    series()
    enabled, reason = told(page)
    assert not enabled and not page.estimate.button.isEnabled()
    assert "needs the bands swir16, swir22, which the series does not have: tick other layers" in reason


def test_bands_that_only_the_dates_together_have_are_no_date_of_the_model(page, model, series):
    model(bands=("blue", "nir"))
    series(("B02", "B03"), ("B08", "B03"))
    enabled, reason = told(page)
    assert (
        not enabled and "No date of the series has all bands" in reason and "2020-01-15 lacks nir" in reason
    )


def test_where_bands_do_not_tell_what_they_measure_the_job_decides(page, dock, model, series):
    model(bands=("blue", "swir16"))
    series(("", "", ""), ("", "", ""))
    assert told(page) == (True, "")


def test_mask_among_the_bands_hides_no_missing_one(page, model, series):
    model(bands=("blue", "swir16"))
    series(("B02", "SCL"), ("B02", "SCL"))
    assert "needs the band swir16" in told(page)[1]


@pytest.mark.parametrize("pixel", [(31.0, 31.0), (3.2, 3.2), (20.0, 60.0)])
def test_pixels_of_quite_another_size_are_refused_before_the_click(page, model, series, pixel):
    model(pixel=pixel)
    series()
    enabled, reason = told(page)
    side = f"{(pixel[0] * pixel[1]) ** 0.5:.3g}"
    assert not enabled
    assert f"The series has pixels of 10 m, and the model was trained on {side} m: tick layers" in reason
    assert page.fit.text() == "", "it cannot be used: no doubt beside it"


def test_pixels_of_somewhat_another_size_are_a_doubt(page, model, series):
    model(pixel=(20.0, 20.0))
    series()
    assert told(page) == (True, "")
    assert "pixels of 10 m, and the model was trained on 20 m: it can be used" in page.fit.text()


def test_pixels_in_feet_are_told_in_metres(page, model, series):
    model(pixel=(32.8, 32.8), crs="EPSG:2263")
    series()
    assert told(page) == (True, "") and page.fit.text() == ""


@pytest.mark.parametrize("crs", ["", "EPSG:4326"])
def test_model_that_knows_no_metres_takes_any_pixels(page, model, series, crs):
    model(pixel=(0.001, 0.001), crs=crs)
    series()
    assert told(page) == (True, "")


def test_finest_files_count_of_the_dates_with_the_usual_bands(page, dock, model, series):
    from timo_qgis.layers import fit

    model(pixel=(40.0, 40.0))
    series()
    rows = dock.series.rows
    assert "pixels of 10 m" in fit.judge(page.model(), rows)[0]
    coarse = replace(rows[1], pixel=60.0)
    assert "pixels of 10 m" in fit.judge(page.model(), [rows[0], coarse])[0]
    photo = replace(rows[0], bands=("B02",), roles=("blue",), pixel=0.2)  # has not what the others have
    more = [replace(coarse, date=coarse.date.replace(day=day)) for day in (1, 2)]
    assert fit.judge(page.model(), [photo, *more])[0] == ""


def test_pixels_in_degrees_shrink_towards_the_pole(package):
    from timo_qgis.layers.pixels import side

    assert side("EPSG:4326", 1e-4, 1e-4, 60) == pytest.approx(11.1195 * 0.5**0.5)
    assert side("", 10, 10) is None


def test_rule_is_the_backends(package):
    from timo_qgis.layers import fit

    text = (ROOT / "timo" / "bundle.py").read_text(encoding="utf-8")
    assert float(re.search(r"^MOST_RATIO = ([\d.]+)", text, re.MULTILINE).group(1)) == fit.MOST_RATIO
    text = (ROOT / "timo" / "tasks" / "planning.py").read_text(encoding="utf-8")
    assert f"not {fit.ALIKE[0]} < ratio < {fit.ALIKE[1]}" in text
