# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks in Processing: the schema's parameters, real runs, styled maps, a sentence for each fault."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsPalettedRasterRenderer,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterDefinition,
    QgsProject,
    QgsRendererCategory,
    QgsSymbol,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

TASKS = ("predict", "finetune", "evaluate", "pretrain", "embed")
SIZE = 96


class Feedback(QgsProcessingFeedback):
    """Remembers what the analyst is told."""

    def __init__(self):
        super().__init__()
        self.lines, self.texts, self.warnings, self.steps = [], [], [], []
        self.progressChanged.connect(self.steps.append)

    def pushInfo(self, text):
        self.lines.append(text)

    def pushWarning(self, text):
        self.warnings.append(text)

    def setProgressText(self, text):
        self.texts.append(text)


@pytest.fixture
def provider(plugin):
    return plugin.provider


@pytest.fixture
def algorithm(provider):
    """A new algorithm, as a run gets it."""
    return lambda task: QgsApplication.processingRegistry().createAlgorithmById(f"timo:{task}")


@pytest.fixture
def context():
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context


@pytest.fixture
def scene(add_raster):
    """Five dates of a scene whose left part grows green and whose right part does not."""
    generator = np.random.default_rng(0)
    layers = []
    for number in range(5):
        values = generator.integers(200, 400, (4, SIZE, SIZE)).astype(np.uint16)
        values[3, :, : SIZE // 2] += np.uint16(600 * number)
        layers.append(add_raster(f"S2_{dt.date(2020, 3 + number, 1):%Y%m%d}.tif", values=values))
    return layers


@pytest.fixture
def fields(make_labels):
    """Parcels of two classes, crop drawn in #2f9e6e."""
    boxes = [(x, y, x + 10, y + 10) for x in range(2, SIZE - 10, 14) for y in range(2, SIZE - 10, 14)]
    layer = make_labels(
        [("crop" if box[2] <= SIZE // 2 else "bare", box) for box in boxes if not box[0] < 48 < box[2]]
    )
    categories = []
    for value, color in (("crop", "#2f9e6e"), ("bare", "#d9822b")):
        symbol = QgsSymbol.defaultSymbol(layer.geometryType())
        symbol.setColor(QColor(color))
        categories.append(QgsRendererCategory(value, symbol, value))
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", categories))
    return layer


@pytest.fixture
def real_backend(backend_program, monkeypatch, tmp_path):
    """The backend that an algorithm starts by itself; it is ended afterwards."""
    monkeypatch.setenv("TIMO_BACKEND", str(backend_program))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield backend_program
    subprocess.run(
        [str(backend_program), "stop", "--home", str(tmp_path / "home")],
        check=False,
        capture_output=True,
        timeout=30,
    )


@pytest.fixture
def bundle(tmp_path):
    """What looks like a model until it is read."""
    folder = tmp_path / "a-model"
    folder.mkdir()
    (folder / "model.json").write_text("{}", encoding="utf-8")
    return folder


def check(algorithm, values, context):
    """The sentence that stops a run before it begins; empty if nothing does."""
    fine, why = algorithm.checkParameterValues(values, context)
    assert fine == (not why)
    return why


# what the toolbox shows


def test_toolbox_has_the_five_tasks_and_loses_them_when_the_plugin_is_unloaded(plugin):
    registry = QgsApplication.processingRegistry()
    assert {one.id() for one in registry.providerById("timo").algorithms()} == {f"timo:{t}" for t in TASKS}
    plugin.unload()
    assert registry.providerById("timo") is None
    assert registry.algorithmById("timo:predict") is None


def test_plugin_without_a_window_offers_the_tasks_too(package):
    plugin = package.classFactory(None)
    plugin.initProcessing()
    try:
        assert QgsApplication.processingRegistry().algorithmById("timo:embed") is not None
    finally:
        plugin.unload()
    assert QgsApplication.processingRegistry().providerById("timo") is None


@pytest.mark.parametrize("task", TASKS)
def test_parameters_are_the_schemas(algorithm, task, package):
    from timo_qgis.processing.definitions import LEFT_OUT, SOURCE
    from timo_qgis.schema import parameters

    one = algorithm(task)  # it owns its parameters
    shown = {d.name(): d for d in one.parameterDefinitions()}
    wanted = [p for p in parameters(task) if p.name not in LEFT_OUT]
    assert set(shown) == {p.name for p in wanted} | {SOURCE}
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    optional = QgsProcessingParameterDefinition.Flag.FlagOptional
    for parameter in wanted:
        definition = shown[parameter.name]
        assert parameter.title in definition.description()
        assert definition.help()
        assert bool(definition.flags() & advanced) == parameter.advanced, parameter.name
        if parameter.kind == "integer" or parameter.kind == "number":
            assert definition.defaultValue() == parameter.default, parameter.name
            assert parameter.minimum is None or definition.minimum() == parameter.minimum
            assert parameter.maximum is None or definition.maximum() == parameter.maximum
        if parameter.kind == "choice":
            assert tuple(definition.options()) == parameter.choices
            assert definition.defaultValue() == parameter.default
        if parameter.optional:
            assert definition.flags() & optional, parameter.name


@pytest.mark.parametrize("task", TASKS)
def test_help_tells_of_every_parameter(algorithm, task):
    one = algorithm(task)
    lines = one.shortHelpString().splitlines()
    for definition in one.parameterDefinitions():
        assert any(definition.description() in line and definition.help() in line for line in lines)
    assert one.displayName() and one.group() and not one.icon().isNull()


# what stops a run


def test_without_a_series_a_sentence_says_so(algorithm, context, bundle, tmp_path):
    values = {"model": str(bundle), "out": str(tmp_path / "map.tif")}
    assert check(algorithm("predict"), values, context).startswith("There is no series")


def test_series_as_layers_and_as_folder_is_refused(algorithm, context, bundle, scene, tmp_path):
    values = {
        "series": scene,
        "series_source": str(tmp_path),
        "model": str(bundle),
        "out": str(tmp_path / "m.tif"),
    }
    assert "not as both" in check(algorithm("predict"), values, context)


def test_layer_without_a_date_is_named(algorithm, context, bundle, add_raster, tmp_path):
    values = {"series": [add_raster("somewhere.tif")], "model": str(bundle), "out": str(tmp_path / "m.tif")}
    assert "Layer 'somewhere' has no date" in check(algorithm("predict"), values, context)


def test_date_that_was_given_in_the_panel_counts(algorithm, context, bundle, add_raster, tmp_path):
    layer = add_raster("somewhere.tif")
    layer.setCustomProperty("timo/date", "2020-05-01")
    values = {"series": [layer], "model": str(bundle), "out": str(tmp_path / "m.tif")}
    assert check(algorithm("predict"), values, context) == ""


def test_folder_that_is_no_model_is_named(algorithm, context, scene, tmp_path):
    values = {"series": scene, "model": str(tmp_path / "none"), "out": str(tmp_path / "m.tif")}
    why = check(algorithm("predict"), values, context)
    assert "Model" in why and "none holds no model.json" in why


def test_existing_output_is_kept_unless_overwriting_is_asked_for(algorithm, context, bundle, scene, tmp_path):
    (tmp_path / "m.tif").write_bytes(b"mine")
    values = {"series": scene, "model": str(bundle), "out": str(tmp_path / "m.tif")}
    assert "exists already" in check(algorithm("predict"), values, context)
    assert check(algorithm("predict"), {**values, "overwrite": True}, context) == ""
    assert (tmp_path / "m.tif").read_bytes() == b"mine"


def test_field_of_the_class_is_asked_for_and_checked(algorithm, context, scene, fields, tmp_path):
    values = {"series": scene, "labels": fields, "out": str(tmp_path / "model")}
    assert "Pick the field of layer 'fields'" in check(algorithm("finetune"), values, context)
    values["class_field"] = "species"
    assert "has no field 'species'" in check(algorithm("finetune"), values, context)


def test_chip_size_that_does_not_fit_is_refused(algorithm, context, scene, fields, tmp_path):
    values = {
        "series": scene,
        "labels": fields,
        "class_field": "class",
        "out": str(tmp_path / "m"),
        "chip": 70,
    }
    assert "multiple of 32" in check(algorithm("finetune"), values, context)


def test_without_pyzmq_a_sentence_says_what_to_install(algorithm, monkeypatch):
    from timo_qgis.processing import algorithm as module

    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    fine, why = algorithm("predict").canExecute()
    assert not fine and "pyzmq" in why


def test_without_a_backend_a_sentence_says_what_to_do(algorithm, context, bundle, scene, tmp_path):
    values = {"series": scene, "model": str(bundle), "out": str(tmp_path / "map.tif")}
    with pytest.raises(QgsProcessingException, match="There is no program timo-backend at"):
        algorithm("predict").run(values, context, Feedback(), {}, False)


# what a job is told


def wanted(algorithm, task, values, context):
    from timo_qgis.processing.request import read_inputs

    return read_inputs(algorithm(task), task, values, context)


def test_defaults_are_left_out_of_the_job(algorithm, context, scene, bundle):
    values = {"series": scene, "model": str(bundle), "device": "auto", "batch": None, "precision": "float32"}
    assert wanted(algorithm, "predict", values, context).spec == {"model": str(bundle)}


def test_what_was_changed_goes_into_the_job(algorithm, context, scene, fields):
    values = {
        "series": scene, "labels": fields, "class_field": "class", "epochs": 7, "preset": "crops", "chip": 64,
        "learning_rate": 0.002, "all_labels": False,
    }  # fmt: skip
    request = wanted(algorithm, "finetune", values, context)
    assert request.spec == {
        "class_field": "class", "epochs": 7, "preset": "crops", "chip": 64, "learning_rate": 0.002,
        "all_labels": False, "colors": ["crop=#2f9e6e", "bare=#d9822b"],
    }  # fmt: skip
    assert [row.date.month for row in request.rows] == [3, 4, 5, 6, 7]


def test_colours_that_are_given_are_stronger_than_the_layers(algorithm, context, scene, fields):
    values = {
        "series": scene,
        "labels": fields,
        "class_field": "class",
        "colors": "crop=#112233; bare=#445566",
    }
    spec = wanted(algorithm, "finetune", values, context).spec
    assert spec["colors"] == ["crop=#112233", "bare=#445566"]


def test_labels_in_memory_and_their_filter_reach_the_job_as_a_file(
    algorithm, context, scene, fields, package
):
    from timo_qgis.settings import Settings

    fields.setSubsetString("\"class\" = 'crop'")
    values = {"series": scene, "labels": fields, "class_field": "class"}
    spec = wanted(algorithm, "finetune", values, context).write(Settings.load(), Feedback())
    copy = QgsVectorLayer(spec["labels"], "copy", "ogr")
    assert copy.featureCount() == fields.featureCount() > 0
    assert {f["class"] for f in copy.getFeatures()} == {"crop"}
    assert copy.crs().authid() == "EPSG:32631"
    assert Path(spec["series"][0]).read_text(encoding="utf-8").splitlines()[1].endswith(",2020-03-01")


# real runs


def train(algorithm, context, scene, fields, out, feedback=None, **more):
    feedback = feedback or Feedback()
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
    algorithm, context, scene, fields, real_backend, tmp_path, qgis_processing
):
    feedback = Feedback()
    results, fine = train(algorithm, context, scene, fields, tmp_path / "model", feedback, epochs=2)
    assert fine and (tmp_path / "model" / "model.json").is_file()
    assert 0 <= results["accuracy"] <= 1
    assert feedback.steps[-1] == 100 and len(set(feedback.steps)) > 2
    assert any("epoch" in text.lower() for text in feedback.texts)

    # as the toolbox does it: layers are loaded, named and styled
    from processing.gui.Postprocessing import handleAlgorithmResults

    def loaded(name):
        return QgsProcessingOutputLayerDefinition(str(tmp_path / name), QgsProject.instance())

    one, feedback = algorithm("predict"), Feedback()
    values = {
        "series": scene, "model": str(tmp_path / "model"), "out": loaded("map.tif"),
        "confidence": loaded("sure.tif"), "device": "cpu",
    }  # fmt: skip
    assert check(one, values, context) == ""
    results, fine = one.run(values, context, feedback, {}, False)
    assert fine and results["out"] == str(tmp_path / "map.tif")
    assert handleAlgorithmResults(one, context, feedback, parameters=values)
    layers = {Path(layer.source()).name: layer for layer in QgsProject.instance().mapLayers().values()}
    renderer = layers["map.tif"].renderer()
    assert isinstance(renderer, QgsPalettedRasterRenderer)
    assert {c.label: c.color.name() for c in renderer.classes()} == {"crop": "#2f9e6e", "bare": "#d9822b"}
    assert "Model: model" in layers["map.tif"].metadata().abstract()
    assert layers["sure.tif"].renderer().type() == "singlebandpseudocolor"

    # and as a script does it, from a folder
    import processing

    report = processing.run(
        "timo:evaluate",
        {
            "series_source": str(tmp_path), "model": str(tmp_path / "model"), "labels": fields,
            "class_field": "class", "areas": False, "out": str(tmp_path / "report"), "device": "cpu",
        },
        feedback=Feedback(),
    )  # fmt: skip
    assert Path(report["report"]).is_file()
    assert 0 <= report["accuracy"] <= 1


def test_cancel_ends_the_job_and_then_the_algorithm(
    algorithm, context, scene, fields, real_backend, tmp_path
):
    feedback = Feedback()
    began = threading.Event()

    def cancel_when_it_trains():
        until = time.monotonic() + 240
        while time.monotonic() < until and not any("epoch" in text.lower() for text in feedback.texts):
            time.sleep(0.1)
        began.set()
        feedback.cancel()

    threading.Thread(target=cancel_when_it_trains, daemon=True).start()
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
    algorithm, context, scene, fields, real_backend, tmp_path, qtbot
):
    feedback, one, ends = Feedback(), algorithm("finetune"), []
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
    results, fine = model.run({"map:result": out}, context, Feedback(), {}, False)
    assert fine and results["map:result"] == out
    assert Path(out).is_file()


def test_job_that_fails_says_why_in_a_sentence(
    algorithm, context, scene, make_labels, real_backend, tmp_path
):
    far = make_labels([("a", (9000, 9000, 9010, 9010)), ("b", (9020, 9000, 9030, 9010))], name="far")
    with pytest.raises(QgsProcessingException) as caught:
        train(algorithm, context, scene, far, tmp_path / "model", epochs=1)
    assert "Traceback" not in str(caught.value)
    assert str(caught.value).count(".") >= 2


QGIS_PROCESS = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
"""Debian's wrapper gives its program an option that it does not know."""


@pytest.mark.skipif(QGIS_PROCESS is None, reason="the program qgis_process is not on PATH")
def test_qgis_process_maps_a_series_with_the_plugin_from_its_zip(
    algorithm, context, scene, fields, real_backend, plugin_zip, tmp_path
):
    train(algorithm, context, scene, fields, tmp_path / "model", epochs=1)
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
