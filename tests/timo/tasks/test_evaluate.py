# SPDX-License-Identifier: GPL-3.0-or-later
import json
import shutil
from xml.etree import ElementTree as ET

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from sklearn import metrics

from tests.scenes import DATES, SIDE, TRANSFORM, write_frame, write_polygons
from tests.timo.report.pages import Page
from tests.timo.test_cli import timo
from timo import bundle as bundles
from timo import tasks
from timo.errors import BundleError, Cancelled, LabelError, OutputError, SpecError, TimoError
from timo.report.training import training_page
from timo.tasks.reporter import Reporter
from timo.tasks.specs import load

# Where the scene's own labels are not, a wrong one among them.
BOXES = [
    *((row + 2, column + 25, 28, 6, "field" if row // 32 % 2 == 0 else "woods")
      for row in range(0, SIDE, 32) for column in range(0, SIDE, 32)),
    (66, 4, 8, 8, "woods"),
]  # fmt: skip


class Recorder(Reporter):
    def __init__(self, stop_after=None):
        self.fractions, self.logs, self.artifacts, self.left = [], [], [], stop_after

    def progress(self, fraction, message):
        self.fractions.append(fraction)

    def log(self, message, level="info"):
        self.logs.append((level, message))

    def artifact(self, path, kind):
        self.artifacts.append((kind, path))

    def check(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Cancelled

    @property
    def warnings(self):
        return " ".join(message for level, message in self.logs if level == "warning")


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "judged.gpkg"
    write_polygons(path, BOXES)
    return path


@pytest.fixture
def evaluate(scene, bundle, labels, tmp_path):
    def run(reporter=None, **more):
        given = {
            "series": str(scene.folder),
            "model": str(bundle),
            "labels": str(labels),
            "class_field": "kind",
            "out": str(tmp_path / "report"),
        }
        return tasks.run("evaluate", load("evaluate", {**given, **more}), reporter)

    return run


def read_report(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def read(path):
    with rasterio.open(path) as source:
        return source.read(1)


def reference():
    """(H, W) what the polygons say: 1 field, 2 woods, 0 nothing."""
    values = np.zeros((SIDE, SIDE), int)
    for row, column, height, width, name in BOXES:
        values[row : row + height, column : column + width] = 1 if name == "field" else 2
    return values


@pytest.fixture
def mapped(scene, bundle, tmp_path):
    """(H, W) the map that predict makes, and its confidence."""
    scene.predict(bundle, tmp_path / "map.tif", confidence=str(tmp_path / "c.tif"))
    return read(tmp_path / "map.tif"), read(tmp_path / "c.tif")


def test_the_figures_are_those_of_scikit_learn_on_the_predicted_map(evaluate, mapped, tmp_path):
    recorder = Recorder()
    summary = evaluate(recorder)
    values, confidence = mapped
    judged = reference() > 0
    truth, found = reference()[judged], values[judged]
    figures = read_report(tmp_path / "report")["figures"]
    np.testing.assert_array_equal(figures["confusion_matrix"], metrics.confusion_matrix(truth, found))
    assert figures["overall_accuracy"] == pytest.approx(metrics.accuracy_score(truth, found))
    assert figures["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, found))
    assert figures["macro_f1"] == pytest.approx(metrics.f1_score(truth, found, average="macro"))
    assert figures["mean_iou"] == pytest.approx(metrics.jaccard_score(truth, found, average="macro"))
    assert figures["overall_accuracy"] < 1, "the test needs errors"
    assert {key: summary[key] for key in ("kappa", "macro_f1")} == {
        key: figures[key] for key in ("kappa", "macro_f1")
    }
    calibration = read_report(tmp_path / "report")["calibration"]
    assert calibration["mean_confidence"] == pytest.approx(confidence[judged].mean(), abs=1e-4)
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1
    assert recorder.artifacts == [
        ("report", tmp_path / "report" / "index.html"),
        ("errors", tmp_path / "report" / "errors.tif"),
    ]


def test_the_page_opens_without_network_and_holds_what_the_issue_asks_for(evaluate, tmp_path):
    evaluate()
    page = Page((tmp_path / "report" / "index.html").read_text(encoding="utf-8"))
    for words in (
        "Of 100 labelled pixels, ", "User's accuracy", "Producer's accuracy", "IoU", "F1", "overall accuracy",
        "kappa", "calibration error", "95 % interval", "Where it errs", "How this was made", "judged.gpkg",
        "S2_20200401.tif", "2020-04-01", "indicative",
    ):  # fmt: skip
        assert words in page.text, words
    assert len(page.plots()) == 4
    assert "script" not in page.tags


def test_the_map_of_errors_is_wrong_where_the_map_is(evaluate, mapped, tmp_path):
    evaluate()
    with rasterio.open(tmp_path / "report" / "errors.tif") as source:
        errors = source.read(1)
        assert source.nodata == 255
        assert source.transform == TRANSFORM
        assert set(source.colormap(1)[1][:3]) != set(source.colormap(1)[0][:3])
    expected = np.where(reference() > 0, mapped[0] != reference(), 255)
    np.testing.assert_array_equal(errors, expected)
    style = ET.parse(tmp_path / "report" / "errors.qml")
    assert {entry.get("label") for entry in style.iter("paletteEntry")} == {"right", "wrong"}


def test_areas_are_those_of_the_map_and_corrected_for_its_errors(evaluate, mapped, tmp_path):
    evaluate()
    areas = read_report(tmp_path / "report")["areas"]
    assert areas["unit"] == "ha"
    for row, value in zip(areas["classes"], (1, 2), strict=True):
        assert row["mapped"] == pytest.approx(0.01 * (mapped[0] == value).sum())
        assert row["interval95"] > 0
    matrix = np.array(read_report(tmp_path / "report")["figures"]["confusion_matrix"])
    by_hand = sum(
        areas["classes"][i]["mapped"] * matrix[1, i] / matrix[:, i].sum() for i in range(2)
    )  # woods: the mapped areas, each by the share of it that is woods
    assert areas["classes"][1]["estimated"] == pytest.approx(by_hand)
    assert sum(row["estimated"] for row in areas["classes"]) == pytest.approx(0.01 * SIDE * SIDE)


def test_without_areas_the_figures_are_the_same(evaluate, tmp_path):
    evaluate()
    evaluate(out=str(tmp_path / "quick"), areas=False)
    whole, quick = read_report(tmp_path / "report"), read_report(tmp_path / "quick")
    assert quick["areas"] is None
    assert quick["figures"] == whole["figures"]
    assert quick["calibration"] == whole["calibration"]


def test_labels_where_the_model_was_trained_are_told_apart(evaluate, scene, bundle, tmp_path):
    recorder = Recorder()
    evaluate(recorder, labels=str(scene.labels))
    report = read_report(tmp_path / "report")
    assert 0 < report["outside_training"]["pixels"] < report["figures"]["pixels"]
    assert "lie in places where the model was trained" in recorder.warnings
    learnt = json.loads((bundle / "model.json").read_text())["training"]["pixels"]
    assert report["figures"]["pixels"] - report["outside_training"]["pixels"] >= sum(learnt.values())


def test_without_a_record_of_the_split_the_same_labels_are_still_told(evaluate, scene, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "m")
    (tmp_path / "m" / "split.gpkg").unlink()
    recorder = Recorder()
    evaluate(recorder, model=str(tmp_path / "m"), labels=str(scene.labels), areas=False)
    assert "trained on these very labels" in recorder.warnings
    assert read_report(tmp_path / "report")["outside_training"] is None


def test_classes_are_matched_by_name_and_unknown_ones_counted_and_named(evaluate, tmp_path):
    # Texts of polygons are numbered in the order of their names: here woods is 3, in the model 2.
    write_polygons(tmp_path / "more.gpkg", [*BOXES, (34, 4, 5, 6, "sea")])
    recorder = Recorder()
    evaluate(recorder, labels=str(tmp_path / "more.gpkg"), areas=False)
    report = read_report(tmp_path / "report")
    assert report["left_out"]["unknown_classes"] == [{"name": "sea", "pixels": 30}]
    assert "'sea' (30 pixels)" in recorder.warnings
    evaluate(out=str(tmp_path / "without"), areas=False)
    assert report["figures"] == read_report(tmp_path / "without")["figures"]


def test_a_raster_of_values_is_matched_by_value(evaluate, tmp_path):
    with rasterio.open(
        tmp_path / "values.tif", "w", driver="GTiff", dtype="uint8", count=1, width=SIDE, height=SIDE,
        crs="EPSG:32631", transform=TRANSFORM, nodata=0,
    ) as target:  # fmt: skip
        target.write(reference().astype(np.uint8), 1)
    recorder = Recorder()
    evaluate(recorder, labels=str(tmp_path / "values.tif"), class_field=None, areas=False)
    evaluate(out=str(tmp_path / "polygons"), areas=False)
    assert read_report(tmp_path / "report")["figures"] == read_report(tmp_path / "polygons")["figures"]
    assert "was taken as 'woods'" in recorder.warnings


def with_a_hole(scene, folder, rows, columns):
    """The scene without data in a window, on all dates."""
    folder.mkdir()
    for path in scene.folder.glob("*.tif"):
        with rasterio.open(path) as source:
            values = source.read()
            values[:, rows, columns] = 0
            write_frame(folder / path.name, dict(zip(source.descriptions, values, strict=True)))
    return folder


def test_labels_without_data_count_nowhere_and_are_told(evaluate, scene, tmp_path):
    holed = with_a_hole(scene, tmp_path / "holed", slice(66, 74), slice(4, 12))
    recorder = Recorder()
    evaluate(recorder, series=str(holed))
    report = read_report(tmp_path / "report")
    assert report["left_out"]["no_data"] == 64
    assert "64 labelled pixels lie where no date has data" in recorder.warnings
    assert report["figures"]["pixels"] == (reference() > 0).sum() - 64
    assert report["areas"]["mapped_total"] == pytest.approx(0.01 * (SIDE * SIDE - 64))


def test_several_places_are_judged_together_each_with_its_map_of_errors(evaluate, scene, labels, tmp_path):
    rows = ["place,path,date"] + [
        f"{place},{path},{path.stem[3:7]}-{path.stem[7:9]}-{path.stem[9:]}"
        for place in ("the north", "south")
        for path in sorted(scene.folder.glob("*.tif"))
    ]
    (tmp_path / "places.csv").write_text("\n".join(rows))
    evaluate(series=str(tmp_path / "places.csv"))
    evaluate(out=str(tmp_path / "one"))
    both, one = read_report(tmp_path / "report"), read_report(tmp_path / "one")
    doubled = 2 * np.array(one["figures"]["confusion_matrix"])
    np.testing.assert_array_equal(both["figures"]["confusion_matrix"], doubled)
    assert both["areas"]["mapped_total"] == pytest.approx(2 * one["areas"]["mapped_total"])
    files = sorted(path.name for path in (tmp_path / "report").glob("*.tif"))
    assert files == ["errors-1-south.tif", "errors-2-the_north.tif"]
    evaluate(series=str(tmp_path / "places.csv"), overwrite=True)


def test_a_series_of_fewer_dates_than_the_model_learnt_from_is_told(evaluate, scene, tmp_path):
    recorder = Recorder()
    series = [str(path) for path in sorted(scene.folder.glob("*.tif"))[:3]]
    evaluate(recorder, series=series, areas=False)
    assert "The series has 3 dates; model 'woods' was trained on 4" in recorder.warnings
    assert any("has 3 dates" in note for note in read_report(tmp_path / "report")["notes"])


def refused(kind, code, call, tmp_path, *named):
    """The call fails with this error, whose sentence names the culprit, and leaves nothing behind."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code == code
    assert caught.value.action
    for word in named:
        assert word in caught.value.message
    assert sorted(tmp_path.rglob("*")) == before


def test_labels_of_other_classes_are_refused(evaluate, tmp_path):
    write_polygons(tmp_path / "other.gpkg", [(0, 0, 9, 9, "lake"), (20, 20, 9, 9, "sea")])
    call = lambda: evaluate(labels=str(tmp_path / "other.gpkg"))  # noqa: E731
    refused(LabelError, "classes_unknown", call, tmp_path, "other.gpkg", "lake, sea", "field, woods")


def test_labels_elsewhere_are_refused(evaluate, tmp_path):
    write_polygons(tmp_path / "far.gpkg", [(900, 900, 40, 40, "woods"), (990, 990, 40, 40, "field")])
    call = lambda: evaluate(labels=str(tmp_path / "far.gpkg"))  # noqa: E731
    refused(LabelError, "labels_elsewhere", call, tmp_path, "far.gpkg")


def test_labels_where_nothing_has_data_are_refused(evaluate, scene, tmp_path):
    write_polygons(tmp_path / "few.gpkg", [(0, 0, 4, 4, "field"), (0, 6, 4, 4, "woods")])
    holed = with_a_hole(scene, tmp_path / "holed", slice(0, 12), slice(0, 12))
    call = lambda: evaluate(series=str(holed), labels=str(tmp_path / "few.gpkg"))  # noqa: E731
    refused(LabelError, "labels_without_data", call, tmp_path, "few.gpkg")


def test_a_folder_that_is_no_model_is_refused(evaluate, tmp_path):
    (tmp_path / "thing").mkdir()
    refused(BundleError, "bundle_missing", lambda: evaluate(model=str(tmp_path / "thing")), tmp_path, "thing")


def test_a_model_that_knows_no_classes_is_refused(evaluate, bundle, card, tmp_path):
    shutil.copytree(bundle, tmp_path / "m")
    (tmp_path / "m" / "model.json").write_text(json.dumps(card | {"classes": []}))
    call = lambda: evaluate(model=str(tmp_path / "m"))  # noqa: E731
    refused(BundleError, "bundle_without_classes", call, tmp_path, "woods")


def test_a_report_is_not_overwritten_unasked(evaluate, tmp_path):
    evaluate(areas=False)
    refused(OutputError, "output_exists", evaluate, tmp_path, "report")
    evaluate(areas=False, overwrite=True)


def test_a_folder_of_the_analyst_is_never_replaced(evaluate, tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.docx").touch()
    refused(OutputError, "output_not_report", lambda: evaluate(overwrite=True), tmp_path, "thesis.docx")


def test_a_missing_class_field_is_told_with_the_fields_there_are(evaluate, tmp_path):
    refused(LabelError, "class_field_missing", lambda: evaluate(class_field=None), tmp_path, "kind")


def test_a_cancelled_evaluation_leaves_nothing(evaluate, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Cancelled):
        evaluate(Recorder(stop_after=1))
    assert sorted(tmp_path.rglob("*")) == before


def test_every_refusal_says_what_to_do(evaluate):
    with pytest.raises(TimoError) as caught:
        evaluate(labels="nowhere.gpkg")
    assert caught.value.action


def test_the_command_prints_its_figures_and_takes_no_areas(scene, bundle, labels, tmp_path):
    run = timo(
        "evaluate", "--series", scene.folder, "--model", bundle, "--labels", labels, "--class-field", "kind",
        "--out", tmp_path / "report", "--no-areas", "--json",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert summary["report"] == str(tmp_path / "report" / "index.html")
    assert summary["areas"] is None
    assert summary["pixels"] == (reference() > 0).sum()


def test_a_training_has_its_page(bundle):
    page = Page(training_page(bundles.load_card(bundle)))
    assert "Training of 'woods'" in page.text
    assert "The model learnt for 6 epochs" in page.text
    assert len(page.plots()) == 3


def score(labels, maps):
    """The confusion matrix of maps where labels are."""
    pairs = [(one[one > 0], other[one > 0]) for one, other in zip(labels, maps, strict=True)]
    truth, found = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return metrics.confusion_matrix(truth, found, labels=[1, 2])


def test_a_model_of_every_date_is_judged_on_every_date(scene, evaluate, tmp_path):
    days = [f"{date[:4]}-{date[4:6]}-{date[6:]}" for date in DATES]
    boxes = [
        (row + 4, column + 4, "green" if row // 32 % 2 or t in (1, 2) else "bare", t)
        for t in range(4) for row in range(0, SIDE, 32) for column in range(0, SIDE, 32)
    ]  # fmt: skip
    labels, shapes = np.zeros((4, SIDE, SIDE), int), []
    for row, column, kind, t in boxes:
        labels[t, row : row + 20, column : column + 20] = 1 if kind == "bare" else 2
        left, top = TRANSFORM @ (column, row)
        shapes.append(shapely.to_wkb(shapely.box(left, top - 200, left + 200, top)))
    path = tmp_path / "dated.gpkg"
    fields = [np.array([one[2] for one in boxes], object), np.array([days[one[3]] for one in boxes], object)]
    pyogrio.raw.write(
        path, np.array(shapes, object), fields, ["kind", "day"], geometry_type="Polygon", crs="EPSG:32631"
    )
    scene.finetune(tmp_path / "m", labels=str(path), per_date=True, date_field="day", epochs=2)
    scene.predict(tmp_path / "m", tmp_path / "map.tif", per_date=str(tmp_path / "maps"))
    recorder = Recorder()
    evaluate(recorder, model=str(tmp_path / "m"), labels=str(path), date_field="day")
    report = read_report(tmp_path / "report")
    maps = [read(one) for one in sorted((tmp_path / "maps").glob("*.tif"))]
    np.testing.assert_array_equal(report["figures"]["confusion_matrix"], score(labels, maps))
    files = sorted(one.name for one in (tmp_path / "report").glob("*.tif"))
    assert files == [f"errors_{day}.tif" for day in days]
    for one, mapped, truth in zip(files, maps, labels, strict=True):
        expected = np.where(truth > 0, mapped != truth, 255)
        np.testing.assert_array_equal(read(tmp_path / "report" / one), expected)
    assert report["areas"] is None
    assert "makes a map for every date" in recorder.warnings
    evaluate(model=str(tmp_path / "m"), labels=str(path), date_field="day", overwrite=True)


def test_a_classifier_of_chips_is_judged_by_the_map_that_it_makes(scene, evaluate, tmp_path):
    scene.finetune(tmp_path / "m", classify="chips", epochs=2, chip=32)
    scene.predict(tmp_path / "m", tmp_path / "map.tif")
    evaluate(model=str(tmp_path / "m"), areas=False)
    expected = score([reference()], [read(tmp_path / "map.tif")])
    np.testing.assert_array_equal(read_report(tmp_path / "report")["figures"]["confusion_matrix"], expected)


def test_a_date_field_for_a_model_of_the_whole_series_is_refused(evaluate, tmp_path):
    refused(SpecError, "date_field_unused", lambda: evaluate(date_field="day"), tmp_path, "day", "woods")
