# SPDX-License-Identifier: GPL-3.0-or-later
"""One slider says how long a model may learn; whoever knows better changes the values under Advanced."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QSlider, QWidget


@pytest.fixture
def page(dock):
    return dock.train


def slider(page):
    return page.findChild(QSlider, "timoTrainEffort")


def words(page):
    return page.findChild(QLabel, "timoTrainEffortWords").text()


def test_untouched_page_is_balanced_and_leaves_all_to_the_backend(page):
    assert words(page).startswith("Balanced")
    assert page.form.values() == {}


def test_every_stop_sets_its_values_and_says_them(page, qtbot):
    from timo_qgis.gui.train_effort import STOPS

    for number, stop in enumerate(STOPS):
        slider(page).setValue(number)
        assert page.form.values() == dict(stop.values)
        assert words(page).startswith(stop.title) and stop.words in words(page)
    slider(page).setFocus()
    qtbot.keyClick(slider(page), Qt.Key.Key_Home)
    assert words(page).startswith("Fast look")


def test_every_stop_is_a_spec_that_the_schema_takes(package):
    from timo_qgis.gui.train_effort import KEYS, STOPS
    from timo_qgis.schema import parameters

    known = {p.name: p for p in parameters("finetune")}
    for stop in STOPS:
        assert set(stop.values) <= set(KEYS)
        for name, value in stop.values.items():
            parameter = known[name]
            assert value in parameter.choices or parameter.minimum <= value <= parameter.maximum


def test_value_changed_under_advanced_makes_it_custom_and_the_slider_goes_back(page):
    page.findChild(QWidget, "timoTrain_epochs").setValue(7)
    assert words(page).startswith("Custom")
    slider(page).setValue(3)
    assert page.form.values()["model"] == "timo_small"
    assert words(page).startswith("Best")


def test_other_advanced_values_stay_when_the_slider_moves(page):
    page.findChild(QWidget, "timoTrain_learning_rate").setValue(0.002)
    slider(page).setValue(2)
    assert page.form.values()["learning_rate"] == 0.002
    assert words(page).startswith("Thorough")


def test_choice_of_last_time_comes_back(plugin):
    from qgis.core import QgsSettings

    QgsSettings().setValue("timo/finetune", '{"epochs": 15, "zoom": 1}')
    page = plugin.open().train
    assert slider(page).value() == 0 and words(page).startswith("Fast look")


def test_task_tells_what_it_sets_and_what_the_series_lacks(page, package):
    combo = page.findChild(QComboBox, "timoTrain_preset")
    note = page.findChild(QLabel, "timoTrainPreset")
    combo.setCurrentIndex(combo.findText("Flood"))
    assert "Zoom 1" in note.text() and "Augmentation strong" in note.text()
    page.findChild(QWidget, "timoTrain_zoom").setValue(3)
    assert "Zoom" not in note.text() and "Augmentation strong" in note.text()
    combo.setCurrentIndex(combo.findText("Any other"))
    assert note.isHidden()


def test_task_shows_under_advanced_what_it_sets_and_there_the_usual_value_can_be_chosen(page):
    combo = page.findChild(QComboBox, "timoTrain_preset")
    balance, zoom = (page.findChild(QWidget, f"timoTrain_{name}") for name in ("balance", "zoom"))
    usual = balance.currentText()
    zoom.setValue(3)
    combo.setCurrentIndex(combo.findText("Flood"))
    assert balance.currentText().startswith("Full") and zoom.value() == 3
    assert page.form.values() == {"preset": "flood", "zoom": 3}
    zoom.setValue(1)
    assert page.form.values() == {"preset": "flood"}
    balance.setCurrentText(usual)
    assert page.form.values() == {"preset": "flood", "balance": "root"}
    page.form.set_values({"preset": "flood", "zoom": 2})
    assert balance.currentText().startswith("Full") and page.form.values() == {"preset": "flood", "zoom": 2}
    combo.setCurrentIndex(combo.findText("Crops"))
    assert balance.currentText() == usual and page.form.values() == {"preset": "crops"}


def test_slider_stands_where_the_task_does_what_a_stop_does(page):
    combo = page.findChild(QComboBox, "timoTrain_preset")
    combo.setCurrentIndex(combo.findText("Flood"))
    assert words(page).startswith("Balanced")
    for number, title in ((0, "Fast look"), (2, "Thorough"), (1, "Balanced")):
        slider(page).setValue(number)
        assert words(page).startswith(title)
    page.findChild(QWidget, "timoTrain_zoom").setValue(2)
    assert words(page).startswith("Custom")


def test_slider_leaves_shares_and_fields_that_are_not_asked_for_now(page, make_labels, qtbot):
    make_labels([("oak", (0, 0, 2, 2)), ("birch", (0, 4, 2, 6))])
    split, share = (page.findChild(QWidget, f"timoTrain_{name}") for name in ("split_field", "validation"))
    qtbot.waitUntil(lambda: split.findText("note") >= 0)
    share.setValue(0.4)
    split.setField("note")
    split.activated.emit(split.currentIndex())
    assert not share.isEnabled()
    other = make_labels([("oak", (0, 0, 2, 2))], name="other")
    other.dataProvider().deleteAttributes([other.fields().indexOf("note")])
    other.updateFields()
    noted = page.labels.layer
    page.labels.layers.setLayer(other)
    assert "split_field" not in page.form.values()
    slider(page).setValue(3)
    page.labels.layers.setLayer(noted)
    assert page.form.values()["split_field"] == "note" and not share.isEnabled()
    slider(page).setValue(2)
    split.setField("")
    assert share.isEnabled() and page.form.values()["validation"] == 0.4


@pytest.mark.parametrize(
    ("preset", "bands", "dates", "told"),
    [
        ("crops", {"red", "nir"}, 3, "at least 6 dates"),
        ("deforestation", {"red", "green"}, 4, "nir"),
        ("deforestation", {"b04", "b08"}, 4, ""),
        ("land_cover", {"red", "nir"}, 1, ""),
    ],
)
def test_task_doubts_a_series_that_lacks_dates_or_bands(package, preset, bands, dates, told):
    from timo_qgis.gui.train_presets import preset_words

    text = preset_words(preset, {}, bands, dates)
    assert (told in text) if told else text == ""
