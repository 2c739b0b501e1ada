# SPDX-License-Identifier: GPL-3.0-or-later
"""While a model trains, the Train page shows what it makes of a piece that it does not learn from."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import QgsPalettedRasterRenderer, QgsProject
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtGui import QColor

CLASSES = (
    {"value": 3, "name": "oak & ash", "color": "#cc2200"},
    {"value": 7, "name": "water", "color": "#0033cc"},
)
LABELS = [[3, 255, 255, 255], [255, 255, 255, 7]]
MAP = [[3, 3, 7, 7], [3, 3, 7, 7]]
IMAGE = [np.full((2, 4), value) for value in (200, 100, 50)]
TRAINED = """
import shutil, sys
from pathlib import Path
from tests.scenes import make_scene
from timo.tasks.reporter import Reporter

class Keeper(Reporter):
    def artifact(self, path, kind):
        if kind == "preview":
            shutil.copy(path, sys.argv[2])

folder = Path(sys.argv[1])
make_scene(folder).finetune(folder / "m", Keeper(), epochs=1)
"""


@pytest.fixture
def write(tmp_path):
    """Writes a preview as the training does: ``write(epoch)``."""

    def page(path, bands, append, tags=None):
        bands = np.asarray(bands, np.uint8)
        made = gdal.GetDriverByName("MEM").Create(
            "", bands.shape[2], bands.shape[1], len(bands), gdal.GDT_Byte
        )
        made.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(32631)
        made.SetProjection(reference.ExportToWkt())
        made.SetMetadata(tags or {})
        for number, band in enumerate(bands, 1):
            made.GetRasterBand(number).WriteArray(band)
        if len(bands) == 1:
            made.GetRasterBand(1).SetNoDataValue(255)
        gdal.GetDriverByName("GTiff").CreateCopy(str(path), made, options=["APPEND_SUBDATASET=YES"] * append)

    def write(epoch, mapped=MAP, path=tmp_path / "woods.training" / "preview.tif"):
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        tags = {"TIMO_EPOCH": str(epoch), "TIMO_DATE": "2020-10-01", "TIMO_CLASSES": json.dumps(CLASSES)}
        page(path, [mapped], False, tags)
        page(path, [LABELS], True)
        page(path, IMAGE, True)
        return path

    return write


@pytest.fixture
def page(dock, connected):
    """The Train page, shown; nothing is sent to a backend."""
    dock.tabs.setCurrentWidget(dock.train)
    return dock.train


@pytest.fixture
def tell(page):
    """A training's events, as the backend tells them."""
    from timo_qgis.backend.jobs import JobBook

    book, spec = JobBook(), {"out": "/home/x/models/woods"}
    book.know("a", "finetune", spec)
    sent = iter(range(1, 1000))

    def told(event, **body):
        book.apply("a", next(sent), event, 1.0, body)
        page.shared.backend._on_jobs(book.take_changed())

    told("state", state="running")
    return told


@pytest.fixture
def preview(page, tell, write, qtbot):
    """The box on the page, with the first preview in it."""
    tell("artifact", kind="preview", path=str(write(1)), size=1, sha256="")
    qtbot.waitUntil(page.preview.isVisible)
    return page.preview


def layers():
    return [
        one
        for one in QgsProject.instance().mapLayers().values()
        if one.customProperty("timo/kind") == "preview"
    ]


def colors(image):
    return [
        [
            image.pixelColor(x, y).name() if image.pixelColor(x, y).alpha() else ""
            for x in range(image.width())
        ]
        for y in range(image.height())
    ]


def test_there_is_no_picture_until_there_is_one(page, tell):
    assert page.box.isVisible() and page.preview.isHidden()


def test_image_labels_and_map_stand_beside_each_other(preview):
    assert "epoch so far, 1." in preview.caption.text()
    assert [name.text() for name in preview.names] == ["Image, 2020-10-01", "Labels", "Map"]
    assert [one.accessibleName() for one in preview.pictures] == ["Image, 2020-10-01", "Labels", "Map"]
    image, labels, mapped = (colors(one.image) for one in preview.pictures)
    assert image == [["#c86432"] * 4] * 2
    assert labels == [["#cc2200", "", "", ""], ["", "", "", "#0033cc"]]
    assert mapped == [["#cc2200"] * 2 + ["#0033cc"] * 2] * 2
    assert "#cc2200" in preview.pictures[2].toolTip() and "oak &amp; ash" in preview.pictures[2].toolTip()
    drawn = preview.pictures[2].grab().toImage()
    assert drawn.pixelColor(drawn.width() // 4, drawn.height() // 2) == QColor("#cc2200")
    assert preview.width() <= 460


def test_a_better_epoch_replaces_it(preview, tell, write, qtbot):
    tell("artifact", kind="preview", path=str(write(5, [[7] * 4] * 2)), size=1, sha256="")
    qtbot.waitUntil(lambda: "epoch so far, 5." in preview.caption.text())
    assert colors(preview.pictures[2].image) == [["#0033cc"] * 4] * 2


def test_it_is_no_output_of_the_job(page, preview):
    assert page.shared.backend.jobs["a"].outputs() == {}


def test_on_the_map_it_is_a_layer_in_the_classes_colours(page, preview, qtbot):
    qtbot.mouseClick(preview.on_map, Qt.MouseButton.LeftButton, pos=QPoint(8, preview.on_map.height() // 2))
    (layer,) = layers()
    assert layer.isValid() and layer.crs().authid() == "EPSG:32631"
    assert not layer.isTemporary(), "QGIS would warn of a loss when it closes"
    assert layer.name() == "woods, epoch 1 (preview)"
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    shown = [(c.value, c.label, c.color.name()) for c in layer.renderer().classes()]
    assert shown == [(3, "oak & ash", "#cc2200"), (7, "water", "#0033cc")]
    assert page.shared.iface.mapCanvas().extent().contains(layer.extent()), "it can be seen"
    qtbot.mouseClick(preview.on_map, Qt.MouseButton.LeftButton, pos=QPoint(8, preview.on_map.height() // 2))
    assert layers() == []


def test_the_layer_follows_and_stays_where_the_analyst_put_it(preview, tell, write, qtbot):
    preview.on_map.setChecked(True)
    (layer,) = layers()
    layer.setOpacity(0.5)
    tell("artifact", kind="preview", path=str(write(5, [[7] * 4] * 2)), size=1, sha256="")
    qtbot.waitUntil(lambda: layer.name() == "woods, epoch 5 (preview)")
    assert layers() == [layer] and layer.opacity() == 0.5
    value, there = layer.dataProvider().sample(layer.extent().center(), 1)
    assert there and value == 7


def test_a_layer_that_was_taken_away_does_not_come_again(preview, tell, write, qtbot):
    preview.on_map.setChecked(True)
    QgsProject.instance().removeMapLayer(layers()[0])
    assert not preview.on_map.isChecked()
    tell("artifact", kind="preview", path=str(write(5)), size=1, sha256="")
    qtbot.waitUntil(lambda: "epoch so far, 5." in preview.caption.text())
    assert layers() == []


def test_both_are_gone_when_the_training_has_ended(preview, tell):
    preview.on_map.setChecked(True)
    tell("state", state="succeeded", summary={})
    assert layers() == [] and preview.isHidden()


def test_a_project_that_is_saved_meanwhile_does_not_know_it(preview, add_raster, tmp_path):
    project, file = QgsProject.instance(), str(tmp_path / "p.qgz")
    other = add_raster("S2_20200401.tif").id()
    preview.on_map.setChecked(True)
    assert project.write(file) and len(layers()) == 1, "it is still to be seen"
    preview.on_map.setChecked(False)
    assert project.read(file)
    assert [layer.id() for layer in project.mapLayers().values()] == [other]
    assert project.layerTreeRoot().findLayerIds() == [other]


def test_a_plugin_that_is_unloaded_takes_its_layer_along(plugin, preview):
    preview.on_map.setChecked(True)
    plugin.unload()
    assert layers() == []


def test_the_series_page_does_not_take_it_for_an_image(page, preview, dock):
    preview.on_map.setChecked(True)
    assert dock.series.rows == []


@pytest.mark.parametrize("content", [None, b"no raster"])
def test_a_file_that_is_gone_or_none_shows_nothing(page, tell, tmp_path, qtbot, content):
    path = tmp_path / "preview.tif"
    if content is not None:
        path.write_bytes(content)
    done = []
    tell("artifact", kind="preview", path=str(path), size=1, sha256="")
    page.shared.background.run(lambda: None, done.append)
    page.shared.background.run(lambda: None, done.append)
    qtbot.waitUntil(lambda: len(done) == 2)
    assert page.preview.isHidden()


def test_what_a_real_training_writes_can_be_seen(page, tell, backend_program, tmp_path, qtbot):
    from timo_qgis.layers.preview import read_preview

    root = backend_program.parents[2]
    python = backend_program.with_name("python.exe" if os.name == "nt" else "python")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    made = tmp_path / "made.tif"
    command = [str(python), "-c", TRAINED, str(tmp_path), str(made)]
    subprocess.run(command, env={**clean, "PYTHONPATH": str(root)}, cwd=root, check=True, timeout=300)
    tell("artifact", kind="preview", path=str(made), size=1, sha256="")
    qtbot.waitUntil(page.preview.isVisible)
    read = read_preview(made)
    assert [name for _, name, _ in read.classes] == ["field", "woods"] and read.epoch == 1
    known = {color for _, _, color in read.classes}
    labels = {one for row in colors(page.preview.pictures[1].image) for one in row}
    assert "" in labels and labels & known and labels <= {*known, ""}
    assert {one for row in colors(page.preview.pictures[2].image) for one in row} <= known
    assert len({one for row in colors(page.preview.pictures[0].image) for one in row}) > 100
