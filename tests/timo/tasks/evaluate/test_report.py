# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures, the page and the maps of errors that an evaluation leaves."""

import json
from xml.etree import ElementTree as ET

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from sklearn import metrics

from tests.scenes import DATES, SIDE, TRANSFORM
from tests.timo.report.pages import Page
from tests.timo.tasks.evaluate.judged import Recorder, read, read_report, reference, score
from tests.timo.test_cli import timo
from timo import bundle as bundles
from timo.report.training import training_page


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
