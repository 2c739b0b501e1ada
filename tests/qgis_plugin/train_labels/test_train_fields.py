# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels that hold on a date each, and labels that say which part they are of: picked under Advanced."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtWidgets import QPushButton, QWidget

# Class, day, part, and where: columns of pixels, by all rows.
ROWS = [
    ("oak", "2020-01-01", "train", (0, 20)),
    ("birch", "2020-01-01", "Training", (20, 40)),
    ("oak", "2020-02-01", "validation", (110, 130)),
    ("birch", "2020-02-01", "val", (130, 150)),
]
# What the library makes of a spec, before it trains: labels by part, and of which dates.
READ = """
import json, sys
from timo.tasks import finetune, specs
from timo.training.device import fabric_for
class Quiet:
    def __getattr__(self, name): return lambda *_, **__: None
spec = specs.load("finetune", json.load(sys.stdin))
found = finetune.read(spec, fabric_for("cpu"), Quiet())
dated = found.labels[0].dated
print(json.dumps([
    int(found.split.counts("train").sum()), int(found.split.counts("validation").sum()),
    None if dated is None else [int((one != 255).sum()) for one in dated],
]))
"""


@pytest.fixture
def add_labels():
    def add(rows=ROWS, name="fields"):
        layer = QgsVectorLayer(
            "Polygon?crs=EPSG:32631&field=class:string&field=day:string&field=part:string", name, "memory"
        )
        features = []
        for kind, day, part, (left, right) in rows:
            feature = QgsFeature(layer.fields())
            feature.setAttributes([kind, day, part])
            place = QgsRectangle(500000 + 10 * left, 5000000 - 640, 500000 + 10 * right, 5000000)
            feature.setGeometry(QgsGeometry.fromRect(place))
            features.append(feature)
        layer.dataProvider().addFeatures(features)
        QgsProject.instance().addMapLayer(layer)
        return layer

    return add


def box(page, name):
    return page.findChild(QWidget, f"timoTrain_{name}")


def pick(page, name, field):
    """As the analyst does: by the list."""
    combo = box(page, name)
    combo.setCurrentIndex(combo.findText(field))
    combo.activated.emit(combo.currentIndex())


def job(page, sent, qtbot):
    qtbot.waitUntil(lambda: page.why_not() == "")
    page.findChild(QPushButton, "timoTrainRun").click()
    qtbot.waitUntil(lambda: len(sent) == 1, timeout=10_000)
    return sent[0]


def read(spec, backend_program):
    python = Path(backend_program).with_name("python")
    done = subprocess.run(
        [str(python), "-c", READ], input=json.dumps(spec), check=False, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_only_fields_of_the_chosen_layer_are_offered(page, add_labels, make_labels, qtbot):
    add_labels()
    combo = box(page, "split_field")
    qtbot.waitUntil(lambda: [combo.itemText(n) for n in range(combo.count())] == ["", "class", "day", "part"])
    page.labels.layers.setLayer(make_labels([("oak", (0, 0, 2, 2))], name="other"))
    assert [combo.itemText(n) for n in range(combo.count())] == ["", "class", "note"]


def test_split_field_reaches_the_training_which_parts_the_labels_by_it(
    page, add_labels, sent, backend_program, qtbot
):
    add_labels()
    box(page, "chip").setValue(32)
    box(page, "validation").setValue(0.4)
    pick(page, "split_field", "part")
    assert not box(page, "validation").isEnabled() and not box(page, "test").isEnabled()
    spec = job(page, sent, qtbot)
    assert spec["split_field"] == "part" and "validation" not in spec and "date_field" not in spec
    assert read(spec, backend_program) == [40 * 64, 40 * 64, None]


def test_a_field_that_is_not_looked_into_yet_is_waited_for(page, add_labels, sent, qtbot):
    """The button cannot be pressed before it is known whether the field will do."""
    add_labels()
    qtbot.waitUntil(lambda: page.why_not() == "")
    pick(page, "split_field", "day")
    button = page.findChild(QPushButton, "timoTrainRun")
    assert page.why_not() == "Looking into the fields of the labels." and not button.isEnabled()
    qtbot.waitUntil(lambda: "must say train, validation or test" in page.why_not())
    pick(page, "split_field", "part")
    assert not button.isEnabled()
    qtbot.waitUntil(button.isEnabled)
    pick(page, "split_field", "")
    assert page.why_not() == ""


def test_what_was_read_before_an_edit_counts_no_more(page, add_labels, monkeypatch, qtbot):
    """The first look ends after the labels were changed: what it says is of labels that are no more."""
    layer = add_labels()
    qtbot.waitUntil(lambda: page.why_not() == "")
    pick(page, "split_field", "part")
    qtbot.waitUntil(lambda: page.why_not() == "")
    layer.startEditing()
    for feature in layer.getFeatures():
        layer.changeAttributeValue(feature.id(), 2, "train")
    assert page.why_not() != ""
    qtbot.waitUntil(lambda: "No label has 'validation'" in page.why_not())
    layer.rollBack()
    qtbot.waitUntil(lambda: page.why_not() == "")


def test_labels_of_a_date_each_reach_the_training(page, add_labels, sent, backend_program, qtbot):
    add_labels()
    box(page, "chip").setValue(32)
    pick(page, "split_field", "part")
    assert not box(page, "date_field").isEnabled()
    box(page, "per_date").setChecked(True)
    qtbot.waitUntil(lambda: "date of each label" in page.why_not())
    pick(page, "date_field", "day")
    spec = job(page, sent, qtbot)
    assert (spec["per_date"], spec["date_field"]) == (True, "day")
    assert read(spec, backend_program)[2] == [40 * 64, 40 * 64]


@pytest.mark.parametrize(
    ("name", "field", "column", "value", "words"),
    [
        ("split_field", "part", 2, "north", "'north': it must say train, validation or test"),
        ("split_field", "part", 2, "train", "No label has 'validation'"),
        ("split_field", "class", 0, "oak", "holds the class"),
        ("date_field", "day", 1, "spring", "holds no dates (first 'spring')"),
        ("date_field", "day", 1, "2019-05-01", "(first 2019-05-01) is a date of the series"),
        ("date_field", "day", 1, None, "is empty"),
    ],
)
def test_fields_that_hold_something_else_are_refused_in_words(
    page, add_labels, qtbot, name, field, column, value, words
):
    box(page, "per_date").setChecked(name == "date_field")
    rows = [list(row) for row in ROWS]
    if field != "class":
        for row in rows:
            row[column] = value
    layer = add_labels(rows)
    pick(page, name, field)
    qtbot.waitUntil(lambda: words in page.why_not())
    if value == "north":  # corrected in QGIS, it is looked at again
        layer.startEditing()
        for row, feature in zip(ROWS, list(layer.getFeatures())):
            layer.changeAttributeValue(feature.id(), 2, row[2])
        qtbot.waitUntil(lambda: page.why_not() == "")
        layer.rollBack()


def test_picked_fields_are_there_the_next_time(page, dock, add_labels, sent, qtbot):
    from timo_qgis.gui.form import SpecForm
    from timo_qgis.schema import select

    layer = add_labels()
    box(page, "per_date").setChecked(True)
    pick(page, "date_field", "day")
    pick(page, "split_field", "part")
    job(page, sent, qtbot)
    again = SpecForm("again", select("finetune", ["ignore"]), dock.shared.settings.finetune)
    qtbot.addWidget(again)
    again.offer_fields(layer)
    kept = again.values()
    assert (kept["per_date"], kept["date_field"], kept["split_field"]) == (True, "day", "part")


def test_a_picked_field_comes_back_with_its_layer(page, add_labels, make_labels):
    layer = add_labels()
    pick(page, "split_field", "part")
    page.labels.layers.setLayer(make_labels([("oak", (0, 0, 2, 2))], name="other"))
    assert box(page, "split_field").currentField() == ""
    page.labels.layers.setLayer(layer)
    assert box(page, "split_field").currentField() == "part"
