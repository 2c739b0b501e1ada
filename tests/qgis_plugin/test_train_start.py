# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training starts from is said, and nobody is left to think that weights come with TiMo."""

from __future__ import annotations

import json

import pytest
from qgis.PyQt.QtWidgets import QComboBox, QDialog, QLabel, QWidget


def write(home, name, **changes):
    card = {
        "task": "segmentation",
        "name": name,
        "architecture": {"name": "timo_small"},
        "classes": [{"value": 1, "name": "oak", "color": "#112233"}, {"value": 2, "name": "birch"}],
        "bands": [{"key": "red", "name": "B04", "role": "red"}, {"key": "nir", "name": "B08", "role": "nir"}],
        "dates": {"count": 5, "first": "2019-01-01", "last": "2019-12-01"},
        "training": {"started_from": "random weights"},
        **changes,
    }
    folder = home / "models" / name
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    write(home, "woods")
    write(home, "pre", task="pretraining", classes=[])
    write(home, "radar", bands=[{"key": "vv", "name": "vv", "role": "vv"}])
    (home / "models" / "broken").mkdir()
    (home / "models" / "broken" / "model.json").write_text("{")
    return home


@pytest.fixture
def page(home, dock, twelve_dates, qtbot):
    qtbot.waitUntil(lambda: len(dock.series.rows) == 12)
    dock.series.model.tick(list(range(12)), True)
    qtbot.waitUntil(lambda: combo(dock.train).count() == 4)
    return dock.train


def combo(page):
    return page.findChild(QComboBox, "timoTrainStart")


def choose(page, name):
    combo(page).setCurrentIndex(combo(page).findText(name))


def told(page):
    return page.findChild(QLabel, "timoTrainStartTold").text()


def test_model_that_is_renamed_is_started_from_still(page, home, dock, qtbot, monkeypatch):
    from qgis.PyQt.QtWidgets import QApplication, QInputDialog
    from timo_qgis.gui.models_dialog import ModelsDialog

    choose(page, "woods")
    dock.predict.manage.click()
    (dialog,) = (one for one in QApplication.topLevelWidgets() if isinstance(one, ModelsDialog))
    qtbot.waitUntil(lambda: dialog.list.count() == 4)
    dialog.list.setCurrentRow(next(n for n in range(4) if dialog.list.item(n).text() == "woods"))
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("oaks", True))
    dialog.rename.click()
    qtbot.waitUntil(lambda: combo(page).currentText() == "oaks")
    assert page.start.values()["from"] == str(home / "models" / "oaks") and page.start.why_not() == ""
    dialog.reject()


def test_nothing_is_the_default_and_is_called_random(page):
    assert combo(page).currentText() == "Nothing: random weights"
    assert "no pre-trained weights are published" in told(page)
    assert page.start.values() == {}
    assert page.findChild(QWidget, "timoTrain_learn").isHidden() or not page.start.learn.isVisible()


def test_model_says_what_it_learnt_and_goes_into_the_job(page, home):
    choose(page, "woods")
    assert told(page) == (
        "Learnt oak, birch on 5 dates from 2019-01-01 to 2019-12-01, from random weights. "
        "Its size stays: Small."
    )
    assert page.start.values() == {"from": str(home / "models" / "woods")}
    learn = page.findChild(QComboBox, "timoTrain_learn")
    learn.setCurrentIndex(learn.findText("The head alone"))
    assert page.start.values()["learn"] == "head"
    choose(page, "Nothing: random weights")
    assert page.start.values() == {}


def test_pre_trained_model_can_be_started_from_and_says_so(page):
    choose(page, "pre")
    assert told(page).startswith("Pre-trained without labels on 5 dates")


def test_model_of_other_bands_cannot_be_picked(page):
    row = combo(page).findText("radar (other bands)")
    assert row > 0 and not combo(page).model().item(row).isEnabled()
    combo(page).setCurrentIndex(row)
    assert "none of the series' bands" in page.start.why_not()


def test_model_whose_bands_are_called_otherwise_can_be_picked_if_they_measure_the_same(page, home, qtbot):
    write(home, "stac", bands=[{"key": "swir2", "name": "swir2", "role": "swir2"}])
    page.start.refresh()
    qtbot.waitUntil(lambda: combo(page).findText("stac (other bands)") > 0)
    series = page._series
    series.fixes.map_bands([row.layer_id for row in series.rows])
    dialog = series.findChild(QDialog, "timoSeriesBands")
    box = next(iter(dialog.boxes.values()))
    box.setCurrentIndex(box.findData("swir2"))
    dialog.accept()
    qtbot.waitUntil(lambda: combo(page).findText("stac") > 0)
    choose(page, "stac")
    assert page.start.why_not() == ""


def test_size_of_the_slider_does_not_count_for_a_model_that_has_its_own(page):
    from timo_qgis.gui.train_effort import STOPS

    choose(page, "woods")
    page.effort.slider.setValue(3)
    assert not page.effort.custom
    page.form.set_values({k: v for k, v in STOPS[3].values.items() if k != "model"})
    page._on_form()
    assert not page.effort.custom


def test_model_of_a_job_that_is_not_listed_yet_is_waited_for_and_never_replaced_by_random_weights(
    page, home, qtbot, tmp_path
):
    gone = str(home / "models" / "gone")
    page.take({"from": gone, "learn": "head", "out": "x"})
    assert "being looked for" in page.start.why_not()
    qtbot.waitUntil(lambda: "There is no model in" in page.start.why_not())
    assert gone in told(page) and combo(page).currentText() == ""
    assert page.start.values() == {"from": gone, "learn": "head"}
    write(home, "gone")
    page.start.refresh()
    qtbot.waitUntil(lambda: combo(page).currentText() == "gone")
    assert page.start.why_not() == "" and page.start.values() == {"from": gone, "learn": "head"}
    elsewhere = (home / "models" / "gone").rename(tmp_path / "elsewhere")
    page.take({"from": str(elsewhere), "out": "x"})
    qtbot.waitUntil(lambda: page.start.why_not() == "" and combo(page).currentText() == "gone")
    with qtbot.waitSignal(page.start.changed):
        page.start.choose(str(elsewhere))
    assert page.start.why_not() == ""
    page.take({"out": "x"})
    assert combo(page).currentText() == "Nothing: random weights" and page.start.values() == {}


def test_chosen_model_that_vanishes_is_said_until_another_is_picked(page, home, dock, qtbot):
    choose(page, "woods")
    dock.tabs.setCurrentWidget(dock.predict)
    (home / "models" / "woods").rename(home / "oaks")
    with qtbot.waitSignal(page.start.changed):
        dock.tabs.setCurrentWidget(page)
    assert "There is no model in" in page.start.why_not() and page.start.values()["from"].endswith("woods")
    choose(page, "Nothing: random weights")
    assert page.start.why_not() == "" and page.start.values() == {}


@pytest.mark.parametrize("task", ["finetune", "pretrain"])
def test_model_of_any_job_is_offered_at_once(page, home, dock, qtbot, task):
    from timo_qgis.backend.jobs import JobView

    write(home, "new")
    dock.shared.backend.jobs_changed.emit([JobView(id="a", task=task, state="succeeded", created=1.0)])
    qtbot.waitUntil(lambda: combo(page).findText("new") > 0)


def test_bands_of_the_series_are_known_before_the_start_is_judged(page, home, monkeypatch):
    from timo_qgis.backend.link_state import LinkState

    page.shared.backend._on_state(LinkState("ready"))
    choose(page, "woods")
    said = []
    monkeypatch.setattr(page.footer_row, "show_reason", lambda why: said.append(page.start._bands))
    monkeypatch.setattr(page._series, "bands", lambda: frozenset({"vv"}))
    page._series.changed.emit()
    assert said and set(said) == {frozenset({"vv"})}
