# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of the selected job: in words, its curve, its log, its outputs."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtWidgets import QFileDialog


def test_failed_job_says_what_went_wrong_and_what_to_do(dock, tell, select):
    error = {"code": "band_missing", "message": "x.tif has no band 'nir'.", "action": "Pick another raster."}
    tell({"state": "failed", "error": error})
    page = dock.jobs
    assert page.model.index(0, 4).data() == "x.tif has no band 'nir'."
    select(page, "wood")
    assert "x.tif has no band 'nir'.\nPick another raster." in page.details.toPlainText()


@pytest.mark.parametrize("task, pixels", [("evaluate", "labelled"), ("finetune", "validation")])
def test_share_that_is_right_names_the_pixels_that_judged(dock, tell, task, pixels):
    tell({"task": task, "state": "succeeded", "created": 1.0, "summary": {"overall_accuracy": 0.9996}})
    dock.jobs.view.selectRow(0)
    assert f"99.9 % of the {pixels} pixels right" in dock.jobs.details.toPlainText()


def test_job_that_waits_says_how_many_are_before_it(dock, tell, queue, select):
    queue(tell, "a", "b", "c")
    tell({"id": "d", "state": "running"})
    select(dock.jobs, "c")
    assert "3 jobs are before it." in dock.jobs.details.toPlainText()


def test_finished_job_shows_its_curve_here_too(dock, tell, sent, select):
    tell({"state": "succeeded"})
    page = dock.jobs
    select(page, "wood")
    assert [(one.type, one.body["job"]) for one in sent if one.type == "subscribe"][-1] == ("subscribe", "a")
    assert not page.panel.isTabEnabled(1)
    tell({"state": "succeeded", "metrics": {"train_loss": ((1, 0.9), (2, 0.5))}})
    page.panel.setCurrentIndex(1)
    assert page.panel.curve.metrics["train_loss"] == ((1, 0.9), (2, 0.5))


def test_log_can_be_searched_and_shows_warnings_alone(dock, tell, qtbot, select, press):
    logs = (("info", "Read 5 dates"), ("warning", "Two labels disagree"), ("info", "Epoch 1"))
    tell({"state": "running", "logs": logs})
    page = dock.jobs
    select(page, "wood")
    page.panel.setCurrentIndex(2)
    log = page.panel.log
    assert log.text.toPlainText().splitlines() == ["Read 5 dates", "WARNING  Two labels disagree", "Epoch 1"]
    qtbot.keyClicks(log.find, "epoch")
    assert log.text.textCursor().selectedText() == "Epoch"
    log.warnings.setChecked(True)
    assert log.text.toPlainText() == "WARNING  Two labels disagree"
    tell({"state": "running", "logs": (*logs, ("warning", "The disk is nearly full"))})
    assert log.text.toPlainText().splitlines()[-1] == "WARNING  The disk is nearly full"
    press(qtbot, page, "timoJobsLogCopy")
    assert QGuiApplication.clipboard().text() == log.text.toPlainText()


def test_log_is_kept_in_a_file_of_the_analysts(dock, tell, qtbot, tmp_path, select, press):
    tell({"state": "failed", "logs": (("info", "Read 5 dates"),)})
    page = dock.jobs
    select(page, "wood")
    page.panel.setCurrentIndex(2)
    press(qtbot, page, "timoJobsLogSave")
    dialog = page.findChild(QFileDialog, "timoSaveDialog")
    dialog.fileSelected.emit(str(tmp_path / "log.txt"))
    dialog.close()
    assert (tmp_path / "log.txt").read_text(encoding="utf-8") == "Read 5 dates\n"


def test_outputs_say_how_large_they_are_and_which_are_gone(dock, tell, qtbot, tmp_path, select, press):
    (tmp_path / "map.tif").write_bytes(b"x" * 2048)
    (tmp_path / "dates").mkdir()
    (tmp_path / "dates" / "1.tif").write_bytes(b"x" * 1024)
    artifacts = (("map", str(tmp_path / "map.tif")), ("maps_per_date", str(tmp_path / "dates")),
                 ("confidence", str(tmp_path / "gone.tif")))  # fmt: skip
    tell({"task": "predict", "state": "succeeded", "artifacts": artifacts})
    page = dock.jobs
    select(page, "wood")
    page.panel.setCurrentIndex(3)
    tree = page.panel.outputs.tree

    def rows():
        return [tuple(tree.topLevelItem(n).text(c) for c in (0, 1)) for n in range(tree.topLevelItemCount())]

    qtbot.waitUntil(lambda: all(size for _, size in rows()))
    assert [kind for kind, _ in rows()] == ["Map", "Maps of the dates", "Confidence"]
    assert rows()[0][1].startswith("2") and rows()[1][1].startswith("1")
    assert rows()[2][1] == "moved or deleted"
    with qtbot.waitSignal(page.opened):
        press(qtbot, page, "timoJobsOpen")


def test_report_has_what_a_helper_needs(dock, tell, qtbot, select, press):
    error = {"code": "x", "message": "The disk is full.", "action": "Free some.", "detail": {"path": "/d"}}
    tell({"state": "failed", "error": error, "logs": (("warning", "Little room"),)})
    page = dock.jobs
    select(page, "wood")
    press(qtbot, page, "timoJobsCopy")
    text = QGuiApplication.clipboard().text()
    for part in ("The disk is full.", "/x/wood", "Little room", '"path": "/d"', "Job a"):
        assert part in text


def lines(count, first=0):
    return tuple(("info" if n % 3 else "warning", f"line {n}") for n in range(first, first + count))


def test_long_log_loses_its_first_lines_and_what_is_read_stays_in_sight(dock, tell, select, qtbot):
    tell({"state": "running", "logs": lines(2000)})
    page = dock.jobs
    select(page, "wood")
    page.panel.setCurrentIndex(2)
    log = page.panel.log
    bar = log.text.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 1000)

    def top():
        return log.text.firstVisibleBlock().text()

    bar.setValue(1000)
    assert top() == "line 1000"
    log.find.setText("line 1003")
    bar.setValue(1000)
    writes = []
    log.text.document().contentsChange.connect(lambda _, gone, come: writes.append((gone, come)))
    for dropped in (1, 2, 700):
        tell({"state": "running", "logs": lines(2000, dropped), "unlogged": dropped})
        assert top() == "line 1000"
    assert log.text.toPlainText().splitlines()[0] == "line 700"
    assert log.text.toPlainText().splitlines()[-1] == "line 2699"
    assert log.text.textCursor().selectedText() == "line 1003"
    assert max(gone for gone, _ in writes) < 12_000, "it was never written anew"
    bar.setValue(bar.maximum())
    tell({"state": "running", "logs": lines(2000, 701), "unlogged": 701})
    assert bar.value() == bar.maximum(), "who reads the end follows it"


def test_long_log_of_warnings_alone_grows_too(dock, tell, select):
    tell({"state": "running", "logs": lines(2000)})
    page = dock.jobs
    select(page, "wood")
    page.panel.setCurrentIndex(2)
    page.panel.log.warnings.setChecked(True)
    for first in (3, 4, 4000):
        tell({"state": "running", "logs": lines(2000, first), "unlogged": first})
        wanted = [f"WARNING  {text}" for level, text in lines(2000, first) if level == "warning"]
        assert page.panel.log.text.toPlainText().splitlines() == wanted
