# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops a run in Processing before a job is made of it: a sentence for each fault."""

from __future__ import annotations

import pytest
from osgeo import gdal
from qgis.core import (
    QgsProcessingException,
)


def check(algorithm, values, context):
    """The sentence that stops a run before it begins; empty if nothing does."""
    fine, why = algorithm.checkParameterValues(values, context)
    assert fine == (not why)
    return why


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
