# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the backend refuses stands there with a button, and the button leads to what mends it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QPushButton, QWidget

ROOT = Path(__file__).resolve().parents[2]
ROWS = [("oak", (0, 0, 2, 2)), ("oak", (2, 0, 4, 2)), ("birch", (0, 4, 2, 6))]


def error(code, message="No.", **more):
    return {"code": code, "message": message, "action": "Correct it.", "retryable": False, **more}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "home" / "models" / "woods"
    folder.mkdir(parents=True)
    card = {
        "task": "segmentation", "name": "woods", "dates": {"count": 12},
        "architecture": {"name": "timo_tiny"},
        "classes": [{"value": n, "name": one, "color": "#228844"} for n, one in enumerate(("oak", "birch"))],
        "bands": [{"name": "red", "role": "red"}],
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def sent(dock, connected, model, twelve_dates, make_labels, qtbot):
    """The dock with a series, labels and a model; the requests that the backend would have got."""
    make_labels(ROWS)
    qtbot.waitUntil(lambda: len(dock.series.rows) == 12)
    dock.series.model.tick(list(range(12)), True)
    dock.predict.refresh()
    qtbot.waitUntil(lambda: dock.train.why_not() == "" and dock.predict.why_not() == "")
    return connected


def refuse(page, qtbot, told):
    """A run that the backend refuses; the button that stands below the sentence then."""
    footer = page.footer_row
    page.follower._key = "key"
    page.shared.backend.refused.emit("key", told)
    assert footer.reason.text() == f"{told['message']} {told['action']}"
    assert not footer.remedy.isHidden()
    return footer.remedy


def has_keyboard(page, name):
    window = page.window()
    return window.focusWidget() is not None and window.focusWidget() is window.findChild(QWidget, name)


def submits(commands):
    return [one.body["spec"] for one in commands if one.type == "submit"]


def documented():
    """Every code that docs/protocol.md lists."""
    errors = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    errors = errors[errors.index("### Errors") : errors.index("## Requests")]
    cells = re.findall(r"^\| (`.+?) \|", errors, re.MULTILINE)
    return {code for cell in cells for code in re.findall(r"`(\w+)`", cell)}


def raised():
    """Every code that the tasks and the backend raise."""
    found = set()
    for path in [*(ROOT / "timo").rglob("*.py"), *(ROOT / "timo_backend").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and re.search(r"[a-z]Error$", ast.unparse(node.func)):
                first = [*node.args[:1], *(one.value for one in node.keywords if one.arg == "code")]
                found |= {one.value for one in first if isinstance(one, ast.Constant)}
    return {code for code in found if isinstance(code, str) and re.fullmatch(r"[a-z]+(_[a-z]+)*", code)}


def test_every_code_has_what_helps_or_is_one_where_another_try_does(package):
    from timo_qgis.gui.remedies import AGAIN, CODES, PLACES

    known = documented() | raised()
    assert len(documented()) > 40 and len(raised()) > 100
    assert not known - set(PLACES) - AGAIN
    assert not set(PLACES) & {"internal", "interrupted"}
    assert sum(len(codes.split()) for codes in CODES.values()) == len(PLACES), "a code with two places"


@pytest.mark.parametrize(
    ("name", "code", "text", "field"),
    [
        ("train", "labels_no_crs", "Show the labels", "timoTrainLabels"),
        ("train", "class_field_unknown", "Show the class field", "timoTrainField"),
        ("train", "out_of_memory", "Show the setting", "timoTrain_batch"),
        ("train", "does_not_fit", "Show the model", "timoTrain_model"),
        ("train", "weights_do_not_fit", "Show the model", "timoTrainStart"),
        ("train", "output_unwritable", "Show the output", "timoTrainName"),
        ("predict", "bundle_damaged", "Show the model", "timoPredictModel"),
        ("predict", "does_not_fit", "Show the model", "timoPredictModel"),
        ("predict", "out_of_memory", "Show the setting", "timoPredict_batch"),
        ("predict", "area_outside", "Show the area", "timoPredictArea"),
        ("predict", "output_no_folder", "Show the output", "timoPredictOut"),
    ],
)
def test_refused_run_leads_to_the_field_at_fault(dock, sent, qtbot, name, code, text, field):
    page = getattr(dock, name)
    dock.tabs.setCurrentWidget(page)
    button = refuse(page, qtbot, error(code))
    assert button.text() == text
    button.click()
    at_fault = dock.findChild(QWidget, field)
    qtbot.waitUntil(lambda: not at_fault.visibleRegion().isEmpty())  # unfolded and scrolled to
    focus = dock.window().focusWidget()
    assert focus is at_fault or at_fault.isAncestorOf(focus)


def test_raster_that_is_named_is_selected_in_the_series(dock, sent, qtbot):
    dock.tabs.setCurrentWidget(dock.predict)
    dock.series.filter.setText("nothing is like this")
    button = refuse(dock.predict, qtbot, error("band_missing", "S2_20200715.tif has no band 'swir1'."))
    assert button.text() == "Show the series"
    button.click()
    assert dock.tabs.currentWidget() is dock.series
    chosen = [row.name for row in dock.series.rows if row.layer_id in dock.series.view.selected()]
    assert chosen == ["S2_20200715"]


@pytest.mark.parametrize(
    ("code", "text"), [("internal", "Try again"), ("backend_gone", "Retry"), ("path_denied", "Options…")]
)
def test_what_is_no_fields_fault_has_its_button_too(dock, sent, iface, qtbot, monkeypatch, code, text):
    done = []
    monkeypatch.setattr(dock.shared.backend, "use", lambda program: done.append("Retry"))
    iface.showOptionsDialog = lambda parent, page: done.append(f"Options… {page}")
    dock.predict.models.setCurrentIndex(0)
    button = refuse(dock.predict, qtbot, error(code))
    assert button.text() == text
    button.click()
    if text == "Try again":
        qtbot.waitUntil(lambda: len(submits(sent)) == 1)
    else:
        assert done[0].startswith(text)


def test_full_disk_and_what_nobody_knows_lead_to_folders(dock, sent, tmp_path, qtbot, monkeypatch):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(Path(url.toLocalFile())))
    (tmp_path / "home" / "logs").mkdir()
    for code, text in (("disk_full", "Open the folder"), ("from_tomorrow", "Open the logs")):
        button = refuse(dock.train, qtbot, error(code))
        assert button.text() == text
        button.click()
    qtbot.waitUntil(lambda: len(opened) == 2)
    assert set(opened) == {tmp_path / "home", tmp_path / "home" / "logs"}


def test_what_the_estimate_is_refused_for_has_its_button(dock, sent, qtbot):
    page = dock.predict
    dock.tabs.setCurrentWidget(page)
    page.estimate._key = "key"
    page.shared.backend.refused.emit("key", error("bundle_missing"))
    assert (
        page.estimate.answer.text() == "No. Correct it." and page.estimate.remedy.text() == "Show the model"
    )
    page.estimate.remedy.click()
    assert has_keyboard(dock, "timoPredictModel")
    page.estimate.forget()
    assert page.estimate.remedy.isHidden()


def test_what_an_estimate_fails_for_has_its_button(dock, sent):
    from timo_qgis.backend.jobs import JobView

    page = dock.predict
    page.estimate._job = "dry"
    failed = JobView(
        id="dry", task="predict", state="failed", spec={"dry_run": True}, error=error("area_outside")
    )
    page.shared.backend._on_jobs([failed])
    assert page.estimate.answer.text() == "No. Correct it." and page.estimate.remedy.text() == "Show the area"


def test_refused_check_leads_to_the_field_of_the_dialog(dock, sent, qtbot):
    dock.findChild(QPushButton, "timoTrainCheck").click()
    dialog = next(one for one in QgsApplication.topLevelWidgets() if one.objectName() == "timoEvaluate")
    qtbot.waitUntil(lambda: dialog.why_not() == "")
    dialog.follower._key = "key"
    dock.shared.backend.refused.emit("key", error("class_field_unknown"))
    assert dialog.footer.remedy.text() == "Show the class field"
    dialog.footer.remedy.click()
    assert dialog.focusWidget() is dialog.labels.field
    dialog.close()


def test_labels_that_cannot_be_copied_have_a_button(dock, sent, qtbot):
    dock.tabs.setCurrentWidget(dock.train)
    dock.train._on_copied({}, Path(), "The labels cannot be copied: the disk is full.")
    footer = dock.train.footer_row
    assert footer.reason.text().startswith("The labels cannot be copied") and footer.remedy.isVisible()
    footer.remedy.click()
    assert has_keyboard(dock, "timoTrainLabels")


def test_labels_that_will_not_do_have_a_button(dock, sent, make_labels, qtbot):
    dock.tabs.setCurrentWidget(dock.train)
    dock.train.labels.layers.setLayer(make_labels(ROWS[:1], name="one"))
    qtbot.waitUntil(lambda: "two classes" in dock.train.footer_row.reason.text())
    assert dock.train.footer_row.remedy.text() == "Show the class field"
    dock.train.footer_row.remedy.click()
    assert has_keyboard(dock, "timoTrainField")


def test_area_that_cannot_be_read_has_a_button(dock, sent, qtbot, monkeypatch):
    from qgis.core import QgsCoordinateReferenceSystem

    def read():
        raise RuntimeError("the layer is gone")

    page = dock.predict
    dock.tabs.setCurrentWidget(page)
    monkeypatch.setattr(page.area, "reader", lambda: (read, QgsCoordinateReferenceSystem()))
    page.footer_row.button.click()
    qtbot.waitUntil(lambda: "the layer is gone" in page.footer_row.reason.text())
    page.footer_row.remedy.click()
    assert has_keyboard(dock, "timoPredictArea")


# jobs that have failed


@pytest.fixture
def fail(dock, sent, tmp_path):
    """Tells of a job that has failed, and shows it on its page."""
    from timo_qgis.backend.jobs import JobView

    def failed(code, task="predict", **spec):
        out = tmp_path / "maps" / "woods.tif" if task == "predict" else tmp_path / "home" / "models" / "oaks"
        job = JobView(
            id="a", task=task, state="failed", error=error(code), attempt=1, created=1.0,
            spec={"out": str(out), "model": str(tmp_path / "home" / "models" / "woods"), **spec}
            if task == "predict" else {"out": str(out), **spec},
        )  # fmt: skip
        dock.shared.backend._on_jobs([job])
        if task in ("predict", "finetune"):
            {"predict": dock.predict, "finetune": dock.train}[task].follower.follow("a")
        return job

    return failed


@pytest.mark.parametrize(
    "code", ["interrupted", "worker_killed", "internal", "raster_unreachable", "unheard_of"]
)
def test_job_that_can_succeed_later_is_tried_again_first(dock, fail, sent, code):
    fail(code)
    box = dock.predict.box
    assert not box.retry.isHidden() and not box.log.isHidden()
    box.retry.click()
    assert sent[-1].type == "retry"


@pytest.mark.parametrize("code", ["output_exists", "labels_no_crs", "class_field_unknown", "out_of_memory"])
def test_job_that_would_fail_again_offers_what_mends_it_in_place_of_another_try(dock, fail, code):
    fail(code, "finetune")
    box = dock.train.box
    assert box.retry.isHidden() and not box.remedy.isHidden() and not box.log.isHidden()


def test_job_of_a_full_disk_offers_both(dock, fail):
    fail("disk_full")
    box = dock.predict.box
    assert not box.retry.isHidden() and box.remedy.text() == "Open the folder"


def test_map_that_is_there_already_gets_a_free_name_and_is_made(dock, fail, sent, tmp_path, qtbot):
    taken = tmp_path / "maps" / "woods.tif"
    taken.parent.mkdir()
    taken.touch()
    dock.predict.form.set_values({"batch": 3})
    fail("output_exists", batch=2)
    dock.tabs.setCurrentWidget(dock.jobs)
    dock.jobs.choose("a")
    assert dock.jobs.remedy.isVisible() and dock.jobs.remedy.text() == "Take a free name"
    dock.jobs.remedy.click()
    assert dock.tabs.currentWidget() is dock.predict
    qtbot.waitUntil(lambda: dock.predict.out.path() == taken.with_name("woods-2.tif"))
    qtbot.waitUntil(lambda: dock.predict.why_not() == "")
    dock.predict.footer_row.button.click()
    qtbot.waitUntil(lambda: len(submits(sent)) == 1)
    made = submits(sent)[0]
    assert made["out"] == str(taken.with_name("woods-2.tif")) and made["batch"] == 2


def test_model_that_is_there_already_gets_a_free_name_from_the_box(dock, fail, sent, tmp_path, qtbot):
    (tmp_path / "home" / "models" / "oaks").mkdir()
    dock.tabs.setCurrentWidget(dock.train)
    dock.train.name.setText("oaks")
    fail("output_exists", "finetune")
    dock.train.box.remedy.click()
    assert dock.train.name.text() == "oaks-2" and has_keyboard(dock, "timoTrainName")
    dock.train.footer_row.button.click()
    qtbot.waitUntil(lambda: len(submits(sent)) == 1)
    assert submits(sent)[0]["out"] == str(tmp_path / "home" / "models" / "oaks-2")


def test_page_takes_the_parameters_of_the_job_that_is_mended(dock, fail, qtbot):
    fail("out_of_memory", "finetune", batch=64, epochs=7, class_field="class")
    dock.tabs.setCurrentWidget(dock.jobs)
    dock.jobs.choose("a")
    dock.jobs.remedy.click()
    assert dock.tabs.currentWidget() is dock.train and has_keyboard(dock, "timoTrain_batch")
    values = dock.train.form.values()
    assert values["batch"] == 64 and values["epochs"] == 7
    assert dock.train.name.text() == "oaks"


def test_jobs_page_tries_again_where_that_helps_and_else_shows_the_log(dock, fail, sent, qtbot):
    dock.tabs.setCurrentWidget(dock.jobs)
    fail("interrupted", "embed")
    dock.jobs.choose("a")
    assert dock.jobs.remedy.text() == "Try again"
    dock.jobs.remedy.click()
    assert sent[-1].type == "retry"
    fail("labels_no_crs", "evaluate")
    assert dock.jobs.remedy.text() == "Log"
    dock.jobs.remedy.click()
    assert dock.jobs.panel.currentWidget() is dock.jobs.panel.log
