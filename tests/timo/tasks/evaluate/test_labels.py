# SPDX-License-Identifier: GPL-3.0-or-later
"""Which labels count, what is told about them, and what is refused."""

import json
import shutil

import numpy as np
import pytest
import rasterio

from tests.scenes import SIDE, TRANSFORM, write_polygons
from tests.timo.tasks.evaluate.judged import BOXES, Recorder, read_report, reference, with_a_hole
from tests.timo.tasks.refusals import refused
from timo.errors import BundleError, Cancelled, LabelError, OutputError, SpecError, TimoError


def test_labels_where_the_model_was_trained_are_told_apart(evaluate, scene, bundle, tmp_path):
    recorder = Recorder()
    evaluate(recorder, labels=str(scene.labels))
    report = read_report(tmp_path / "report")
    assert 0 < report["outside_training"]["pixels"] < report["figures"]["pixels"]
    assert "lie in places where the model was trained: it has seen their answers" in recorder.warnings
    assert (
        f"only the other {report['outside_training']['pixels']:,} tell".replace(",", "\u202f")
        in recorder.warnings
    )
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


def test_codes_are_matched_by_the_names_that_they_are_given(evaluate, tmp_path):
    codes = {"woods": "w", "field": "f"}
    write_polygons(tmp_path / "codes.gpkg", [(*box, codes.get(name, name)) for *box, name in BOXES])
    names = ["w=Woods", "f=field"]
    evaluate(labels=str(tmp_path / "codes.gpkg"), names=names, areas=False)
    evaluate(out=str(tmp_path / "by names"), areas=False)
    assert read_report(tmp_path / "report")["figures"] == read_report(tmp_path / "by names")["figures"]


def test_a_name_that_the_model_does_not_know_leaves_the_code_as_it_is(evaluate, tmp_path):
    evaluate(names=["woods=Broad-leaved forest"], areas=False)
    evaluate(out=str(tmp_path / "as they are"), areas=False)
    assert read_report(tmp_path / "report")["figures"] == read_report(tmp_path / "as they are")["figures"]


def test_labels_without_data_count_nowhere_and_are_told(evaluate, scene, tmp_path):
    holed = with_a_hole(scene, tmp_path / "holed", slice(66, 74), slice(4, 12))
    recorder = Recorder()
    evaluate(recorder, series=str(holed))
    report = read_report(tmp_path / "report")
    assert report["left_out"]["no_data"] == 64
    assert "64 labelled pixels lie where no date has data" in recorder.warnings
    assert report["figures"]["pixels"] == (reference() > 0).sum() - 64
    assert report["areas"]["mapped_total"] == pytest.approx(0.01 * (SIDE * SIDE - 64))


def test_a_series_of_fewer_dates_than_the_model_learnt_from_is_told(evaluate, scene, tmp_path):
    recorder = Recorder()
    series = [str(path) for path in sorted(scene.folder.glob("*.tif"))[:3]]
    evaluate(recorder, series=series, areas=False)
    assert "The series has 3 dates; model 'woods' was trained on 4" in recorder.warnings
    assert any("has 3 dates" in note for note in read_report(tmp_path / "report")["notes"])


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


def test_a_date_field_for_a_model_of_the_whole_series_is_refused(evaluate, tmp_path):
    refused(SpecError, "date_field_unused", lambda: evaluate(date_field="day"), tmp_path, "day", "woods")
