# SPDX-License-Identifier: GPL-3.0-or-later
"""Forms are made from the specs' schema: every parameter is there, and what was changed goes into a job."""

from __future__ import annotations

import pytest
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtWidgets import QWidget

# By the page in its own way.
ASKED_ELSEWHERE = {
    "finetune": {
        *("series", "labels", "class_field", "out", "colors", "names", "ignore", "overwrite"),
        *("from", "learn", "split"),
    },
    "predict": {
        *("series", "model", "out", "confidence", "probabilities", "per_date", "aoi", "overwrite"),
        *("polygons", "minimum_area", "shard", "ray", "dry_run"),
    },
}


@pytest.fixture
def make_form(package, qtbot):
    from timo_qgis.gui.form import SpecForm
    from timo_qgis.schema import select

    def make(task, values=()):
        form = SpecForm("form", select(task, list(ASKED_ELSEWHERE[task])), dict(values))
        qtbot.addWidget(form)
        return form

    return make


@pytest.mark.parametrize("task", ["finetune", "predict"])
def test_every_parameter_has_a_widget_or_is_asked_for_by_the_page(make_form, task):
    from timo_qgis.schema import parameters

    form = make_form(task)
    for parameter in parameters(task):
        widget = form.findChild(QWidget, f"form_{parameter.name}")
        assert (widget is None) == (parameter.name in ASKED_ELSEWHERE[task]), parameter.name


@pytest.mark.parametrize("task", ["finetune", "predict"])
def test_untouched_form_adds_nothing_to_the_job(make_form, task):
    assert make_form(task).values() == {}


def test_what_was_changed_goes_into_the_job(make_form):
    form = make_form("finetune")
    form.findChild(QWidget, "form_epochs").setValue(7)
    size = form.findChild(QWidget, "form_model")
    size.setCurrentIndex(size.findText("Small"))
    form.findChild(QWidget, "form_learning_rate").setValue(0.002)
    assert form.values() == {"epochs": 7, "model": "timo_small", "learning_rate": 0.002}


def test_optional_number_is_left_out_until_it_is_set(make_form):
    form = make_form("finetune")
    chip = form.findChild(QWidget, "form_chip")
    assert chip.text() == "Automatic"
    chip.stepUp()
    assert form.values() == {"chip": 32}
    chip.setValue(97)
    assert form.values() == {"chip": 96}


def test_values_of_last_time_come_back(make_form):
    assert make_form("finetune", {"epochs": 9, "batch": 5}).values() == {"epochs": 9, "batch": 5}


def test_values_that_no_longer_fit_fall_back(make_form):
    assert make_form("finetune", {"model": "timo_gigantic"}).values() == {}


def test_advanced_parameters_are_folded_away(make_form):
    form = make_form("finetune")
    box = form.findChild(QgsCollapsibleGroupBox, "formAdvanced")
    assert box.isCollapsed()
    assert box.findChild(QWidget, "form_learning_rate") is not None
    assert box.findChild(QWidget, "form_epochs") is None


def test_help_of_the_size_is_in_plain_words(make_form):
    form = make_form("finetune")
    size, text = form.findChild(QWidget, "form_model"), form.findChild(QWidget, "form_modelHelp")
    assert [size.itemText(n) for n in range(size.count())] == ["Tiny", "Small", "Base"]
    before = text.text()
    size.setCurrentIndex(2)
    assert text.text() != before
