# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of finished jobs come into the project that they were begun in, and into no other unasked."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from qgis.core import QgsProject, QgsSettings
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QPushButton


@pytest.fixture
def predicted(dock, write_raster, qtbot):
    """Submits a job, and later ends it: ``predicted("running")``, ``predicted("succeeded")``."""
    from timo_qgis.backend.jobs import JobView

    qtbot.waitUntil(lambda: dock.shared.backend.state.phase == "missing")
    path = write_raster("map.tif", np.ones((1, 8, 8), np.uint8), ("class",))

    def tell(state, **values):
        spec = {"out": str(path)}
        take(dock, [JobView("a", task="predict", state=state, spec=spec, **values)])

    dock.shared.backend._on_answer("key", {"job": "a"})
    tell("running")
    return tell


def take(window, jobs):
    """The backend tells of jobs; arrivals take them in the next turn."""
    window.shared.backend._on_jobs(list(jobs))
    QApplication.processEvents()


def names():
    return [layer.name() for layer in QgsProject.instance().mapLayers().values()]


def test_map_comes_into_the_project_it_was_begun_in(predicted, qtbot):
    predicted("succeeded")
    qtbot.waitUntil(lambda: names() == ["map"])


def test_map_comes_into_another_project_only_when_asked_for(predicted, iface, qtbot):
    QgsProject.instance().clear()
    predicted("running")
    predicted("succeeded")
    button = iface.bar.currentItem().findChild(QPushButton)
    assert button.text() == "Add to the project"
    assert names() == []
    button.click()
    qtbot.waitUntil(lambda: names() == ["map"])


def test_map_that_ended_while_another_project_was_open_comes_into_its_own_when_that_is_opened(
    predicted, dock, other, tmp_path, qtbot
):
    ready(dock, other)
    qtbot.waitUntil(lambda: all(window.arrivals.waiting._own for window in (dock, other)))
    file, told = str(tmp_path / "mine.qgz"), []
    for window in (dock, other):
        window.arrivals.added.connect(told.append)
    assert QgsProject.instance().write(file)
    QgsProject.instance().clear()
    predicted("succeeded")
    take(other, dock.shared.backend.jobs.values())
    assert names() == [] and kept() == ["a"]
    assert QgsProject.instance().read(file)
    qtbot.waitUntil(lambda: told == ["a"])
    qtbot.wait(300)  # the other window looks
    assert names() == ["map"] and told == ["a"] and kept() == []


def test_map_that_was_added_elsewhere_still_comes_into_its_own_project(
    predicted, dock, iface, tmp_path, qtbot
):
    ready(dock)
    file = str(tmp_path / "mine.qgz")
    assert QgsProject.instance().write(file)
    QgsProject.instance().clear()
    predicted("succeeded")
    iface.bar.currentItem().findChild(QPushButton).click()
    qtbot.waitUntil(lambda: names() == ["map"])
    assert QgsProject.instance().read(file)
    qtbot.waitUntil(lambda: names() == ["map"] and kept() == [])


def test_map_is_offered_to_other_projects_once_and_not_at_every_start(
    predicted, dock, other, tmp_path, monkeypatch
):
    from timo_qgis import arrivals

    told = []
    monkeypatch.setattr(arrivals, "log", lambda text, *_, **__: told.append(text))
    ready(dock, other)
    assert QgsProject.instance().write(str(tmp_path / "mine.qgz"))
    QgsProject.instance().clear()
    predicted("succeeded")
    assert told == ["Map 'map.tif' is ready."]
    dock.arrivals.close()
    other.arrivals.waiting.projects.update(other.arrivals.waiting.look())  # the next QGIS
    take(other, dock.shared.backend.jobs.values())
    assert "a" in other.arrivals.waiting.projects and kept() == ["a"]
    assert told == ["Map 'map.tif' is ready."]


def test_map_of_a_project_that_was_never_saved_is_waited_for_no_more(predicted):
    QgsProject.instance().clear()
    predicted("succeeded")
    assert kept() == []


def test_job_that_failed_is_shown_from_the_message_bar(predicted, dock, iface):
    predicted("failed", error={"message": "x.tif has no band 'nir'.", "action": "Pick another raster."})
    iface.bar.currentItem().findChild(QPushButton).click()
    assert dock.tabs.currentWidget() is dock.predict
    assert dock.predict.box.message.text() == "x.tif has no band 'nir'. Pick another raster."


def test_map_that_was_being_read_does_not_come_into_another_project(
    predicted, dock, iface, monkeypatch, qtbot
):
    waiting = []
    monkeypatch.setattr(
        dock.shared.background, "run", lambda read, done, **_: waiting.append(lambda: done(read()))
    )
    predicted("succeeded")
    QgsProject.instance().clear()
    for deliver in waiting:
        deliver()
    qtbot.waitUntil(lambda: iface.bar.currentItem() is not None)
    assert names() == []
    assert iface.bar.currentItem().findChild(QPushButton).text() == "Add to the project"


def test_layers_of_several_jobs_are_opened_one_after_another(dock, write_raster, qtbot):
    """The interface has its turn after each: it does not stand still until all are there."""
    from timo_qgis.backend.jobs import JobView

    qtbot.waitUntil(lambda: dock.shared.backend.state.phase == "missing")
    jobs = []
    for name in ("a", "b", "c"):
        paths = {}
        for kind, title in (("map", "class"), ("confidence", "confidence")):
            paths[kind] = str(write_raster(f"{name}-{kind}.tif", np.ones((1, 8, 8), np.uint8), (title,)))
        dock.shared.backend._on_answer(f"key-{name}", {"job": name})
        spec = {"out": paths["map"]}
        jobs.append(
            JobView(name, task="predict", state="succeeded", spec=spec, artifacts=tuple(paths.items()))
        )
    turns, added = [0], []
    timer = QTimer()
    timer.timeout.connect(lambda: turns.append(1))
    timer.start(0)
    project = QgsProject.instance()
    project.layersAdded.connect(lambda layers: added.extend(len(turns) for _ in layers))
    dock.shared.backend._on_jobs(jobs)
    qtbot.waitUntil(lambda: len(added) == 6)
    assert len(set(added)) == 6
    groups = [group.name() for group in project.layerTreeRoot().findGroups()]
    assert sorted(groups) == ["a-map", "b-map", "c-map"]


def test_layers_that_are_still_to_come_do_not_come_into_another_project(predicted, dock, iface, qtbot):
    dock.arrivals._timer.timeout.disconnect()
    predicted("succeeded")
    qtbot.waitUntil(lambda: len(dock.arrivals._turns) == 1)
    dock.arrivals._on_turn()
    assert names() == ["map"]
    QgsProject.instance().clear()
    dock.arrivals._on_turn()
    assert names() == []
    assert iface.bar.currentItem().findChild(QPushButton).text() == "Add to the project"


def test_job_whose_end_is_told_of_while_the_plugin_is_unloaded_is_left_to_the_next_start(predicted, dock):
    from timo_qgis.backend.jobs import JobView

    assert kept() == ["a"]
    failed = JobView("a", task="predict", state="failed", spec={}, error={"message": "no", "action": ""})
    dock.shared.backend._on_jobs([failed])
    dock.arrivals.close()
    QApplication.processEvents()
    assert kept() == ["a"]


# several windows of QGIS


@pytest.fixture
def other(package, make_iface, dock, qtbot):
    """A second window beside the dock's: the same settings, the same home."""
    plugin = package.classFactory(make_iface())
    plugin.initGui()
    window = plugin.open()
    qtbot.waitUntil(lambda: window.shared.backend.state.phase == "missing")
    yield window
    plugin.unload()


def ready(*docks):
    from timo_qgis.backend.link_state import LinkState

    for dock in docks:
        dock.shared.backend._on_state(LinkState("ready"))


def ended(path, *docks):
    """The backend tells all windows that the job has ended."""
    from timo_qgis.backend.jobs import JobView

    job = JobView(path.stem, task="predict", state="succeeded", spec={"out": str(path)})
    for dock in docks:
        take(dock, [job])


def kept():
    from timo_qgis.waiting import GROUP

    settings = QgsSettings()
    settings.sync()
    settings.beginGroup(GROUP)
    return sorted(settings.childKeys())


def test_two_windows_keep_their_jobs_apart(dock, other, write_raster, qtbot):
    ready(dock, other)
    qtbot.waitUntil(lambda: all(window.arrivals.waiting._own for window in (dock, other)))
    path = write_raster("a.tif", np.ones((1, 8, 8), np.uint8), ("class",))
    told = []
    other.arrivals.added.connect(told.append)
    dock.shared.backend._on_answer("1", {"job": "a"})
    other.shared.backend._on_answer("2", {"job": "b"})
    dock.shared.backend._on_answer("3", {"job": "c"})
    assert kept() == ["a", "b", "c"]
    with qtbot.waitSignal(dock.arrivals.added):
        ended(path, other, dock)
    qtbot.wait(300)  # the other one looks, and finds that the window which began it is there
    assert told == [] and names() == ["a"]
    assert kept() == ["b", "c"]


def test_job_of_a_window_that_was_closed_is_added_by_another(dock, other, write_raster, qtbot):
    ready(dock, other)
    qtbot.waitUntil(lambda: all(window.arrivals.waiting._own for window in (dock, other)))
    path = write_raster("a.tif", np.ones((1, 8, 8), np.uint8), ("class",))
    dock.shared.backend._on_answer("1", {"job": "a"})
    dock.arrivals.close()
    with qtbot.waitSignal(other.arrivals.added):
        ended(path, other)
    assert names() == ["a"] and kept() == []


def test_job_of_a_qgis_that_was_killed_is_taken_over_by_one_window(dock, other, tmp_path):
    """A real program holds the lock, and is killed; then two windows look at the same time."""
    import json
    import subprocess
    import time

    from timo_qgis.waiting import GROUP

    folder = tmp_path / "home" / "windows"
    folder.mkdir(parents=True, exist_ok=True)
    code = (
        "import sys, time; from qgis.PyQt.QtCore import QLockFile; lock = QLockFile(sys.argv[1]);"
        "lock.setStaleLockTime(0); print(lock.tryLock(0), flush=True); time.sleep(600)"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", code, str(folder / "killed.lock")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout.readline() == "True\n"
        record = {"project": "/x.qgz", "at": time.time(), "window": "killed"}
        settings = QgsSettings()
        settings.setValue(f"{GROUP}/a", json.dumps(record))
        settings.setValue(f"{GROUP}/old", json.dumps({**record, "at": 0}))
        settings.setValue(f"{GROUP}/damaged", "{")
        settings.sync()
        windows = [dock.arrivals.waiting, other.arrivals.waiting]
        assert [window.look() for window in windows] == [{}, {}]
    finally:
        program.kill()
        program.wait()
    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(lambda window: window.look(), windows))
    assert sorted(taken, key=len) == [{}, {"a": "/x.qgz"}]
    assert kept() == ["a", "damaged"]
    assert not (folder / "killed.lock").exists()
