# SPDX-License-Identifier: GPL-3.0-or-later
"""What Processing loads when a job has ended: styled, with its dates, and never a replaced file's pixels."""

from __future__ import annotations

from pathlib import Path

import pytest
from qgis.core import QgsPointXY, QgsProcessingContext, QgsProject

CLASSES = {1: ("wood", (0, 100, 0)), 2: ("field", (200, 200, 0))}
OTHERS = {1: ("sand", (230, 220, 160)), 2: ("water", (0, 0, 200))}


@pytest.fixture
def load(algorithm, package, make_map, make_feedback, qgis_processing, tmp_path):
    """Loads a job's map as the toolbox does, beside its maps of two dates; or asks for the file alone.

    The files are replaced by rename, as the backend does it; ``typed`` is the map's path in the user's words.
    """
    from processing.gui.Postprocessing import handleAlgorithmResults
    from timo_qgis.backend.jobs import JobView
    from timo_qgis.processing.styling import dress_on_load

    def write(name, values, classes, tags=None):
        make_map("made.tif", values, classes, tags).replace(tmp_path / name)
        Path(f"{tmp_path / 'made.tif'}.aux.xml").replace(f"{tmp_path / name}.aux.xml")

    def run(name, shown=True, typed="", job="", values=((1, 2),), classes=CLASSES):
        context, project = QgsProcessingContext(), QgsProject.instance()
        context.setProject(project)
        path = str(tmp_path / f"{name}.tif")
        (tmp_path / f"{name}-dates").mkdir(exist_ok=True)
        write(f"{name}.tif", values, classes)
        for date in ("2020-01-15", "2020-03-01"):
            write(f"{name}-dates/{name}_{date}.tif", values, classes, {"TIMO_DATE": date})
        if shown:
            details = QgsProcessingContext.LayerDetails(name, project, "out")
            context.addLayerToLoadOnCompletion(typed or path, details)
        paths = {"map": path, "maps_per_date": str(tmp_path / f"{name}-dates")}
        dress_on_load(JobView(job or f"job-{name}", task="predict", state="succeeded"), paths, context)
        assert handleAlgorithmResults(algorithm("predict"), context, make_feedback(), parameters={})

    return run


def seen(layer):
    """The layer's width in pixels and on the map, its first pixel, its legend, and its job."""
    extent = layer.extent()
    corner = QgsPointXY(extent.xMinimum() + 1, extent.yMaximum() - 1)
    legend = [c.label for c in layer.renderer().classes()]
    value, _ = layer.dataProvider().sample(corner, 1)
    return layer.width(), extent.width(), value, legend, layer.customProperty("timo/job")


def test_maps_of_every_date_come_beside_the_map_in_a_group_of_their_job(load, qtbot):
    load("one")
    load("two")
    project = QgsProject.instance()
    qtbot.waitUntil(lambda: len(project.mapLayers()) == 6)
    groups = {group.name(): group for group in project.layerTreeRoot().findGroups()}
    assert set(groups) == {"one", "two"}
    for group in groups.values():
        (inner,) = group.findGroups()
        assert [node.name() for node in inner.findLayers()] == ["2020-01-15", "2020-03-01"]
        assert all(node.layer().temporalProperties().isActive() for node in inner.findLayers())
        assert not inner.isVisible()


def test_maps_of_every_date_are_not_loaded_where_the_map_is_not(load, qtbot):
    load("one", shown=False)
    qtbot.wait(200)
    assert not QgsProject.instance().mapLayers()


def test_another_project_gets_no_maps_of_dates(load, qtbot):
    load("one")
    QgsProject.instance().clear()
    qtbot.wait(200)
    assert not QgsProject.instance().mapLayers()


def test_map_that_replaces_a_layers_file_is_shown_by_it_and_by_its_maps_of_dates(load, qtbot):
    project = QgsProject.instance()
    load("one")
    qtbot.waitUntil(lambda: len(project.mapLayers()) == 3)
    layers = list(project.mapLayers().values())
    copy = next(layer for layer in layers if layer.name() == "one").clone()
    project.addMapLayer(copy)
    former = (2, 20.0, 1, ["wood", "field"], "job-one")
    assert all(seen(one) == former for one in [*layers, copy])

    load("one", job="job-two", values=((2, 2, 1),), classes=OTHERS)
    wanted = (3, 30.0, 2, ["sand", "water"], "job-two")
    qtbot.waitUntil(lambda: all(seen(one) == wanted for one in [*layers, copy]))
    qtbot.wait(100)
    assert len(project.mapLayers()) == 4


@pytest.mark.parametrize("typed", ["{folder}/./one.tif", "one.tif"])
def test_map_whose_path_was_typed_in_other_words_is_styled_too(load, qtbot, tmp_path, monkeypatch, typed):
    monkeypatch.chdir(tmp_path)
    load("one", typed=typed.format(folder=tmp_path))
    qtbot.waitUntil(lambda: len(QgsProject.instance().mapLayers()) == 3)
    for layer in QgsProject.instance().mapLayers().values():
        assert seen(layer)[3:] == (["wood", "field"], "job-one")
