# SPDX-License-Identifier: GPL-3.0-or-later
"""All models in one place: seen, imported, exported, renamed, deleted."""

from __future__ import annotations

import hashlib
import json

import pytest
from qgis.PyQt.QtCore import QFile
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QFileDialog, QInputDialog, QLabel, QMessageBox

CARD = {
    "format": 1,
    "task": "segmentation",
    "name": "woods",
    "architecture": {"name": "timo_tiny"},
    "classes": [{"value": 3, "name": "oak", "color": "#228844"}],
    "bands": [{"key": "blue", "name": "B2", "role": "blue"}],
    "ground_sample_distance": [10.0, 10.0],
    "crs": "EPSG:32631",
    "weights_sha256": hashlib.sha256(b"weights").hexdigest(),
}


@pytest.fixture
def write(tmp_path):
    def write(name, **changes):
        folder = tmp_path / "home" / "models" / name
        folder.mkdir(parents=True)
        (folder / "model.json").write_text(json.dumps({**CARD, "name": name, **changes}), encoding="utf-8")
        (folder / "weights.safetensors").write_bytes(b"weights")
        return folder

    return write


@pytest.fixture
def open_dialog(dock, qtbot):
    from timo_qgis.gui.models_dialog import ModelsDialog

    def opened(count):
        dialog = ModelsDialog(dock.shared, dock)
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitUntil(lambda: dialog.list.count() == count)
        return dialog

    return opened


def names(dialog):
    return sorted(dialog.list.item(row).text() for row in range(dialog.list.count()))


def test_without_models_it_says_how_to_get_one(open_dialog):
    dialog = open_dialog(0)
    assert dialog.empty.isVisible() and "No weights" in dialog.empty.text()
    assert not dialog.use.isEnabled() and dialog.imported.isEnabled()


def test_model_is_exported_and_imported_again(open_dialog, write, qtbot, monkeypatch, tmp_path):
    write("woods")
    dialog = open_dialog(1)
    target = tmp_path / "given.zip"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target.with_suffix("")), ""))
    dialog.export.click()
    qtbot.waitUntil(target.exists)
    qtbot.waitUntil(dialog.imported.isEnabled)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(target), ""))
    dialog.imported.click()
    qtbot.waitUntil(lambda: dialog.list.count() == 2)
    assert dialog.model().folder.name == "woods-2"
    assert names(dialog) == ["woods (woods)", "woods (woods-2)"]  # neither is taken for the other
    asked = []
    monkeypatch.setattr(QInputDialog, "getText", lambda *said: asked.append(said[-1]) or ("", False))
    dialog.rename.click()
    assert asked == ["woods"]


def test_what_is_no_model_is_said_in_a_sentence(open_dialog, qtbot, monkeypatch, tmp_path):
    path = tmp_path / "weights.pth.zip"
    path.write_bytes(b"x")
    dialog = open_dialog(0)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    dialog.imported.click()
    qtbot.waitUntil(lambda: "weights.pth.zip" in dialog.message.text())
    assert dialog.imported.isEnabled()


def test_model_gets_another_name(open_dialog, write, qtbot, monkeypatch):
    write("woods")
    dialog = open_dialog(1)
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("oaks", True))
    dialog.rename.click()
    qtbot.waitUntil(lambda: names(dialog) == ["oaks"])


def test_deleted_model_goes_to_the_trash_and_only_when_asked(
    open_dialog, write, qtbot, monkeypatch, tmp_path
):
    folder = write("woods")
    dialog = open_dialog(1)
    moved = []

    def to_trash(path):
        moved.append(path)
        folder.rename(tmp_path / "trash")
        return True, str(tmp_path / "trash")

    monkeypatch.setattr(QFile, "moveToTrash", to_trash)
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.No)
    dialog.delete.click()
    assert not moved
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    dialog.delete.click()
    qtbot.waitUntil(lambda: dialog.model() is None or dialog.model().folder != folder)
    assert moved == [str(folder)]


def test_model_elsewhere_is_taken_off_the_list_and_stays_on_disk(open_dialog, dock, write, qtbot, tmp_path):
    folder = write("woods").rename(tmp_path / "elsewhere")
    dock.shared.settings.save(bundles=[str(folder)])
    dialog = open_dialog(1)
    assert "list" in dialog.delete.text()
    assert not dialog.rename.isEnabled() and "outside" in dialog.rename.toolTip()
    dialog.delete.click()
    qtbot.waitUntil(lambda: dialog.list.count() == 0)
    assert (folder / "model.json").exists()


def test_model_that_a_job_needs_is_not_moved(open_dialog, dock, write, monkeypatch):
    from timo_qgis.backend.jobs import JobView

    folder = write("woods")
    dock.shared.backend.jobs["a"] = JobView(
        "a", task="predict", state="running", spec={"model": str(folder), "out": "/data/map.tif"}
    )
    dialog = open_dialog(1)
    dialog.rename.click()
    assert "map.tif" in dialog.message.text() and folder.exists()


def test_chosen_model_is_used_on_the_predict_page(dock, write, qtbot):
    folder = write("a")
    write("b")
    dock.predict.refresh()
    qtbot.waitUntil(lambda: dock.predict.models.count() == 2)
    dock.predict._on_manage()
    dialog = dock.window().findChild(object, "timoModels") or dock.findChild(object, "timoModels")
    qtbot.waitUntil(lambda: dialog.list.count() == 2)
    dialog.list.setCurrentRow(names(dialog).index("a") if dialog.list.item(0).text() == "a" else 1)
    chosen = dialog.model().folder
    dialog.use.click()
    qtbot.waitUntil(lambda: dock.predict.model() is not None and dock.predict.model().folder == chosen)
    assert folder.exists()


def test_whatever_goes_wrong_ends_with_a_sentence_that_names_the_file(
    open_dialog, qtbot, monkeypatch, tmp_path
):
    from timo_qgis import bundles

    def fail(*_):
        raise ValueError("odd")

    monkeypatch.setattr(bundles, "import_zip", fail)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "odd.zip"), ""))
    dialog = open_dialog(0)
    dialog.imported.click()
    qtbot.waitUntil(lambda: "odd.zip" in dialog.message.text())
    assert dialog.busy.isHidden() and dialog.imported.isEnabled()


def test_pretrained_model_is_shown_exported_and_renamed_but_does_not_map(open_dialog, write):
    write("pre", task="pretraining", classes=[])
    dialog = open_dialog(1)
    assert names(dialog) == ["pre"]
    assert dialog.export.isEnabled() and dialog.rename.isEnabled() and not dialog.use.isEnabled()
    told = [one.text() for one in dialog.card.findChildren(QLabel)]
    assert "Pre-trained: start a training from it." in told


def test_name_in_a_question_is_shown_letter_by_letter(open_dialog, write, monkeypatch):
    asked = []
    monkeypatch.setattr(
        QMessageBox, "question", lambda *given: asked.append(given[2]) or QMessageBox.StandardButton.No
    )
    folder = write("woods")
    (folder / "model.json").write_text(json.dumps({**CARD, "name": "<b>woods</b>"}), encoding="utf-8")
    open_dialog(1).delete.click()
    assert "&lt;b&gt;woods" in asked[0]


METRICS = {
    "overall_accuracy": 0.9,
    "confusion_matrix": [[9, 1], [1, 9]],
    "per_class": [{"pixels": 10, "producers_accuracy": 0.9, "users_accuracy": 0.9, "f1": 0.9}] * 2,
}
TWO = [{"value": 1, "name": "oak", "color": "#228844"}, {"value": 2, "name": "birch", "color": "#ddcc88"}]


def test_report_of_a_model_from_elsewhere_is_shown_in_qgis_and_not_by_the_browser(
    open_dialog, dock, write, qtbot, monkeypatch, tmp_path
):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()) or True)
    own = write("own", classes=TWO, metrics=METRICS)
    foreign = write("foreign", classes=TWO, metrics=METRICS)
    for folder in (own, foreign):
        (folder / "report.html").write_text("<script>x</script>", encoding="utf-8")
    foreign = foreign.rename(tmp_path / "foreign")
    dock.shared.settings.save(bundles=[str(foreign)])
    dialog = open_dialog(2)
    dialog.list.setCurrentRow(1)
    dialog.report.click()
    shown = dialog.findChild(object, "timoScores")
    qtbot.waitUntil(shown.result.title.isVisible)
    assert "90 of 100" in shown.result.title.text() and shown.result.confusion.isVisible()
    assert not shown.result.report.isVisible() and opened == []
    shown.reject()
    dialog.list.setCurrentRow(0)
    dialog.report.click()
    assert opened == [str(own / "report.html")]
