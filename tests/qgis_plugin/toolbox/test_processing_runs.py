# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks in Processing with the real backend: from a script, the toolbox, a model and ``qgis_process``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsPalettedRasterRenderer,
    QgsProcessingAlgRunnerTask,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
)


def train(algorithm, context, scene, fields, out, feedback, **more):
    values = {
        "series": scene,
        "labels": fields,
        "class_field": "class",
        "out": str(out),
        "device": "cpu",
        **more,
    }
    return algorithm("finetune").run(values, context, feedback, {}, False)


def test_from_labels_to_a_styled_map_and_its_evaluation(
    make_feedback, algorithm, context, scene, fields, real_backend, tmp_path, qgis_processing
):
    feedback = make_feedback()
    results, fine = train(algorithm, context, scene, fields, tmp_path / "model", feedback, epochs=2)
    assert fine and (tmp_path / "model" / "model.json").is_file()
    assert 0 <= results["accuracy"] <= 1
    assert feedback.steps[-1] == 100 and len(set(feedback.steps)) > 2
    assert any("epoch" in text.lower() for text in feedback.texts)

    # as the toolbox does it: layers are loaded, named and styled
    from processing.gui.Postprocessing import handleAlgorithmResults

    def loaded(name):
        return QgsProcessingOutputLayerDefinition(str(tmp_path / name), QgsProject.instance())

    one, feedback = algorithm("predict"), make_feedback()
    values = {
        "series": scene, "model": str(tmp_path / "model"), "out": loaded("map.tif"),
        "confidence": loaded("sure.tif"), "polygons": loaded("areas.gpkg"), "device": "cpu",
    }  # fmt: skip
    assert one.checkParameterValues(values, context) == (True, "")
    results, fine = one.run(values, context, feedback, {}, False)
    assert fine and results["out"] == str(tmp_path / "map.tif")
    assert handleAlgorithmResults(one, context, feedback, parameters=values)
    layers = {
        Path(layer.source().split("|")[0]).name: layer for layer in QgsProject.instance().mapLayers().values()
    }
    renderer = layers["map.tif"].renderer()
    assert isinstance(renderer, QgsPalettedRasterRenderer)
    assert {c.label: c.color.name() for c in renderer.classes()} == {"crop": "#2f9e6e", "bare": "#d9822b"}
    assert "Model: model" in layers["map.tif"].metadata().abstract()
    assert layers["sure.tif"].renderer().type() == "singlebandpseudocolor"
    areas = layers["areas.gpkg"]
    drawn = {one.label(): one.symbol().color().name() for one in areas.renderer().categories()}
    assert drawn["crop"] == "#2f9e6e" and "Model: model" in areas.metadata().abstract()

    # and as a script does it, from a folder
    import processing

    feedback = make_feedback()
    report = processing.run(
        "timo:evaluate",
        {
            "series_source": str(tmp_path), "model": str(tmp_path / "model"), "labels": fields,
            "class_field": "class", "areas": False, "out": str(tmp_path / "report"), "device": "cpu",
        },
        feedback=feedback,
    )  # fmt: skip
    assert Path(report["report"]).is_file()
    assert any("Learnt " in text and "random weights" in text for text in feedback.lines)
    assert 0 <= report["accuracy"] <= 1


@pytest.mark.slow
def test_maps_of_every_date_are_loaded_with_the_map_and_play_in_time(
    make_feedback, algorithm, context, scene, fields, real_backend, tmp_path, qgis_processing, qtbot
):
    from processing.gui.Postprocessing import handleAlgorithmResults

    dates = ("2020-03-01", "2020-05-01")
    few = scene[:3]
    place = fields.fields().lookupField("note")
    for number, feature in enumerate(fields.getFeatures()):
        fields.dataProvider().changeAttributeValues({feature.id(): {place: dates[number % 2]}})
    more = {"per_date": True, "date_field": "note", "epochs": 1}
    _, fine = train(algorithm, context, few, fields, tmp_path / "model", make_feedback(), **more)
    assert fine
    (tmp_path / "days").mkdir()  # as when it is chosen by browsing
    one, feedback = algorithm("predict"), make_feedback()
    values = {
        "series": few, "model": str(tmp_path / "model"), "device": "cpu", "per_date": str(tmp_path / "days"),
        "out": QgsProcessingOutputLayerDefinition(str(tmp_path / "map.tif"), QgsProject.instance()),
    }  # fmt: skip
    results, fine = one.run(values, context, feedback, {}, False)
    assert fine and results["per_date"] == str(tmp_path / "days")
    assert handleAlgorithmResults(one, context, feedback, parameters=values)
    root = QgsProject.instance().layerTreeRoot()
    qtbot.waitUntil(lambda: root.findGroup("Every date") is not None)
    group = root.findGroup("Every date")
    qtbot.waitUntil(lambda: len(group.findLayers()) == 3)
    layers = [node.layer() for node in group.findLayers()]
    assert [layer.name() for layer in layers] == [f"2020-0{month}-01" for month in (3, 4, 5)]
    spans = [layer.temporalProperties().fixedTemporalRange() for layer in layers]
    assert all(layer.temporalProperties().isActive() for layer in layers)
    assert [span.begin().date().month() for span in spans] == [3, 4, 5]
    assert [span.end().date().month() for span in spans[:2]] == [4, 5]
    assert {c.label for c in layers[0].renderer().classes()} == {"crop", "bare"}
    assert group.parent().name() == "map" and not group.isVisible()


def test_cancel_ends_the_job_and_then_the_algorithm(
    make_feedback, algorithm, context, scene, fields, real_backend, tmp_path
):
    feedback = make_feedback()
    began = feedback.cancel_at("Epoch", 240)
    results, _ = train(algorithm, context, scene, fields, tmp_path / "model", feedback, epochs=1000)
    assert began.is_set()
    assert results == {}
    assert not (tmp_path / "model").exists()
    answer = subprocess.run(
        [str(real_backend), "jobs", "--home", str(tmp_path / "home"), "--json"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert [job["state"] for job in json.loads(answer.stdout)] == ["cancelled"]


def test_run_in_a_thread_of_the_toolbox_and_as_a_step_of_a_model(
    make_feedback, algorithm, context, scene, fields, real_backend, tmp_path, qtbot
):
    feedback, one, ends = make_feedback(), algorithm("finetune"), []
    values = {
        "series": scene, "labels": fields, "class_field": "class", "out": str(tmp_path / "model"),
        "device": "cpu", "epochs": 1,
    }  # fmt: skip
    task = QgsProcessingAlgRunnerTask(one, values, context, feedback)
    task.executed.connect(lambda fine, results: ends.append((fine, results)))
    QgsApplication.taskManager().addTask(task)
    qtbot.waitUntil(lambda: bool(ends), timeout=240_000)
    assert ends[0][0] and ends[0][1]["out"] == str(tmp_path / "model")

    step = QgsProcessingModelChildAlgorithm("timo:predict")
    step.setChildId("map")
    source = QgsProcessingModelChildParameterSource.fromStaticValue
    for name, value in {
        "series": [layer.source() for layer in scene], "model": str(tmp_path / "model"), "device": "cpu",
    }.items():  # fmt: skip
        step.addParameterSources(name, [source(value)])
    output = QgsProcessingModelOutput("result", "result")
    output.setChildOutputName("out")
    output.setChildId("map")
    step.setModelOutputs({"result": output})
    model = QgsProcessingModelAlgorithm("map it")
    model.addChildAlgorithm(step)
    model.initAlgorithm()
    model.updateDestinationParameters()
    out = str(tmp_path / "of-a-model.tif")
    results, fine = model.run({"map:result": out}, context, make_feedback(), {}, False)
    assert fine and results["map:result"] == out
    assert Path(out).is_file()


def test_job_that_fails_says_why_in_a_sentence(
    make_feedback, algorithm, context, scene, make_labels, real_backend, tmp_path
):
    far = make_labels([("a", (9000, 9000, 9010, 9010)), ("b", (9020, 9000, 9030, 9010))], name="far")
    with pytest.raises(QgsProcessingException) as caught:
        train(algorithm, context, scene, far, tmp_path / "model", make_feedback(), epochs=1)
    assert "Traceback" not in str(caught.value)
    assert str(caught.value).count(".") >= 2


QGIS_PROCESS = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
"""Debian's wrapper gives its program an option that it does not know."""


@pytest.mark.skipif(QGIS_PROCESS is None, reason="the program qgis_process is not on PATH")
def test_qgis_process_maps_a_series_with_the_plugin_from_its_zip(
    make_feedback, algorithm, context, scene, fields, real_backend, plugin_zip, tmp_path
):
    train(algorithm, context, scene, fields, tmp_path / "model", make_feedback(), epochs=1)
    profile = tmp_path / "qgis" / "profiles" / "default"
    with zipfile.ZipFile(plugin_zip) as archive:
        archive.extractall(profile / "python" / "plugins")
    folders = {
        "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "qgis"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }

    def qgis_process(*arguments):
        return subprocess.run(
            [QGIS_PROCESS, "--json", *arguments],
            env={**os.environ, **folders, "QT_QPA_PLATFORM": "offscreen"},
            check=False, capture_output=True, text=True, timeout=240,
        )  # fmt: skip

    def run(*values):
        return qgis_process("run", "timo:predict", "--", *values)

    enabled = qgis_process("plugins", "enable", "timo_qgis")
    assert enabled.returncode == 0, enabled.stderr
    layers = [f"series={layer.source()}" for layer in scene]
    model, out = f"model={tmp_path / 'model'}", tmp_path / "map.tif"
    done = run(*layers, model, f"out={out}", "device=cpu")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"] == {"out": str(out)}
    assert out.is_file()

    again = run(*layers, model, f"out={out}", "device=cpu")
    assert again.returncode != 0
    assert "exists already" in again.stdout + again.stderr
    assert "Traceback" not in again.stdout + again.stderr
