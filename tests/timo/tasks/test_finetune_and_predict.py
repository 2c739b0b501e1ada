# SPDX-License-Identifier: GPL-3.0-or-later
import json
import shutil
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pyogrio
import pytest
import rasterio
from safetensors.numpy import load_file

from tests.scenes import SIDE, TRANSFORM, write_frame, write_polygons
from tests.timo.tasks.refusals import refused
from timo import tasks
from timo.errors import BundleError, Cancelled, OutputError, SpecError, TimoError
from timo.tasks.reporter import Reporter
from timo.tasks.specs import load
from timo.training import checkpoint


class Recorder(Reporter):
    """Keeps what a task tells; stops it at a given step."""

    def __init__(self, stop_after=None):
        self.fractions, self.metrics, self.artifacts, self.left = [], {}, [], stop_after
        self.lines = []

    def log(self, message, level="info"):
        self.lines.append((level, message))

    def progress(self, fraction, message):
        self.fractions.append(fraction)

    def metric(self, name, value, step):
        self.metrics.setdefault(name, []).append((step, value))

    def artifact(self, path, kind):
        self.artifacts.append((kind, path))

    def check(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Cancelled


def test_a_model_trained_on_polygons_maps_the_whole_scene(scene, bundle, tmp_path):
    out = tmp_path / "map.tif"
    summary = scene.predict(
        bundle, out, confidence=str(tmp_path / "c.tif"), probabilities=str(tmp_path / "p.tif")
    )
    with rasterio.open(out) as source:
        mapped = source.read(1)
        assert source.nodata == 255
    assert (mapped == scene.truth).mean() > 0.85
    with rasterio.open(tmp_path / "c.tif") as source:
        confidence = source.read(1)
    assert 0.5 <= confidence.min() <= confidence.max() <= 1
    with rasterio.open(tmp_path / "p.tif") as source:
        probabilities = source.read() / 250
        assert source.descriptions == ("field", "woods")
    np.testing.assert_allclose(probabilities.max(0), confidence, atol=0.01)
    assert sum(c["pixels"] for c in summary["classes"]) == mapped.size == summary["pixels_mapped"]


def test_the_bundle_says_all_that_is_needed_to_use_it(bundle, card):
    assert [c["name"] for c in card["classes"]] == ["field", "woods"]
    assert [b["role"] for b in card["bands"]] == ["red", "nir", "swir1"]
    assert card["dates"] == {"count": 4, "first": "2020-04-01", "last": "2020-10-01", "minimum": 2}
    assert card["ground_sample_distance"] == [10, 10]
    assert card["training"]["spec"]["seed"] == 0
    assert card["training"]["started_from"] == "random weights"
    ((west, south, east, north),) = card["training"]["extents"]
    assert west < east and south < north
    assert {"overall_accuracy", "mean_iou", "per_class", "confusion_matrix"} <= set(card["metrics"])
    assert (bundle / "weights.safetensors").is_file()
    assert (bundle / "split.gpkg").is_file()


def test_progress_rises_to_the_end_and_each_epoch_has_its_figures(scene, tmp_path):
    recorder = Recorder()
    spec = load(
        "finetune",
        {"series": str(scene.folder), "labels": str(scene.labels), "class_field": "kind",
         "out": str(tmp_path / "m"), "epochs": 2, "zoom": 1},
    )  # fmt: skip
    tasks.run("finetune", spec, recorder)
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1
    assert set(recorder.metrics) == {"train_loss", "val_loss", "val_accuracy", "val_miou"}
    assert [step for step, _ in recorder.metrics["train_loss"]] == [1, 2]
    assert [step for step, _ in recorder.metrics["val_miou"]] == [1]  # then it learns from all labels
    outputs = [one for one in recorder.artifacts if one[0] != "preview"]
    assert outputs == [("bundle", tmp_path / "m")]


def test_the_same_seed_gives_the_same_model(scene, tmp_path):
    for name in ("one", "two"):
        scene.finetune(tmp_path / name, epochs=2, seed=3)
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for key in one:
        np.testing.assert_array_equal(one[key], two[key])


def test_the_figures_are_those_of_the_epoch_that_the_model_learnt_on_from(card):
    training = card["training"]
    judged = [row for row in training["history"] if row["val_miou"] is not None]
    assert training["epoch"] == len(judged)
    assert card["metrics"]["mean_iou"] == judged[-1]["val_miou"]


def test_in_the_end_the_model_learns_from_all_labels_and_is_not_judged_by_them(card):
    training = card["training"]
    assert training["kept"] == len(training["history"]) == 6
    assert [row["val_miou"] is None for row in training["history"]] == [False] * 4 + [True] * 2
    labelled = 16 * 20 * 20
    assert sum(training["pixels"].values()) < labelled  # of the epochs that were judged


def test_without_that_the_best_epoch_is_kept(scene, tmp_path):
    scene.finetune(tmp_path / "m", epochs=3, all_labels=False)
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    training, judged = card["training"], card["training"]["history"]
    best = max(range(3), key=lambda e: (round(judged[e]["val_miou"], 2), -judged[e]["val_loss"]))
    assert training["kept"] == training["epoch"] == best + 1
    assert card["metrics"]["mean_iou"] == judged[best]["val_miou"]


def test_bands_are_matched_by_role_not_by_position(scene, bundle, tmp_path):
    turned = tmp_path / "turned"
    turned.mkdir()
    for path in scene.folder.glob("*.tif"):
        with rasterio.open(path) as source:
            bands = dict(zip(source.descriptions, source.read(), strict=True))
        write_frame(turned / path.name, dict(reversed(bands.items())))
    scene.predict(bundle, tmp_path / "a.tif")
    tasks.run(
        "predict",
        load("predict", {"series": str(turned), "model": str(bundle), "out": str(tmp_path / "b.tif")}),
    )
    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())


def test_a_pixel_that_is_never_valid_is_nodata_in_the_map(scene, bundle, tmp_path):
    holed = tmp_path / "holed"
    holed.mkdir()
    for path in scene.folder.glob("*.tif"):
        with rasterio.open(path) as source:
            values = source.read()
            values[:, 40:60, 10:30] = 0
            if path.name.endswith("0601.tif"):
                values[:, 70:80, 70:80] = 0  # at one date alone: filled from the others
            write_frame(holed / path.name, dict(zip(source.descriptions, values, strict=True)))
    spec = {"series": str(holed), "model": str(bundle), "out": str(tmp_path / "map.tif")}
    tasks.run("predict", load("predict", spec))
    with rasterio.open(tmp_path / "map.tif") as source:
        nodata = source.read(1) == 255
    expected = np.zeros_like(nodata)
    expected[40:60, 10:30] = True
    np.testing.assert_array_equal(nodata, expected)


def test_the_map_is_made_inside_the_area_alone(scene, bundle, tmp_path):
    write_polygons(tmp_path / "area.gpkg", [(10, 20, 30, 40, "here")])
    scene.predict(bundle, tmp_path / "map.tif", aoi=str(tmp_path / "area.gpkg"))
    with rasterio.open(tmp_path / "map.tif") as source:
        inside = source.read(1) != 255
    expected = np.zeros_like(inside)
    expected[10:40, 20:60] = True
    np.testing.assert_array_equal(inside, expected)


def test_colours_of_the_analyst_are_the_maps(scene, tmp_path):
    scene.finetune(tmp_path / "m", epochs=1, colors=["woods=#00FF00"])
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    assert {c["name"]: c["color"] for c in card["classes"]}["woods"] == "#00ff00"


def test_codes_keep_their_values_and_get_the_analyst_s_names(scene, tmp_path):
    codes = {"woods": "311", "field": "211"}
    meta, _, shapes, (kinds,) = pyogrio.raw.read(scene.labels, columns=["kind"])
    coded = np.array([codes[kind] for kind in kinds], object)
    pyogrio.raw.write(
        tmp_path / "codes.gpkg", shapes, [coded], ["kind"], geometry_type="Polygon", crs=meta["crs"]
    )
    recorder = Recorder()
    scene.finetune(
        tmp_path / "m", recorder, epochs=1, labels=str(tmp_path / "codes.gpkg"),
        names=["311=Broad-leaved forest", "211=Arable land", "512=Water"], colors=["311=#00ff00"],
    )  # fmt: skip
    classes = json.loads((tmp_path / "m" / "model.json").read_text())["classes"]
    assert [(one["value"], one["name"]) for one in classes] == [
        (211, "Arable land"),
        (311, "Broad-leaved forest"),
    ]
    assert classes[1]["color"] == "#00ff00"
    told = [message for level, message in recorder.lines if level == "warning" and "512" in message]
    assert len(told) == 1 and "has no class 512 to give a name to" in told[0]
    scene.predict(tmp_path / "m", tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as source:
        assert set(np.unique(source.read(1))) <= {211, 311}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1"], "Class name '1' is not of the form CODE=NAME."),
        (["=Forest"], "'=Forest' is not of the form"),
        (["1=Forest", "2=Forest"], "Classes '1' and '2' would both be called 'Forest'."),
    ],
)
def test_names_that_name_nothing_are_refused(scene, tmp_path, names, said):
    with pytest.raises(SpecError) as caught:
        scene.finetune(tmp_path / "m", names=names)
    assert said in str(caught.value)
    assert not (tmp_path / "m").exists()


def test_a_stopped_prediction_leaves_nothing(scene, bundle, tmp_path):
    spec = load(
        "predict", {"series": str(scene.folder), "model": str(bundle), "out": str(tmp_path / "map.tif")}
    )
    with pytest.raises(Cancelled):
        tasks.run("predict", spec, Recorder(stop_after=1))
    assert list(tmp_path.iterdir()) == []


def some_frames(scene, folder, names, bands=None):
    folder.mkdir()
    for name in names:
        with rasterio.open(scene.folder / name) as source:
            kept = {
                d: v
                for d, v in zip(source.descriptions, source.read(), strict=True)
                if not bands or d in bands
            }
        write_frame(folder / name, kept)
    return folder


def test_fewer_dates_than_the_model_needs_are_refused(scene, bundle, tmp_path):
    folder = some_frames(scene, tmp_path / "s", ["S2_20200401.tif"])
    spec = load("predict", {"series": str(folder), "model": str(bundle), "out": str(tmp_path / "map.tif")})
    refused(BundleError, "too_few_dates", lambda: tasks.run("predict", spec), tmp_path, "1 date", "woods")


def test_changed_weights_are_refused(scene, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "m")
    weights = tmp_path / "m" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    refused(
        BundleError,
        "bundle_changed",
        lambda: scene.predict(tmp_path / "m", tmp_path / "o.tif"),
        tmp_path,
        "weights",
    )


def test_a_bundle_is_never_overwritten_unasked(scene, bundle):
    before = (bundle / "model.json").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        scene.finetune(bundle)
    assert (bundle / "model.json").read_bytes() == before


def test_a_folder_with_other_things_is_never_replaced(scene, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(OutputError, match="photos"):
        scene.finetune(tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos" / "cat.jpg").exists()


def test_every_refusal_says_what_to_do(scene, tmp_path):
    with pytest.raises(TimoError) as caught:
        scene.finetune(tmp_path / "m", colors=["woods=green"])
    assert "woods=green" in str(caught.value)
    assert "Correct it." in str(caught.value)


def test_a_legend_with_more_classes_than_the_place_is_no_fault_but_told(scene, tmp_path):
    recorder = Recorder()
    scene.finetune(tmp_path / "m", recorder, epochs=1, colors=["water=#0000ff", "woods=#00ff00"])
    told = [message for level, message in recorder.lines if level == "warning" and "water" in message]
    assert len(told) == 1 and "field, woods" in told[0]


def test_a_file_is_never_replaced_by_a_bundle(scene, tmp_path):
    (tmp_path / "notes").write_text("mine")
    call = lambda: scene.finetune(tmp_path / "notes", overwrite=True)  # noqa: E731
    refused(OutputError, "output_is_file", call, tmp_path, "notes")
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.parametrize(("seconds", "left"), [(1e9, []), (-1, ["m.training"])], ids=["fast", "slow"])
def test_a_bundle_that_cannot_be_put_in_place_leaves_at_most_what_was_learnt(
    scene, tmp_path, monkeypatch, seconds, left
):
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", seconds)
    with monkeypatch.context() as full:
        full.setattr(Path, "rename", Mock(side_effect=OSError(28, "No space left on device")))
        with pytest.raises(OutputError, match="No space left on device") as caught:
            scene.finetune(tmp_path / "m", epochs=1)
    assert caught.value.code == "disk_full"
    assert [path.name for path in tmp_path.iterdir()] == left
    scene.finetune(tmp_path / "m", epochs=1)  # goes on
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_two_outputs_of_one_name_are_named(scene, bundle, tmp_path):
    same = str(tmp_path / "same.tif")
    call = lambda: scene.predict(bundle, tmp_path / "o.tif", confidence=same, probabilities=same)  # noqa: E731
    refused(OutputError, "outputs_collide", call, tmp_path, "same.tif")


def test_class_values_that_no_map_holds_are_refused_before_the_training(scene, tmp_path):
    with rasterio.open(
        tmp_path / "codes.tif", "w", driver="GTiff", dtype="uint32", count=1, width=SIDE, height=SIDE,
        crs="EPSG:32631", transform=TRANSFORM,
    ) as target:  # fmt: skip
        target.write((scene.truth + 4_000_000_000).astype(np.uint32), 1)
    recorder = Recorder()
    spec = load(
        "finetune",
        {"series": str(scene.folder), "labels": str(tmp_path / "codes.tif"), "out": str(tmp_path / "m")},
    )
    call = lambda: tasks.run("finetune", spec, recorder)  # noqa: E731
    refused(OutputError, "class_values", call, tmp_path)
    assert recorder.metrics == {}
