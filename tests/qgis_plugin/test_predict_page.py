# SPDX-License-Identifier: GPL-3.0-or-later
"""The Predict page shows what a model is before it is used, and names each map anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QDialog, QInputDialog, QLabel

CARD = {
    "format": 1,
    "task": "segmentation",
    "name": "woods <b>2020</b>",
    "architecture": {"name": "timo_tiny"},
    "classes": [
        {"value": 3, "name": "oak", "color": "#228844"},
        {"value": 7, "name": "birch", "color": "#ddcc88"},
    ],
    "bands": [{"key": "blue", "name": "B2", "role": "blue"}, {"key": "x", "name": "x", "role": None}],
    "dates": {"count": 12, "first": "2020-01-15", "last": "2020-12-15", "minimum": 2},
    "chip": 32,
    "metrics": {"overall_accuracy": 0.931, "mean_iou": 0.8},
    "training": {
        "started_from": "random weights",
        "extents": [[25.3, 46.4, 25.5, 46.6]] + 3 * [[-1, -2, -1, -2]],
    },
}


@pytest.fixture
def write_model(tmp_path):
    def write(folder_name, **changes):
        folder = tmp_path / "home" / "models" / folder_name
        folder.mkdir(parents=True)
        (folder / "model.json").write_text(json.dumps({**CARD, **changes}), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def page(dock, qtbot):
    return dock.predict


def shown(page):
    return [label.text() for label in page.card.findChildren(QLabel)]


def refresh(page, qtbot, count):
    page.refresh()
    qtbot.waitUntil(lambda: page.models.count() == count)


def test_card_shows_classes_bands_dates_accuracy_and_origin(write_model, page, qtbot):
    write_model("woods")
    refresh(page, qtbot, 1)
    text = " | ".join(shown(page))
    for part in (
        "oak",
        "birch",
        "blue, x",
        "12, from 2020-01-15 to 2020-12-15",
        "93.1 %",
        "from random weights",
        "25.40°E,46.50°N",
        "and 1 more",
    ):
        assert part in text


def test_place_across_the_date_line_is_told_and_a_broken_one_is_left_out(write_model, page, qtbot):
    training = {"extents": [[179.8, -18.1, -178.2, -17.9], [None, 1, 2, 3]]}
    write_model("woods", training=training)
    refresh(page, qtbot, 1)
    assert "179.20°W,18.00°S" in shown(page)


def test_models_are_listed_newest_first_and_the_last_used_is_chosen(write_model, page, qtbot):
    write_model("a", name="a")
    refresh(page, qtbot, 1)
    write_model("b", name="b")
    refresh(page, qtbot, 2)
    assert page.model().name == "a"


def test_damaged_model_is_named_and_cannot_be_used(write_model, page, qtbot, tmp_path):
    folder = write_model("woods")
    (folder / "model.json").write_text("{}", encoding="utf-8")
    refresh(page, qtbot, 1)
    assert page.model().problem
    assert any("model.json" in text for text in shown(page))


def test_model_of_another_folder_is_kept(write_model, page, qtbot, tmp_path):
    folder = write_model("woods")
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    page.choose(str(elsewhere))
    qtbot.waitUntil(lambda: page.model() is not None)
    assert page.shared.settings.bundles == [str(elsewhere)]
    assert page.model().folder == elsewhere


def test_model_that_is_gone_is_said_and_no_other_is_taken_for_it(write_model, page, qtbot, tmp_path):
    from timo_qgis.backend.link_state import LinkState

    write_model("woods")
    refresh(page, qtbot, 1)
    page.shared.backend._on_state(LinkState("ready"))
    gone = str(tmp_path / "home" / "models" / "oaks")
    page.choose(gone)
    assert page.model() is None
    qtbot.waitUntil(lambda: gone in page.footer_row.reason.text())
    assert not page.footer_row.button.isEnabled()
    write_model("birches")
    refresh(page, qtbot, 2)
    assert page.model() is None
    page.models.setCurrentIndex(0)
    assert page.model() is not None and gone not in page.footer_row.reason.text()


def test_model_that_is_used_is_the_one_at_the_next_start_and_the_estimate_of_the_last_goes(
    write_model, page, qtbot
):
    from timo_qgis.settings import Settings

    write_model("woods", name="woods")
    refresh(page, qtbot, 1)
    forgotten = []
    page.estimate.forget = lambda: forgotten.append(page.model())
    oaks = write_model("oaks", name="oaks")
    page.choose(str(oaks))
    assert page.model() is None and forgotten == [None]
    qtbot.waitUntil(lambda: page.model() is not None)
    assert page.model().name == "oaks" and forgotten[-1] is page.model()
    assert Settings.load().bundle == str(oaks)


def test_model_that_is_renamed_stays_chosen(write_model, page, qtbot, monkeypatch):
    write_model("woods", name="woods")
    write_model("oaks", name="oaks")
    refresh(page, qtbot, 2)
    page.models.setCurrentText("woods")
    page.manage.click()
    dialog = page.window().findChild(QDialog, "timoModels")
    qtbot.waitUntil(lambda: dialog.list.count() == 2)
    dialog.list.setCurrentItem(dialog.list.findItems("woods", Qt.MatchFlag.MatchExactly)[0])
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("ashes", True))
    dialog.rename.click()
    qtbot.waitUntil(lambda: page.model() is not None and page.model().name == "ashes")
    dialog.reject()


def test_map_gets_a_name_that_is_free(write_model, page, qtbot, tmp_path):
    write_model("woods")
    refresh(page, qtbot, 1)
    first = Path(page.out.filePath())
    assert first.parent == tmp_path / "home" / "results"
    first.parent.mkdir()
    first.write_bytes(b"")
    page.refresh()
    qtbot.waitUntil(lambda: page.out.filePath() != str(first))
    assert Path(page.out.filePath()).name == f"{first.stem}-2.tif"


@pytest.mark.parametrize(
    ("out", "word"), [("", "Name the map"), ("map.tif", "full path"), ("/tmp/map.png", ".tif")]
)
def test_output_that_cannot_be_is_refused_before_the_click(write_model, page, qtbot, out, word):
    write_model("woods")
    refresh(page, qtbot, 1)
    page.out.setFilePath(out)
    assert word in page.out.why_not()


def test_button_beside_the_reason_leads_to_where_it_can_be_mended(write_model, page, dock, add_raster, qtbot):
    from timo_qgis.backend.link_state import LinkState

    dock.tabs.setCurrentWidget(page)
    page.shared.backend._on_state(LinkState("ready"))
    remedy = page.footer_row.remedy
    assert "on the Series page" in page.footer_row.reason.text()
    remedy.click()
    assert dock.tabs.currentWidget() is dock.series
    add_raster("S2_20200115.tif")
    qtbot.waitUntil(lambda: len(dock.series.rows) == 1)
    dock.series.model.tick([0], True)
    dock.tabs.setCurrentWidget(page)
    qtbot.waitUntil(lambda: "Train a model" in page.footer_row.reason.text())
    remedy.click()
    assert dock.tabs.currentWidget() is dock.train
    write_model("woods", bands=[{"name": "blue", "role": "blue"}], dates={"count": 1})
    refresh(page, qtbot, 1)
    qtbot.waitUntil(page.footer_row.button.isEnabled)
    assert remedy.isHidden()


@pytest.fixture
def ready(write_model, page, dock, add_raster, qtbot):
    """The page, with all that a map needs."""
    from timo_qgis.backend.link_state import LinkState

    write_model("woods", bands=[{"name": "blue", "role": "blue"}], dates={"count": 1})
    refresh(page, qtbot, 1)
    page.shared.backend._on_state(LinkState("ready"))
    add_raster("S2_20200115.tif")
    qtbot.waitUntil(lambda: len(dock.series.rows) == 1)
    dock.series.model.tick([0], True)
    qtbot.waitUntil(page.footer_row.button.isEnabled)
    return page


def test_map_that_exists_gets_a_free_name_by_a_button(page, ready, tmp_path):
    (tmp_path / "mine.tif").touch()
    page.out.setFilePath(str(tmp_path / "mine.tif"))
    assert "mine.tif exists already" in page.footer_row.reason.text()
    page.footer_row.remedy.click()
    assert Path(page.out.filePath()) == tmp_path / "mine-2.tif"
    assert page.footer_row.button.isEnabled() and page.footer_row.remedy.isHidden()


def test_what_an_earlier_map_left_is_named_before_the_click(page, ready, tmp_path):
    boxes = page.outputs._boxes
    (tmp_path / "mine-confidence.tif").touch()
    (tmp_path / "mine-2-polygons.gpkg").touch()
    page.out.setFilePath(str(tmp_path / "mine.tif"))
    assert "mine-confidence.tif exists already" in page.footer_row.reason.text()
    assert not page.footer_row.button.isEnabled() and not page.estimate.button.isEnabled()
    boxes["confidence"].setChecked(False)  # then it is in nobody's way
    assert page.footer_row.button.isEnabled()
    boxes["confidence"].setChecked(True)
    page.footer_row.remedy.click()
    assert Path(page.out.filePath()) == tmp_path / "mine-3.tif"  # whatever is ticked later
    boxes["polygons"].setChecked(True)
    assert page.footer_row.button.isEnabled()


def test_folder_that_is_not_there_is_named_and_made_by_a_button(page, ready, tmp_path):
    page.out.setFilePath(str(tmp_path / "maps" / "2020" / "mine.tif"))
    assert f"no folder {tmp_path / 'maps' / '2020'}" in page.footer_row.reason.text()
    assert not page.footer_row.button.isEnabled()
    page.footer_row.remedy.click()
    assert (tmp_path / "maps" / "2020").is_dir() and page.footer_row.button.isEnabled()


def test_folder_that_cannot_be_made_is_said(page, ready, tmp_path, iface):
    (tmp_path / "maps").touch()
    page.out.setFilePath(str(tmp_path / "maps" / "2020" / "mine.tif"))
    page.footer_row.remedy.click()
    assert "cannot be written to" in iface.bar.currentItem().text()
    assert not page.footer_row.button.isEnabled()


def test_folder_that_cannot_be_written_to_is_refused_before_the_click(ready, tmp_path, monkeypatch):
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: access(path, mode) and not (path == tmp_path and mode & os.W_OK)
    )
    ready.out.setFilePath(str(tmp_path / "mine.tif"))
    assert f"{tmp_path} cannot be written to" in ready.footer_row.reason.text()
    assert not ready.footer_row.button.isEnabled() and ready.footer_row.remedy.text() == "Show the output"


def test_each_output_of_the_job_can_be_ticked_and_has_its_files_ending(package):
    from timo_qgis.gui.outputs_box import ENDINGS
    from timo_qgis.processing.definitions import OUTPUTS
    from timo_qgis.schema import parameters

    suffixes = dict(zip(OUTPUTS, (".tif", ".gpkg", "")))
    outputs = {p.name: suffixes[p.format] for p in parameters("predict") if p.format in OUTPUTS}
    assert outputs.pop("out") == ".tif"
    assert {name: Path(ending).suffix for name, ending in ENDINGS.items()} == outputs


def test_project_in_a_folder_that_cannot_be_written_to_gets_its_maps_elsewhere(
    write_model, page, qtbot, tmp_path, monkeypatch
):
    project = QgsProject.instance()
    project.setFileName(str(tmp_path / "project.qgz"))
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path))
    write_model("woods")
    refresh(page, qtbot, 1)
    assert Path(page.out.filePath()).parent == tmp_path / "home" / "results"
    project.setFileName("")


def test_other_number_of_dates_than_in_training_is_said(write_model, page, dock, add_raster, qtbot):
    write_model("woods", bands=CARD["bands"][:1])
    refresh(page, qtbot, 1)
    for month in (1, 2, 3):
        add_raster(f"S2_2020{month:02}15.tif")
    qtbot.waitUntil(lambda: len(dock.series.rows) == 3)
    dock.series.model.tick([0, 1, 2], True)
    qtbot.waitUntil(lambda: "3 dates" in page.fit.text() and "12" in page.fit.text())


def test_model_that_cannot_be_used_is_not_chosen_by_itself(write_model, page, qtbot):
    write_model("good", name="good")
    folder = write_model("bad")
    (folder / "model.json").write_text("{}", encoding="utf-8")
    refresh(page, qtbot, 2)
    assert page.model().name == "good"


def test_pretrained_model_is_not_offered_for_mapping(write_model, page, qtbot):
    from timo_qgis.models import read_model

    write_model("good", name="good")
    folder = write_model("pre", name="pre", task="pretraining", classes=[])
    refresh(page, qtbot, 1)
    assert page.model().name == "good"
    model = read_model(folder)
    assert not model.problem and "start a training" in model.why_not_map


def test_preparing_ends_with_a_sentence_whatever_went_wrong(write_model, page, qtbot, monkeypatch):
    from qgis.core import QgsCoordinateReferenceSystem

    def read():
        raise RuntimeError("the layer is gone")

    write_model("woods")
    refresh(page, qtbot, 1)
    monkeypatch.setattr(page, "why_not", lambda: "")
    monkeypatch.setattr(page._series, "write", lambda: "series.json")
    monkeypatch.setattr(page.area, "reader", lambda: (read, QgsCoordinateReferenceSystem()))
    page._prepare(lambda _spec: None)
    assert page._preparing
    qtbot.waitUntil(lambda: "the layer is gone" in page.footer_row.trouble)
    assert not page._preparing


def test_layers_removed_from_the_project_during_a_prediction_are_no_fault(
    page, ready, make_labels, add_raster, qtbot, monkeypatch, tmp_path
):
    from timo_qgis.backend.jobs import JobView

    sent = []
    monkeypatch.setattr(page.shared.backend, "submit", lambda _task, spec: sent.append(spec) or "key")
    make_labels([("a", (0, 0, 2, 2)), ("b", (4, 4, 6, 6))])
    page.area.choose("layer")
    page.out.setFilePath(str(tmp_path / "mine.tif"))
    page.footer_row.button.click()
    assert not sent, "the area is being written"
    QgsProject.instance().removeAllMapLayers()
    qtbot.waitUntil(lambda: bool(sent))
    assert "S2_20200115.tif" in Path(sent[0]["series"][0]).read_text(encoding="utf-8")
    assert QgsVectorLayer(sent[0]["aoi"], "area", "ogr").featureCount() == 2
    page.follower._key = ""
    qtbot.waitUntil(lambda: "Series page" in page.footer_row.reason.text())
    for state in ("running", "succeeded"):
        page.follower.changed.emit(JobView("a", task="predict", state=state, spec=sent[0]))
    assert page.box.job.state == "succeeded" and not page.footer_row.trouble


@pytest.mark.parametrize(
    ("name", "bare"), [("forest-2020", "forest-2020"), ("forest-2020-2", "forest-2020"), ("a-12", "a")]
)
def test_year_of_a_name_is_no_counter(package, name, bare):
    from timo_qgis.layers.sources import without_number

    assert without_number(name) == bare
