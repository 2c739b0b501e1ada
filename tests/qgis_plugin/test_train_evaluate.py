# SPDX-License-Identifier: GPL-3.0-or-later
"""A model is judged by labels that it never saw, from the Train page."""

from __future__ import annotations

import json

import pytest
from qgis.core import QgsApplication, QgsEditorWidgetSetup
from qgis.PyQt.QtWidgets import QPushButton, QScrollArea

ROWS = [("Oak", (0, 0, 2, 2)), ("birch", (0, 4, 2, 6))]


def write_model(home, name, classes):
    folder = home / "models" / name
    folder.mkdir(parents=True)
    card = {
        "task": "segmentation", "name": name, "architecture": {"name": "timo_tiny"}, "dates": {"count": 12},
        "classes": [{"value": n, "name": one, "color": "#228844"} for n, one in enumerate(classes)],
        "bands": [{"name": "red", "role": "red"}],
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def dialog(dock, connected, twelve_dates, tmp_path, qtbot):
    qtbot.waitUntil(lambda: len(dock.series.rows) == 12)
    dock.series.model.tick(list(range(12)), True)
    write_model(tmp_path / "home", "woods", ["oak", "birch"])
    dock.findChild(QPushButton, "timoTrainCheck").click()
    found = next(one for one in QgsApplication.topLevelWidgets() if one.objectName() == "timoEvaluate")
    qtbot.waitUntil(lambda: found.models.count() == 1)
    yield found
    found.close()


@pytest.fixture
def sent(dialog, monkeypatch):
    """What is submitted in place of sending it."""
    specs = []
    monkeypatch.setattr(
        dialog.follower._backend, "submit", lambda task, spec: specs.append((task, dict(spec))) or "key"
    )
    return specs


def test_what_the_model_was_trained_on_is_told(dialog):
    assert "Learnt oak, birch on 12 dates" in dialog.told.text() and "random weights" in dialog.told.text()


def test_reason_is_said_until_all_is_there(dialog, make_labels, qtbot):
    assert "Add a layer of polygons" in dialog.why_not()
    make_labels(ROWS)
    qtbot.waitUntil(lambda: dialog.why_not() == "")


def test_job_gets_series_model_labels_and_a_folder_of_its_own(
    dialog, dock, tmp_path, make_labels, sent, qtbot
):
    make_labels(ROWS)
    qtbot.waitUntil(lambda: dialog.why_not() == "")
    dialog.footer.button.click()
    qtbot.waitUntil(lambda: len(sent) == 1)
    task, spec = sent[0]
    home = tmp_path / "home"
    assert task == "evaluate"
    assert spec["model"] == str(home / "models" / "woods") and spec["class_field"] == "class"
    assert spec["out"] == str(home / "reports" / "woods-check")
    assert spec["labels"].startswith(str(home / "copies")) and spec["series"][0].endswith(".csv")


def test_second_check_of_a_model_gets_a_folder_of_its_own_while_the_first_waits(
    dialog, dock, tmp_path, make_labels, sent, qtbot
):
    from timo_qgis.backend.jobs import JobView

    first = tmp_path / "home" / "reports" / "woods-check"
    waiting = JobView(id="a", task="evaluate", state="queued", created=1.0, spec={"out": str(first)})
    dock.shared.backend._on_jobs([waiting])
    make_labels(ROWS)
    qtbot.waitUntil(lambda: dialog.why_not() == "")
    dialog.footer.button.click()
    qtbot.waitUntil(lambda: len(sent) == 1)
    assert sent[0][1]["out"] == f"{first}-2"


def test_model_of_every_date_is_judged_by_labels_with_a_date(dialog, make_labels, tmp_path, sent, qtbot):
    path = tmp_path / "home" / "models" / "woods" / "model.json"
    card = json.loads(path.read_text())
    card["architecture"]["per_date"] = True
    path.write_text(json.dumps(card))
    from timo_qgis.models import read_model

    make_labels(ROWS)
    date = dialog.findChild(object, "timoEvaluate_date_field")
    assert not date.isEnabled()
    dialog._on_models([read_model(path.parent)])
    qtbot.waitUntil(lambda: "pick the field with the date" in dialog.why_not())
    date.setField("note")
    date.activated.emit(date.currentIndex())
    qtbot.waitUntil(lambda: dialog.why_not() == "")
    dialog.footer.button.click()
    qtbot.waitUntil(lambda: len(sent) == 1)
    assert sent[0][1]["date_field"] == "note"


def test_one_class_is_enough_to_judge_by(dialog, make_labels, qtbot):
    make_labels(ROWS[:1])
    qtbot.waitUntil(lambda: dialog.why_not() == "")


def test_labels_of_none_of_the_models_classes_are_refused_before_the_click(dialog, make_labels, qtbot):
    make_labels([("wheat", (0, 0, 2, 2)), ("maize", (0, 4, 2, 6))])
    qtbot.waitUntil(lambda: "(maize, wheat)" in dialog.why_not())
    assert "(oak, birch)" in dialog.why_not()


def test_codes_whose_names_the_model_knows_are_labels_of_its_classes(dialog, make_labels, sent, qtbot):
    layer = make_labels([("a", (0, 0, 2, 2)), ("b", (0, 4, 2, 6))])
    index = layer.fields().lookupField("class")
    entries = [{"Oak": "a"}, {"Birch": "b"}]
    layer.setEditorWidgetSetup(index, QgsEditorWidgetSetup("ValueMap", {"map": entries}))
    dialog.labels.refresh()
    qtbot.waitUntil(lambda: dialog.why_not() == "")
    dialog.footer.button.click()
    qtbot.waitUntil(lambda: len(sent) == 1)
    assert sent[0][1]["names"] == ["a=Oak", "b=Birch"]


def test_what_the_backend_refuses_is_said_in_the_dialog(dialog, make_labels, qtbot):
    make_labels(ROWS)
    qtbot.waitUntil(lambda: dialog.why_not() == "")
    dialog.follower._key = "key"
    dialog._shared.backend.refused.emit("key", {"message": "Task 'evaluate': no.", "action": "Correct it."})
    assert dialog.footer.reason.text() == "Task 'evaluate': no. Correct it."


def test_report_has_one_button_when_the_check_is_done(dialog, tmp_path, qtbot, package):
    from timo_qgis.backend.jobs import JobView

    out = tmp_path / "report"
    out.mkdir()
    report = {
        "classes": [{"value": n, "name": name} for n, name in enumerate(("oak", "birch"))],
        "figures": {
            "confusion_matrix": [[1, 0], [0, 1]],
            "per_class": [{"pixels": 1}, {"pixels": 1}],
            "overall_accuracy": 1.0,
        },
        "model": {},
        "errors": [],
    }
    (out / "report.json").write_text(json.dumps(report))
    (out / "index.html").write_text("<p>report</p>")
    with qtbot.waitSignal(dialog.result.shown):
        dialog._on_job(JobView(id="a", task="evaluate", state="succeeded", spec={"out": str(out)}))
    buttons = [one for one in dialog.findChildren(QPushButton) if one.isVisible() and one.text()]
    assert [one.objectName() for one in buttons if one.text() == "Open the report"] == ["timoEvaluateReport"]
    assert not dialog.box.open.isVisible()
    bar = dialog.findChild(QScrollArea, "timoEvaluateScroll").verticalScrollBar()
    qtbot.waitUntil(lambda: bar.value() > 0)  # to the report
    shown = dialog.result
    assert shown.visibleRegion().boundingRect().height() == shown.height()
