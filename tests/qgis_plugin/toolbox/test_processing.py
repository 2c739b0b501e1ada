# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks in Processing: the schema's parameters, what a job is told, a sentence for each fault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from osgeo import gdal
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
    assert "Layer 'somewhere' tells no date" in check(algorithm("predict"), values, context)


def test_layer_of_several_dates_is_named(algorithm, context, bundle, add_raster, tmp_path):
    layer = add_raster("stack.tif", names=("a_20200101", "b_20200101", "a_20200201", "b_20200201"))
    values = {"series": [layer], "model": str(bundle), "out": str(tmp_path / "m.tif")}
    assert "Layer 'stack' holds several dates" in check(algorithm("predict"), values, context)


def test_files_of_layers_whose_names_tell_a_date_are_looked_into_by_the_run_alone(
    algorithm, context, bundle, add_raster, make_feedback, monkeypatch, tmp_path
):
    from timo_qgis.layers import file_dates

    layer = add_raster("S2_20200101.tif", names=("a_20200101", "b_20200101", "a_20200201", "b_20200201"))
    values = {"series": [layer], "model": str(bundle), "out": str(tmp_path / "m.tif")}
    looks, real = [], file_dates.read
    monkeypatch.setattr(file_dates, "read", lambda source: looks.append(source) or real(source))
    assert check(algorithm("predict"), values, context) == ""
    assert looks == []
    with pytest.raises(QgsProcessingException, match="Layer 'S2_20200101' holds several dates"):
        algorithm("predict").run(values, context, make_feedback(), {}, False)
    assert looks == [layer.source()]


def test_layer_has_the_date_of_its_metadata(algorithm, context, bundle, add_raster, tmp_path):
    layer = add_raster("somewhere.tif")
    dataset = gdal.Open(layer.source(), gdal.GA_Update)
    dataset.SetMetadataItem("DATE_ACQUIRED", "2020-06-15")
    dataset = None
    values = {"series": [layer], "model": str(bundle), "out": str(tmp_path / "m.tif")}
    assert "date" not in check(algorithm("predict"), values, context)


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


def test_folder_that_browsing_gave_takes_the_maps_of_every_date_but_replaces_none(
    algorithm, context, bundle, scene, tmp_path
):
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "other_2020-03-01.tif").touch()
    values = {
        "series": scene, "model": str(bundle), "out": str(tmp_path / "m.tif"),
        "per_date": str(tmp_path / "days"),
    }  # fmt: skip
    assert check(algorithm("predict"), values, context) == ""
    (tmp_path / "days" / "m_2020-03-01.tif").touch()
    why = check(algorithm("predict"), values, context)
    assert "m_2020-03-01.tif exists already" in why and why.startswith("Maps of every date")


def test_empty_folder_that_browsing_gave_takes_a_model_and_one_with_content_leads_to_a_free_one(
    make_feedback, algorithm, context, scene, fields, tmp_path, monkeypatch
):
    from timo_qgis.backend.jobs import JobView
    from timo_qgis.processing import job

    def run_job(*_):
        assert not folder.exists(), "the backend makes it"
        return JobView("a", task="finetune", state="succeeded")

    monkeypatch.setattr(job, "run_job", run_job)
    folder = tmp_path / "results"
    (folder / "Model").mkdir(parents=True)
    values = {"series": scene, "labels": fields, "class_field": "class", "out": str(folder)}
    why = check(algorithm("finetune"), values, context)
    assert (
        why == f"Model: the folder {folder} holds other things. Name a new one, such as {folder / 'Model-2'}."
    )
    (folder / "Model").rmdir()
    assert check(algorithm("finetune"), values, context) == ""
    assert algorithm("finetune").run(values, context, make_feedback(), {}, False)[1]
    folder.mkdir()
    (folder / "model.json").touch()
    assert "exists already" in check(algorithm("finetune"), values, context)


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


def test_without_a_backend_a_sentence_says_what_to_do(
    make_feedback, algorithm, context, bundle, scene, tmp_path
):
    values = {"series": scene, "model": str(bundle), "out": str(tmp_path / "map.tif")}
    with pytest.raises(QgsProcessingException, match="There is no program timo-backend at"):
        algorithm("predict").run(values, context, make_feedback(), {}, False)


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
