# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of task: classes of pixels and of chips, of a series and of its dates; from a model or none."""

import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from tests.scenes import DATES, SIDE, TRANSFORM
from timo import tasks
from timo.errors import BundleError, SpecError
from timo.tasks.specs import load

TO_ISO = [f"{date[:4]}-{date[4:6]}-{date[6:]}" for date in DATES]
GREEN = (False, True, True, False)  # the fields, by date


def read(path):
    with rasterio.open(path) as source:
        return source.read(1)


@pytest.fixture(scope="session")
def dated_labels(scene, tmp_path_factory):
    """Polygons of what is green and what is bare on each date."""
    path = tmp_path_factory.mktemp("dated") / "dated.gpkg"
    shapes, kinds, days = [], [], []
    for t, day in enumerate(TO_ISO):
        for row in range(0, SIDE, 32):
            for column in range(0, SIDE, 32):
                left, top = TRANSFORM @ (column + 4, row + 4)
                shapes.append(shapely.to_wkb(shapely.box(left, top - 200, left + 200, top)))
                kinds.append("green" if row // 32 % 2 or GREEN[t] else "bare")
                days.append(day)
    fields = [np.array(kinds, object), np.array(days, object)]
    pyogrio.raw.write(
        path, np.array(shapes, object), fields, ["kind", "day"], geometry_type="Polygon", crs="EPSG:32631"
    )
    return path


def test_a_model_of_every_date_maps_every_date(scene, dated_labels, tmp_path):
    scene.finetune(tmp_path / "m", labels=str(dated_labels), per_date=True, date_field="day", epochs=8)
    summary = scene.predict(tmp_path / "m", tmp_path / "map.tif", per_date=str(tmp_path / "dates"))
    maps = sorted((tmp_path / "dates").glob("*.tif"))
    assert [path.name for path in maps] == [f"map_{day}.tif" for day in TO_ISO]
    for path, green in zip(maps, GREEN, strict=True):
        expected = np.where((scene.truth == 2) | green, 2, 1)
        assert (read(path) == expected).mean() > 0.85, path.name
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), read(maps[-1]))
    assert summary["pixels_mapped"] == SIDE * SIDE


def test_a_classifier_of_chips_maps_what_fills_them(scene, tmp_path):
    scene.finetune(tmp_path / "m", classify="chips", epochs=12, chip=32)
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    assert card["task"] == "classification"
    scene.predict(tmp_path / "m", tmp_path / "map.tif")
    mapped = read(tmp_path / "map.tif")
    middles = [16, 48, 80, 112]
    assert (mapped[middles] == scene.truth[middles]).mean() > 0.85


@pytest.mark.slow
def test_a_classifier_of_chips_on_every_date(scene, dated_labels, tmp_path):
    more = {"labels": str(dated_labels), "per_date": True, "date_field": "day", "chip": 32}
    scene.finetune(tmp_path / "m", classify="chips", epochs=12, **more)
    scene.predict(tmp_path / "m", tmp_path / "map.tif", per_date=str(tmp_path / "dates"))
    middles = [16, 48, 80, 112]
    for path, green in zip(sorted((tmp_path / "dates").glob("*.tif")), GREEN, strict=True):
        expected = np.where((scene.truth == 2) | green, 2, 1)[middles]
        assert (read(path)[middles] == expected).mean() > 0.85, path.name


def test_maps_of_every_date_are_refused_of_a_model_of_the_series(scene, bundle, tmp_path):
    with pytest.raises(BundleError, match="makes one map for the whole series"):
        scene.predict(bundle, tmp_path / "map.tif", per_date=str(tmp_path / "dates"))
    assert list(tmp_path.iterdir()) == []


def test_a_date_field_without_a_map_of_every_date_is_refused(scene, tmp_path):
    with pytest.raises(SpecError, match="date field 'day'"):
        scene.finetune(tmp_path / "m", date_field="day")


@pytest.fixture(scope="session")
def pretrained(scene, tmp_path_factory):
    out = tmp_path_factory.mktemp("pretrained") / "encoder"
    spec = {"series": str(scene.folder), "out": str(out), "epochs": 2, "zoom": 1, "chip": 64, "batch": 2}
    tasks.run("pretrain", load("pretrain", spec))
    return out


@pytest.mark.parametrize("learn", ["all", "head", "lora"])
def test_a_fine_tuning_starts_from_a_pretrained_encoder(scene, pretrained, tmp_path, learn):
    scene.finetune(tmp_path / "m", learn=learn, epochs=2, **{"from": str(pretrained)})
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    assert card["training"]["started_from"].startswith("encoder (")
    summary = scene.predict(tmp_path / "m", tmp_path / "map.tif")
    assert summary["pixels_mapped"] == SIDE * SIDE


def test_a_pretrained_encoder_makes_no_maps(scene, pretrained, tmp_path):
    with pytest.raises(BundleError, match="knows no classes yet"):
        scene.predict(pretrained, tmp_path / "map.tif")


def test_a_fine_tuning_goes_on_from_a_fine_tuned_model(scene, bundle, tmp_path):
    summary = scene.finetune(tmp_path / "m", epochs=1, **{"from": str(bundle)})
    assert summary["overall_accuracy"] > 0.85  # after one epoch, since it knows the scene


def test_only_a_part_learns_of_a_model_that_is_there(scene, tmp_path):
    with pytest.raises(SpecError, match="starts from random weights"):
        scene.finetune(tmp_path / "m", learn="head")


def test_a_test_part_is_judged_and_a_saved_split_can_be_given_back(scene, tmp_path):
    first = scene.finetune(tmp_path / "first", epochs=2, test=0.25, chip=32)
    assert 0 < first["test"]["pixels"] < 0.5 * 16 * 400
    again = scene.finetune(
        tmp_path / "again", epochs=2, chip=32, split=str(tmp_path / "first" / "split.gpkg")
    )
    cards = [json.loads((tmp_path / name / "model.json").read_text()) for name in ("first", "again")]
    assert cards[0]["training"]["pixels"] == cards[1]["training"]["pixels"]
    assert again["test"]["pixels"] == first["test"]["pixels"]


def test_a_split_is_taken_from_a_field_of_the_labels(scene, tmp_path):
    meta, _, shapes, (kinds,) = pyogrio.raw.read(scene.labels)
    parts = np.array(["train", "train", "validation", "train"] * 4, object)
    labels = tmp_path / "parts.gpkg"
    fields = [kinds, parts]
    pyogrio.raw.write(labels, shapes, fields, ["kind", "use"], geometry_type="Polygon", crs=meta["crs"])
    summary = scene.finetune(tmp_path / "m", labels=str(labels), split_field="use", epochs=1, chip=32)
    assert summary["pixels"] <= 4 * 400  # validation's four polygons
