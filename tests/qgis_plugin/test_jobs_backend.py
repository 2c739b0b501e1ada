# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs with the real backend, by the widgets: paused, reordered, ended early, tried again, found again."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import numpy as np
import pytest
from qgis.core import QgsProject, QgsVectorFileWriter
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QMessageBox

ROOT = Path(__file__).resolve().parents[2]
SIZE = 96
READY, JOB = 60_000, 240_000


@pytest.fixture
def sources(write_raster, make_labels, tmp_path):
    """Parameters of a training on five dates of a scene whose left part grows green."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "scene"
    for number in range(5):
        values = generator.integers(200, 400, (4, SIZE, SIZE)).astype(np.uint16)
        values[3, :, : SIZE // 2] += np.uint16(600 * number)
        write_raster(f"S2_{dt.date(2020, 3 + number, 1):%Y%m%d}.tif", values=values, folder=folder)
    boxes = [(x, y, x + 10, y + 10) for x in range(2, SIZE - 10, 14) for y in range(2, SIZE - 10, 14)]
    rows = [("crop" if box[2] <= SIZE // 2 else "bare", box) for box in boxes if not box[0] < 48 < box[2]]
    layer, path = make_labels(rows), tmp_path / "labels.gpkg"
    options = QgsVectorFileWriter.SaveVectorOptions()
    QgsVectorFileWriter.writeAsVectorFormatV3(
        layer, str(path), QgsProject.instance().transformContext(), options
    )
    return {"series": [str(folder)], "labels": str(path), "class_field": "class"}


@pytest.fixture
def running(plugin, backend_program, monkeypatch, tmp_path, qtbot):
    """The dock with a backend that it started itself."""
    monkeypatch.setenv("TIMO_BACKEND", str(backend_program))
    dock = plugin.open()
    qtbot.waitUntil(lambda: dock.shared.backend.state.ready, timeout=READY)
    yield dock
    dock.shared.backend.close()
    command = [str(backend_program), "stop", "--home", str(tmp_path / "home")]
    subprocess.run(command, check=False, capture_output=True, timeout=30)


@pytest.fixture
def served(backend_program, package, tmp_path, qtbot):
    """The home of a backend that runs already."""
    home = tmp_path / "home"
    python = backend_program.with_name(backend_program.name.replace("timo-backend", "python"))
    server = subprocess.Popen([str(python), "-m", "timo_backend", "serve", "--home", str(home)], cwd=ROOT)
    try:
        qtbot.waitUntil((home / "connection.json").exists, timeout=READY)
        yield home
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def submit(running, sources, qtbot, tmp_path):
    """Starts a training of this name, and gives its id."""

    def submitted(name, epochs=1000, dock=running):
        spec = {**sources, "out": str(tmp_path / name), "epochs": epochs, "patience": epochs}
        with qtbot.waitSignal(dock.shared.backend.submitted, timeout=20_000) as signal:
            dock.train.follower.submit(spec)
        return signal.args[1]

    return submitted


def press(qtbot, dock, name):
    button = dock.findChild(QAbstractButton, name)
    qtbot.waitUntil(button.isEnabled, timeout=10_000)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def select(qtbot, dock, job):
    dock.tabs.setCurrentWidget(dock.jobs)
    qtbot.waitUntil(lambda: dock.jobs.model.row(job) >= 0, timeout=10_000)
    view = dock.jobs.view
    view.selectRow(view.proxy.mapFromSource(dock.jobs.model.index(dock.jobs.model.row(job), 0)).row())


def wait(qtbot, dock, job, *states, timeout=JOB):
    jobs = dock.shared.backend.jobs
    qtbot.waitUntil(lambda: job in jobs and jobs[job].state in states, timeout=timeout)
    return jobs[job]


def test_a_training_rests_goes_on_and_ends_early_with_its_best(running, submit, qtbot, tmp_path):
    dock = running
    job = submit("woods")
    wait(qtbot, dock, job, "running")
    dock.tabs.setCurrentWidget(dock.train)
    qtbot.waitUntil(lambda: "val_miou" in dock.train.box.job.metrics, timeout=JOB)
    assert dock.train.box.message.text().count(" · ") >= 1
    assert dock.shared.backend.device_name(dock.train.box.job.device) in dock.train.box.message.text()

    press(qtbot, dock, "timoTrainPause")
    wait(qtbot, dock, job, "paused", timeout=60_000)
    assert "Paused" in dock.train.box.message.text()
    known = dock.train.box.job.metrics["train_loss"]
    press(qtbot, dock, "timoTrainResume")
    qtbot.waitUntil(lambda: dock.train.box.job.metrics["train_loss"][-1][0] > known[-1][0], timeout=JOB)
    steps = [step for step, _ in dock.train.box.job.metrics["train_loss"]]
    assert steps == list(range(1, len(steps) + 1)), "one whole curve"

    press(qtbot, dock, "timoTrainFinish")
    qtbot.waitUntil(lambda: "ends soon" in dock.train.box.note.text(), timeout=10_000)
    wait(qtbot, dock, job, "succeeded")
    assert (tmp_path / "woods" / "model.json").exists()


def test_jobs_change_places_and_a_cancelled_one_is_tried_again(running, submit, qtbot):
    dock = running
    first = submit("first")
    wait(qtbot, dock, first, "running")
    second, third = submit("second"), submit("third")
    qtbot.waitUntil(lambda: [j.id for j in dock.jobs.model.jobs] == [first, second, third], timeout=10_000)
    select(qtbot, dock, third)
    press(qtbot, dock, "timoJobsUp")
    qtbot.waitUntil(lambda: [j.id for j in dock.jobs.model.jobs] == [first, third, second], timeout=10_000)
    assert dock.jobs.selected().id == third

    press(qtbot, dock, "timoJobsCancel")
    wait(qtbot, dock, third, "cancelled")
    select(qtbot, dock, third)
    press(qtbot, dock, "timoJobsRetry")
    qtbot.waitUntil(lambda: dock.jobs.model.rowCount() == 4, timeout=10_000)
    again = next(job for job in dock.jobs.model.jobs if job.parent == third)
    assert again.waiting and again.name == "third"
    for job in (again.id, second, first):
        dock.shared.backend.cancel(job)
    wait(qtbot, dock, first, "cancelled", timeout=30_000)


def test_result_of_a_job_is_added_once_when_qgis_was_killed_meanwhile(
    running, submit, sources, package, make_iface, qtbot, tmp_path
):
    first = running
    model = submit("woods", epochs=1)
    wait(qtbot, first, model, "succeeded")
    long = submit("long")
    qtbot.waitUntil(lambda: len(first.train.box.job.metrics.get("train_loss", ())) > 1, timeout=JOB)
    out = str(tmp_path / "map.tif")
    spec = {"series": sources["series"], "model": str(tmp_path / "woods"), "out": out}
    with qtbot.waitSignal(first.shared.backend.submitted, timeout=20_000) as signal:
        first.predict.follower.submit(spec)
    job = signal.args[1]
    first.shared.backend.close()  # QGIS is killed: nothing is unloaded
    first.arrivals.waiting.close()  # a lock of a program that has ended holds no more

    def layers():
        return [one for one in QgsProject.instance().mapLayers().values() if one.source() == out]

    plugins = []
    try:
        for time in (1, 2):
            plugins.append(package.classFactory(make_iface()))
            plugins[-1].initGui()
            dock = plugins[-1].open()
            qtbot.waitUntil(lambda dock=dock: dock.jobs.model.rowCount() == 3, timeout=READY)
            if time == 1:
                qtbot.waitUntil(lambda dock=dock: "train_loss" in dock.train.box.job.metrics, timeout=10_000)
                assert dock.train.box.job.metrics["train_loss"][0][0] == 1, (
                    "its curve from the first epoch on"
                )
                assert not layers()
                dock.shared.backend.cancel(long)
                wait(qtbot, dock, job, "succeeded")
                qtbot.waitUntil(lambda: bool(layers()), timeout=20_000)
            qtbot.wait(2500)  # the list has come again
            assert len(layers()) == 1
            qtbot.waitUntil(lambda dock=dock: dock.arrivals.waiting.projects == {}, timeout=20_000)
            dock.shared.backend.close()
    finally:
        for plugin in plugins:
            plugin.unload()


def test_jobs_are_removed_by_the_window_and_another_qgis_hears_of_it(
    plugin, package, tmp_path, served, qtbot
):
    home, dock = served, plugin.open()
    backend, results = dock.shared.backend, tmp_path / "results"
    results.mkdir()
    (results / "kept.tif").write_text("a map")
    spec = {"series": ["/nowhere"], "model": "/nowhere", "out": str(results / "kept.tif")}
    jobs = set()
    for dry_run in (False, False, True):
        with qtbot.waitSignal(backend.submitted, timeout=READY) as signal:
            backend.submit("predict", {**spec, "dry_run": dry_run})
        jobs.add(signal.args[1])
        backend.cancel(signal.args[1])
    other = type(backend)("", home)  # another QGIS
    other.start()
    try:
        for one in (backend, other):
            qtbot.waitUntil(lambda one=one: set(one.jobs) == jobs, timeout=READY)
            qtbot.waitUntil(lambda one=one: all(job.final for job in one.jobs.values()), timeout=JOB)
        (home / "logs" / f"{min(jobs)}.log").write_text("a line")
        dock.tabs.setCurrentWidget(dock.jobs)
        press(qtbot, dock, "timoJobsCleanUp")
        window = dock.window().findChild(QObject, "timoCleanUp")
        window.choices["all"].setChecked(True)
        qtbot.waitUntil(window.remove.isEnabled, timeout=READY)
        assert window.found.text().startswith("2 jobs, ")
        with qtbot.waitSignal(window.destroyed, timeout=READY):
            qtbot.mouseClick(window.remove, Qt.MouseButton.LeftButton)
        assert dock.jobs.told.text().startswith("2 jobs removed, ")
        assert dock.jobs.model.rowCount() == 0 and backend.jobs == {}
        assert [path.name for path in (home / "logs").iterdir()] == ["server.log"]
        assert (results / "kept.tif").exists()
        qtbot.waitUntil(lambda: other.jobs == {}, timeout=READY)
        qtbot.wait(2500)  # the list has come again
        assert backend.jobs == other.jobs == {}
    finally:
        assert other.close() and backend.close()


def test_all_jobs_are_listed_where_one_message_has_no_room_for_them(plugin, served, tmp_path, qtbot):
    dock, jobs = plugin.open(), set()
    spec = {"series": ["/" + "x" * 1000] * 250, "model": str(tmp_path / "none"), "out": "/nowhere/map.tif"}
    for _ in range(8):
        with qtbot.waitSignal(dock.shared.backend.submitted, timeout=READY) as signal:
            dock.shared.backend.submit("predict", spec)
        jobs.add(signal.args[1])
    later = type(dock.shared.backend)("", served)  # of a QGIS that is started now
    later.start()
    try:
        qtbot.waitUntil(lambda: set(later.jobs) == jobs, timeout=READY)
    finally:
        assert later.close() and dock.shared.backend.close()


def test_backend_that_was_set_up_anew_replaces_the_one_that_runs_and_its_job_goes_on(
    running, submit, backend_program, tmp_path, qtbot
):
    dock, connection = running, tmp_path / "home" / "connection.json"
    job = submit("woods")
    wait(qtbot, dock, job, "running")
    qtbot.waitUntil(
        (tmp_path / "woods.training" / "checkpoint.pt").exists, timeout=JOB
    )  # what it goes on from
    before = connection.read_text()
    dock.open_setup()
    dock.setup.ready.emit(str(backend_program))
    question = dock.findChild(QMessageBox, "timoQuestion")
    assert "1 job runs" in question.informativeText() and connection.read_text() == before
    agree = next(b for b in question.buttons() if b.text().replace("&", "") == "Replace it")
    qtbot.mouseClick(agree, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: connection.exists() and connection.read_text() != before, timeout=READY)
    qtbot.waitUntil(lambda: dock.shared.backend.state.ready, timeout=READY)
    qtbot.waitUntil(lambda: dock.shared.backend.jobs[job].attempt == 2, timeout=READY)
    assert wait(qtbot, dock, job, "running", "failed").state == "running"

    dock.shared.backend.cancel(job)
    wait(qtbot, dock, job, "cancelled", timeout=60_000)
    before = connection.read_text()
    dock.setup.ready.emit(str(backend_program))  # with nothing to lose, nothing is asked
    qtbot.waitUntil(lambda: connection.exists() and connection.read_text() != before, timeout=READY)
    qtbot.waitUntil(lambda: dock.shared.backend.state.ready, timeout=READY)
