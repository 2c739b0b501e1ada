# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that aren't there, are damaged or don't fit, and outputs that can't be written."""

import json
import os

import numpy as np
import pytest
from affine import Affine

from tests.scenes import TRANSFORM
from tests.timo.bad_inputs.desk import fields, square
from tests.timo.bad_inputs.rows import Table

TABLE = Table()


def read_card(model):
    return json.loads((model / "model.json").read_text())


def change_card(model, **facts):
    """Write other facts, or facts that are not known yet, into a model's description."""
    (model / "model.json").write_text(json.dumps({**read_card(model), **facts}))


@TABLE.refused(
    "a folder that is no model",
    "'thing' is not a model bundle: it has no model.json. Pick a folder that 'timo finetune' wrote.",
)
def _(desk):
    (desk.folder / "thing").mkdir()
    return desk.predict(model=desk.folder / "thing")


@TABLE.refused(
    "a model without its weights",
    "The weights 'woods/weights.safetensors' cannot be loaded: No such file or directory. Restore the "
    "bundle, or "
    "train the model again.",
)
def _(desk):
    model = desk.model()
    (model / "weights.safetensors").unlink()
    return desk.predict(model=model)


@TABLE.refused(
    "a model whose weights were copied in part",
    "'woods/weights.safetensors' is not the file that model.json describes: its checksum differs. Restore "
    "the "
    "bundle, or train the model again.",
)
def _(desk):
    model = desk.model()
    weights = model / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return desk.predict(model=model)


@TABLE.refused(
    "a model whose description is cut",
    "'woods/model.json' cannot be read: …. Restore the bundle, or train the model again.",
)
def _(desk):
    model = desk.model()
    (model / "model.json").write_text((model / "model.json").read_text()[:300])
    return desk.predict(model=model)


@TABLE.refused(
    "a model of a newer version",
    "'woods/model.json' has format 2; this version reads format 1. Use the version of TiMo that made the "
    "bundle, "
    "or train the model again.",
)
def _(desk):
    model = desk.model()
    change_card(model, format=2)
    return desk.predict(model=model)


@TABLE.refused(
    "a model of three bands on images of two",
    "S2_20200401.tif has no band 'swir1', but only red, nir. Give rasters with this band, or name the band "
    "so in "
    "the files.",
)
def _(desk):
    return desk.predict(series=desk.series(bands=("B04", "B08")))


@TABLE.refused(
    "bands that the files don't name",
    "S2_20200401.tif has no band 'red', but only band_1, band_2, band_3. Give rasters with this band, or "
    "name the "
    "band so in the files.",
)
def _(desk):
    folder = desk.series()
    for path in folder.glob("*.tif"):
        desk.frame(path.stem[3:], names=())
    return desk.predict(series=folder)


@TABLE.refused(
    "one date for a model of several",
    "The series has 1 date, and model 'woods' needs at least 2. Add dates; the model was trained on 4.",
)
def _(desk):
    return desk.predict(series=desk.series(dates=["20200401"]))


@TABLE.warned(
    "fewer dates than the model was trained on",
    "The series has 3 dates; model 'woods' was trained on 4 (2020-04-01 to 2020-10-01). It tells dates by "
    "their "
    "order: the map may be poor.",
)
def _(desk):
    return desk.predict(series=desk.series(dates=["20200401", "20200601", "20200801"]))


@TABLE.warned(
    "pixels three times as large as those that the model was trained on",
    "The series has pixels of 30 m, model 'woods' was trained on 10 m: the map may be poor.",
)
def _(desk):
    folder = desk.series()
    for path in folder.glob("*.tif"):
        desk.frame(path.stem[3:], transform=TRANSFORM @ Affine.scale(3))
    return desk.predict(series=folder)


@TABLE.refused(
    "a model that was pre-trained without labels",
    "Model 'woods' is pre-trained without labels: it knows no classes yet. Fine-tune a model that starts "
    "from it, "
    "and map with that one.",
)
def _(desk):
    model = desk.model()
    change_card(model, classes=[])
    return desk.predict(model=model)


@TABLE.refused(
    "maps of every date from a model of the whole series",
    "Model 'woods' makes one map for the whole series, not one for every date. Leave the maps of every date "
    "out, "
    "or take a model that was trained for them.",
)
def _(desk):
    return desk.predict("--per-date", desk.folder / "maps")


@TABLE.refused(
    "a start from a folder that is no model",
    "'series' is not a model bundle: it has no model.json. Pick a folder that 'timo finetune' wrote.",
)
def _(desk):
    return desk.finetune(None, "--from", desk.folder / "series")


@TABLE.refused(
    "labels of classes that the model doesn't know",
    "others.gpkg has the classes beet, maize, and model 'woods' maps field, woods: none is the same. Give "
    "labels of the model's classes, named as the model names them.",
)
def _(desk):
    shapes, classes = fields("maize", "beet")
    return desk.evaluate(desk.layer("others.gpkg", shapes, kind=classes))


@TABLE.refused(
    "a map that exists already",
    "'map.tif' exists already. Pick another name, or allow it to be overwritten.",
)
def _(desk):
    desk.raster("map.tif", np.zeros((4, 4), np.uint8))
    return desk.predict()


@TABLE.refused(
    "a model that exists already",
    "'woods' exists already. Pick another name, or allow it to be overwritten.",
)
def _(desk):
    desk.model()
    return desk.finetune(None, "--out", desk.folder / "woods")


@TABLE.refused(
    "a folder for the map that doesn't exist",
    "The folder 'maps' for the output does not exist. Make it, or pick another.",
)
def _(desk):
    return desk.predict(out="maps/map.tif")


@TABLE.refused(
    "a folder that the analyst may not write to",
    "The folder 'locked' cannot be written to. Pick one that you may write to.",
)
def _(desk):
    if os.name != "posix" or os.geteuid() == 0:
        pytest.skip("whoever runs the tests may write to all folders")
    (desk.folder / "locked").mkdir(mode=0o500)
    return desk.predict(out="locked/map.tif")


@TABLE.refused(
    "the map in place of an image of the series",
    "The output 'series/S2_20200401.tif' is one of the inputs. Pick another name for the output.",
)
def _(desk):
    return desk.predict("--overwrite", out="series/S2_20200401.tif")


@TABLE.refused(
    "a map as a picture",
    "The output 'map.png' is not named as a GeoTIFF. Give it a name that ends in .tif.",
)
def _(desk):
    return desk.predict(out="map.png")


@TABLE.refused(
    "two outputs of one name",
    "Two outputs have the same name 'map.tif'. Give each output a name of its own.",
)
def _(desk):
    return desk.predict("--confidence", desk.folder / "map.tif")


@TABLE.refused(
    "a report in a folder of other things",
    "The folder 'report' holds other things than a report (thesis.odt) and is left as it is. Pick another "
    "folder, "
    "or move them away.",
)
def _(desk):
    (desk.folder / "report").mkdir()
    (desk.folder / "report" / "thesis.odt").touch()
    return desk.evaluate(None, "--overwrite")


@TABLE.refused(
    "a model in place of a file",
    "'new' is a file; a model bundle is a folder. Pick another name.",
)
def _(desk):
    (desk.folder / "new").write_text("notes")
    return desk.finetune(None, "--overwrite")


@TABLE.refused(
    "an area that lies elsewhere",
    "No polygon of area.gpkg lies on the series. Give polygons of the same place.",
)
def _(desk):
    return desk.predict("--aoi", desk.layer("area.gpkg", [square(9000, 9000)], kind=["here"]))


@TABLE.refused(
    "points as the area",
    "area.gpkg has no polygons. Give a layer with polygons.",
)
def _(desk):
    points = [square(10, 10).centroid]
    return desk.predict("--aoi", desk.layer("area.gpkg", points, kind=["here"]))


@TABLE.told(
    "an area where the images have no data",
    "The map is empty: no pixel of the series has data in the area.",
)
def _(desk):
    area = desk.layer("area.gpkg", [square(4, 4)], kind=["here"])
    return desk.predict("--aoi", area, series=desk.half_empty())


@TABLE.refused(
    "a model of a newer version, which tells more",
    "'woods/model.json' has format 2; this version reads format 1. Use the version of TiMo that made the "
    "bundle, or train the model again.",
)
def _(desk):
    model = desk.model()
    change_card(model, format=2, season="summer")
    return desk.predict(model=model)


@TABLE.refused(
    "a model whose description has a chip of no size",
    "'woods/model.json' has a chip of 0 pixels, which is no multiple of 32. Restore the bundle, or train the "
    "model again.",
)
def _(desk):
    model = desk.model()
    change_card(model, chip=0)
    return desk.predict(model=model)


@TABLE.refused(
    "a model whose description says that a band never varied",
    "'woods/model.json' gives the band 'B04' a std of 0. Restore the bundle, or train the model again.",
)
def _(desk):
    model = desk.model()
    first, *others = read_card(model)["bands"]
    change_card(model, bands=[{**first, "std": 0}, *others])
    return desk.predict(model=model)


@TABLE.refused(
    "a model to whose description a class was added by hand",
    "'woods/model.json' describes 3 classes, and a network of 2. Restore the bundle, or train the model "
    "again.",
)
def _(desk):
    model = desk.model()
    classes = read_card(model)["classes"]
    change_card(model, classes=[*classes, {"value": 3, "name": "pond", "color": "#0000ff"}])
    return desk.predict(model=model)


@TABLE.refused(
    "a model whose weights are of another network",
    "The weights 'woods/weights.safetensors' are of another network than model.json describes: '…' is …2… in "
    "the file, and …3… in the network. Put both files of one model into the folder, or train the model "
    "again.",
)
def _(desk):
    model = desk.model()
    card = read_card(model)
    change_card(
        model,
        classes=[*card["classes"], {"value": 3, "name": "pond", "color": "#0000ff"}],
        architecture={**card["architecture"], "num_classes": 3},
    )
    return desk.predict(model=model)


@TABLE.refused(
    "a pre-training into a model that exists already",
    "'woods' exists already. Pick another name, or allow it to be overwritten.",
)
def _(desk):
    return "pretrain", "--series", desk.series(), "--out", desk.model()
