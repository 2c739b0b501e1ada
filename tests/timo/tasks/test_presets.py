# SPDX-License-Identifier: GPL-3.0-or-later
"""Each of the four tasks, end to end: on a made-up scene, and on real series where they are present."""

import json

import pytest
import rasterio

from benchmarks.accuracy import DATA, SETS
from timo import tasks
from timo.errors import SpecError
from timo.tasks.presets import PRESETS
from timo.tasks.reporter import Reporter
from timo.tasks.specs import FinetuneSpec, load

REAL = {"deforestation": "forest", "land_cover": "landcover", "crops": "crops", "flood": "flood"}


class Listener(Reporter):
    def __init__(self):
        self.lines = []

    def log(self, message, level="info"):
        self.lines.append(message)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "deforestation" else pytest.mark.slow) for name in PRESETS],
)
def test_a_preset_trains_and_maps_a_scene(scene, tmp_path, name):
    scene.finetune(tmp_path / "m", preset=name, epochs=4)
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    assert card["training"]["spec"]["preset"] == name
    assert PRESETS[name].metric in card["metrics"]
    scene.predict(tmp_path / "m", tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as source:
        assert (source.read(1) == scene.truth).mean() > 0.7


def test_land_cover_is_learnt_from_one_date_and_mapped_on_it(scene, tmp_path):
    series = str(sorted(scene.folder.glob("*.tif"))[1])
    listener = Listener()
    scene.finetune(tmp_path / "m", listener, series=series, preset="land_cover", epochs=4)
    assert not any("dates" in line for line in listener.lines)
    scene.predict(tmp_path / "m", tmp_path / "map.tif", series=series)
    with rasterio.open(tmp_path / "map.tif") as source:
        assert (source.read(1) == scene.truth).mean() > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains_and_maps_a_real_series(tmp_path, name):
    folder, make = SETS[REAL[name]]
    if not (DATA / folder).is_dir():
        pytest.skip(f"no real series '{folder}' in ../shared/data")
    case = next(make(tmp_path))
    out = str(tmp_path / "m")
    spec = {
        "series": case.series,
        "labels": case.labels,
        "out": out,
        "preset": name,
        "epochs": 1,
        **case.more,
    }
    summary = tasks.run("finetune", load("finetune", spec))
    assert 0 < summary["overall_accuracy"] <= 1
    series, _ = case.tests[0]
    result = tasks.run(
        "predict", load("predict", {"series": series, "model": out, "out": str(tmp_path / "map.tif")})
    )
    assert result["pixels_mapped"] > 0


def test_a_series_that_lacks_what_a_task_needs_is_told(scene, tmp_path):
    listener = Listener()
    scene.finetune(tmp_path / "m", reporter=listener, preset="crops", epochs=1)
    assert "Crops takes at least 6 dates, and the series has 4: add dates." in listener.lines
    assert PRESETS["flood"].doubts(["red"], 1) == [
        "Flood is told apart by vv or vh or nir or nir_narrow or swir1 or green, which the series lacks: "
        "the map may be poor.",
        "Flood takes at least 2 dates, and the series has 1: add dates.",
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_given_counts_more_than_a_preset(name):
    given = {"series": "s", "labels": "l", "out": "o", "preset": name}
    for field, value in PRESETS[name].settings.items():
        assert getattr(load("finetune", given), field) == value
        default = getattr(load("finetune", {"series": "s", "labels": "l", "out": "o"}), field)
        assert getattr(load("finetune", {**given, field: default}), field) == default
    assert set(PRESETS[name].settings) <= set(FinetuneSpec.__struct_fields__)


def test_a_preset_that_is_none_is_refused():
    with pytest.raises(SpecError, match="preset"):
        load("finetune", {"series": "s", "labels": "l", "out": "o", "preset": "wine"})
