# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks in Processing: the schema's parameters, and what a job is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsEditorWidgetSetup,
    QgsField,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices

TASKS = ("predict", "finetune", "evaluate", "pretrain", "embed")


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


STARTS = """
import sys
from qgis.core import QgsApplication
application = QgsApplication([], False)
application.initQgis()
import timo_qgis
timo_qgis.classFactory(None).initProcessing()
print(len(QgsApplication.processingRegistry().providerById("timo").algorithms()))
print(sorted({"zmq", "osgeo.gdal", "timo_qgis.backend.link", "timo_qgis.layers.results"} & set(sys.modules)))
"""


def test_start_of_qgis_does_not_load_what_only_a_run_needs(package, tmp_path):
    folder = str(Path(package.__file__).parents[1])
    process = subprocess.run(
        [sys.executable, "-c", STARTS],
        env={**os.environ, "PYTHONPATH": folder, "QT_QPA_PLATFORM": "offscreen"},
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert process.stdout.split("\n")[:2] == ["5", "[]"], process.stderr


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


def test_help_of_processing_is_the_shipped_guide(plugin, iface, algorithm, package):
    from timo_qgis.gui.help_window import HelpWindow

    assert QDesktopServices.openUrl(QUrl(algorithm("predict").helpUrl()))  # as Processing's button does
    guide = iface.window.findChild(HelpWindow)
    assert guide.isVisible() and guide.view.source().fileName() == "processing.md"
    plugin.unload()
    assert not guide.isVisible()


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
    assert [row.date.month for row in request.layers.rows()] == [3, 4, 5, 6, 7]


def test_colours_that_are_given_are_stronger_than_the_layers(algorithm, context, scene, fields):
    values = {
        "series": scene,
        "labels": fields,
        "class_field": "class",
        "colors": "crop=#112233; bare=#445566",
    }
    spec = wanted(algorithm, "finetune", values, context).spec
    assert spec["colors"] == ["crop=#112233", "bare=#445566"]


@pytest.mark.parametrize("task", ["finetune", "evaluate"])
def test_codes_are_called_as_the_layers_list_calls_them(algorithm, context, scene, bundle, fields, task):
    entries = [{"Wheat": "crop"}, {"bare": "bare"}]
    index = fields.fields().lookupField("class")
    fields.setEditorWidgetSetup(index, QgsEditorWidgetSetup("ValueMap", {"map": entries}))
    values = {"series": scene, "labels": fields, "class_field": "class", "model": str(bundle)}
    assert wanted(algorithm, task, values, context).spec["names"] == ["crop=Wheat"]
    given = {**values, "names": "crop=Barley"}
    assert wanted(algorithm, task, given, context).spec["names"] == ["crop=Barley"]


def test_labels_in_memory_and_their_filter_reach_the_job_as_a_file(
    make_feedback, algorithm, context, scene, fields, package
):
    from timo_qgis.settings import Settings

    fields.setSubsetString("\"class\" = 'crop'")
    values = {"series": scene, "labels": fields, "class_field": "class"}
    spec = wanted(algorithm, "finetune", values, context).write(Settings.load(), make_feedback())
    copy = QgsVectorLayer(spec["labels"], "copy", "ogr")
    assert Path(spec["labels"]).parent.name == "copies", "the backend removes it with the job"
    assert copy.featureCount() == fields.featureCount() > 0
    assert {f["class"] for f in copy.getFeatures()} == {"crop"}
    assert copy.crs().authid() == "EPSG:32631"
    assert Path(spec["series"][0]).read_text(encoding="utf-8").splitlines()[1].endswith(",2020-03-01")


def test_area_with_a_coordinate_system_set_in_qgis_lies_where_the_map_shows_it(
    make_feedback, algorithm, context, scene, bundle, package, tmp_path
):
    from timo_qgis.settings import Settings

    path = tmp_path / "district.geojson"
    ring = [[500000, 4999900], [500100, 4999900], [500100, 5000000], [500000, 4999900]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    path.write_text(
        json.dumps({"type": "Feature", "properties": {}, "geometry": shape})
    )  # in degrees, it says
    area = QgsVectorLayer(str(path), "district", "ogr")
    QgsProject.instance().addMapLayer(area)
    values = {"series": scene, "model": str(bundle), "aoi": area}
    assert wanted(algorithm, "predict", values, context).spec["aoi"] == str(path)
    area.setCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    spec = wanted(algorithm, "predict", values, context).write(Settings.load(), make_feedback())
    copy = QgsVectorLayer(spec["aoi"], "copy", "ogr")
    assert copy.crs().authid() == "EPSG:32631" and copy.extent() == area.extent()


def test_of_a_file_of_points_and_polygons_the_job_gets_what_the_layer_shows(
    make_feedback, algorithm, context, scene, bundle, package, tmp_path
):
    from timo_qgis.settings import Settings

    path, ring = tmp_path / "mixed.geojson", [[3, 45], [3.01, 45], [3.01, 45.01], [3, 45]]
    shapes = [{"type": "Point", "coordinates": [3, 45]}, {"type": "Polygon", "coordinates": [ring]}]
    features = [{"type": "Feature", "properties": {"class": "oak"}, "geometry": shape} for shape in shapes]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    layer = QgsVectorLayer(f"{path}|geometrytype=Polygon", "mixed", "ogr")
    QgsProject.instance().addMapLayer(layer)
    for task, asked in (
        ("finetune", {"labels": layer, "class_field": "class"}),
        ("predict", {"aoi": layer, "model": str(bundle)}),
    ):
        request = wanted(algorithm, task, {"series": scene, **asked}, context)
        spec = request.write(Settings.load(), make_feedback())
        copy = QgsVectorLayer(spec[next(iter(asked))], "copy", "ogr")
        assert copy.featureCount() == 1 and copy.extent() == layer.extent()


def test_class_that_qgis_computes_reaches_the_job(
    make_feedback, algorithm, context, scene, make_labels, tmp_path
):
    from timo_qgis.settings import Settings

    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, path = "GPKG", tmp_path / "parcels.gpkg"
    QgsVectorFileWriter.writeAsVectorFormatV3(
        make_labels([("crop", (0, 0, 9, 9))]), str(path), context.transformContext(), options
    )
    labels = QgsVectorLayer(str(path), "parcels", "ogr")
    grown = QgsField(labels.fields().field("class"))
    grown.setName("grown")
    labels.addExpressionField("'wheat'", grown)
    QgsProject.instance().addMapLayer(labels)
    values = {"series": scene, "labels": labels, "class_field": "grown"}
    spec = wanted(algorithm, "finetune", values, context).write(Settings.load(), make_feedback())
    copy = QgsVectorLayer(spec["labels"], "copy", "ogr")
    assert [feature["grown"] for feature in copy.getFeatures()] == ["wheat"]


def test_job_that_is_removed_from_elsewhere_is_waited_for_no_more(package, make_feedback):
    from timo_qgis.processing.job import _Follower

    follower = _Follower("predict", {}, make_feedback())
    follower.take_answer((follower._key, {"job": "a"}))
    follower.take_removed(["b"])
    with pytest.raises(QgsProcessingException, match="removed from elsewhere"):
        follower.take_removed(["a", "b"])
