# SPDX-License-Identifier: GPL-3.0-or-later
"""The Train page says what it will learn from, and why it cannot begin."""

from __future__ import annotations

import pytest
from osgeo import ogr
from qgis.core import QgsProject
from qgis.PyQt.QtWidgets import QTreeWidget, QWidget

ROWS = [("oak", (0, 0, 2, 2)), ("oak", (2, 0, 4, 2)), ("birch", (0, 4, 2, 6))]


@pytest.fixture
def ready(dock, connected):
    """The dock as if the backend were there: nothing is sent to it."""
    return dock


def shown(page):
    tree = page.findChild(QTreeWidget, "timoTrainClasses")
    return {
        tree.topLevelItem(n).text(0): tree.topLevelItem(n).text(1) for n in range(tree.topLevelItemCount())
    }


def tick(dock, qtbot, count):
    qtbot.waitUntil(lambda: len(dock.series.rows) == count)
    dock.series.model.tick(list(range(count)), True)


def test_classes_of_the_layer_are_counted_before_the_run(ready, make_labels, qtbot):
    make_labels(ROWS)
    qtbot.waitUntil(lambda: shown(ready.train) == {"oak": "2", "birch": "1"})
    assert ready.train.labels.field.currentField() == "class"


def test_counts_follow_the_layers_edits(ready, make_labels, qtbot):
    layer = make_labels(ROWS)
    qtbot.waitUntil(lambda: shown(ready.train) == {"oak": "2", "birch": "1"})
    layer.startEditing()
    layer.deleteFeature(next(layer.getFeatures()).id())
    qtbot.waitUntil(lambda: shown(ready.train) == {"oak": "1", "birch": "1"})
    layer.rollBack()


def test_selected_features_can_be_taken_alone(ready, make_labels, qtbot):
    layer = make_labels(ROWS)
    assert not ready.train.labels.selected.isEnabled()
    layer.selectByExpression("\"class\" = 'oak'")
    qtbot.waitUntil(ready.train.labels.selected.isEnabled)
    ready.train.labels.selected.setChecked(True)
    qtbot.waitUntil(lambda: shown(ready.train) == {"oak": "2"})
    assert "selected" in ready.train.labels.hint.text()


def test_reasons_come_in_the_order_of_the_work(ready, twelve_dates, make_labels, qtbot):
    page = ready.train
    assert "Tick the dated layers" in page.why_not()
    tick(ready, qtbot, 12)
    qtbot.waitUntil(lambda: "Add a layer of polygons" in page.why_not())
    make_labels([("oak", (0, 0, 2, 2))])
    qtbot.waitUntil(lambda: "two classes" in page.why_not())
    make_labels(ROWS, name="better")
    page.labels.layers.setLayer(QgsProject.instance().mapLayersByName("better")[0])
    qtbot.waitUntil(lambda: page.why_not() == "")
    assert page.footer_row.button.isEnabled()


def test_one_date_is_enough_for_land_cover_and_too_few_for_what_change_tells(
    ready, twelve_dates, make_labels, qtbot
):
    page = ready.train
    tick(ready, qtbot, 12)
    ready.series.model.tick(list(range(1, 12)), False)
    make_labels(ROWS)
    page.form.set_values({"preset": "land_cover"})
    qtbot.waitUntil(lambda: page.why_not() == "")
    assert ready.series.date_count() == 1
    assert "One date can do for land cover" in ready.series.problems.text()
    page.form.set_values({"preset": "deforestation"})
    qtbot.waitUntil(lambda: "at least two dated layers" in page.why_not())


@pytest.mark.parametrize("name", ["", "a/b", "../x", "with space"])
def test_name_that_is_no_folder_name_is_refused_before_the_click(ready, make_labels, name):
    make_labels(ROWS)
    ready.train.name.setText(name)
    assert "name" in ready.train._why_not_name()


def test_name_of_a_model_that_is_there_is_refused(ready, make_labels, tmp_path):
    make_labels(ROWS)
    (tmp_path / "home" / "models" / "woods").mkdir(parents=True)
    ready.train.name.setText("woods")
    assert "already" in ready.train._why_not_name()


def job(ready, **values):
    from timo_qgis.backend.jobs import JobView

    out = ready.shared.settings.home_folder / "models" / "woods"
    return JobView(**{"id": "a", "task": "finetune", "state": "running", "spec": {"out": str(out)}, **values})


def test_name_of_a_model_that_a_job_trains_is_refused(ready, make_labels):
    make_labels(ROWS)
    ready.train.name.setText("woods")
    assert ready.train._why_not_name() == ""
    ready.shared.backend._on_jobs([job(ready)])
    assert "A job trains a model 'woods' already" in ready.train._why_not_name()
    ready.shared.backend._on_jobs([job(ready, state="failed")])
    assert ready.train._why_not_name() == ""


def test_next_model_gets_a_name_like_the_one_that_was_typed(ready, twelve_dates, make_labels, qtbot):
    page = ready.train
    tick(ready, qtbot, 12)
    make_labels(ROWS)
    page.name.setText("woods")
    page._submit({"out": job(ready).spec["out"]})
    ready.shared.backend._on_jobs([job(ready)])
    ready.shared.backend._on_answer(page.follower._key, {"job": "a"})
    assert page.name.text() == "woods-2"


def test_classes_without_colours_show_those_that_the_map_will_have(ready, make_labels, qtbot):
    make_labels([("forest", (0, 0, 2, 2)), ("birch", (0, 4, 2, 6))])
    qtbot.waitUntil(lambda: len(shown(ready.train)) == 2)
    assert ready.train.labels.colors() == {"birch": "#009e73", "forest": "#1b7837"}


def test_what_the_backend_refuses_is_said_until_something_changes(ready, twelve_dates, make_labels, qtbot):
    page = ready.train
    tick(ready, qtbot, 12)
    make_labels(ROWS)
    qtbot.waitUntil(lambda: page.why_not() == "")
    page.follower._key = "key"
    ready.shared.backend.refused.emit("key", {"message": "Task 'finetune': no.", "action": "Correct it."})
    assert page.footer_row.reason.text() == "Task 'finetune': no. Correct it."
    assert page.footer_row.button.isEnabled()
    page.findChild(QWidget, "timoTrain_epochs").setValue(3)
    assert page.footer_row.reason.text() == ""


def test_layer_that_is_removed_is_no_longer_the_labels(ready, make_labels, qtbot):
    layer = make_labels(ROWS)
    qtbot.waitUntil(lambda: shown(ready.train) != {})
    QgsProject.instance().removeMapLayer(layer.id())
    qtbot.waitUntil(lambda: shown(ready.train) == {})
    assert ready.train.labels.layers.currentLayer() is None


def test_labels_removed_while_they_are_copied_and_learnt_from_are_no_fault(
    ready, make_labels, twelve_dates, qtbot, monkeypatch
):
    page, sent = ready.train, []
    monkeypatch.setattr(ready.shared.backend, "submit", lambda _task, spec: sent.append(spec) or "key")
    layer = make_labels(ROWS)
    tick(ready, qtbot, 12)
    qtbot.waitUntil(lambda: page.why_not() == "")
    page.footer_row.button.click()
    QgsProject.instance().removeMapLayers([layer.id(), *(raster.id() for raster in twelve_dates)])
    qtbot.waitUntil(lambda: bool(sent))
    assert ogr.Open(sent[0]["labels"]).GetLayer(0).GetFeatureCount() == 3
    page.follower.changed.emit(job(ready, spec=sent[0]))
    ended = {"classes": [{"value": 1, "name": "oak", "color": "#228844"}], "confusion": [[1]]}
    page.follower.changed.emit(job(ready, spec=sent[0], state="succeeded", summary=ended))
    assert page.box.job.state == "succeeded" and not page.footer_row.trouble


def test_name_that_is_taken_is_made_free_by_a_button(ready, make_labels, twelve_dates, qtbot, tmp_path):
    make_labels(ROWS)
    tick(ready, qtbot, 12)
    (tmp_path / "home" / "models" / "wood").mkdir(parents=True)
    qtbot.waitUntil(ready.train.footer_row.button.isEnabled)
    ready.train.name.setText("wood")
    assert "There is a model 'wood' already" in ready.train.footer_row.reason.text()
    ready.train.footer_row.remedy.click()
    assert ready.train.name.text() == "wood-2"
    assert ready.train.footer_row.button.isEnabled()
