# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of labels that can't be read, rasters of labels, and what says of when and in which part they are."""

import numpy as np
import pyogrio
import shapely
from affine import Affine

from tests.timo.bad_inputs.desk import SIDE, SITE, fields, square
from tests.timo.bad_inputs.rows import Table

TABLE = Table()


@TABLE.refused("the labels' name is misspelt", "The labels parcles.gpkg do not exist. Correct the path.")
def _(desk):
    return desk.finetune(desk.folder / "parcles.gpkg")


@TABLE.refused(
    "a text file as labels",
    "labels.txt can't be read as labels: …. Give polygons, points, or a raster of class values.",
)
def _(desk):
    (desk.folder / "labels.txt").write_text("wheat 12 40\n")
    return desk.finetune(desk.folder / "labels.txt")


@TABLE.warned(
    "several layers in one file",
    "two.gpkg has 2 layers; 'two' was read.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    path = desk.layer("two.gpkg", shapes, kind=classes)
    pyogrio.raw.write(
        path, geometry=shapely.to_wkb(np.array(shapes, object)), field_data=[np.array(classes)],
        fields=["other"], geometry_type="Polygon", crs="EPSG:32631", layer="drafts", append=True,
    )  # fmt: skip
    return desk.evaluate(path)


@TABLE.refused(
    "a layer that the file doesn't have",
    "labels.gpkg can't be read: …. Replace the file, or save it anew.",
)
def _(desk):
    return desk.finetune(f"{desk.labels()}|layername=parcels")


@TABLE.refused(
    "a raster of probabilities as labels",
    "share.tif has decimal numbers, which are no classes. Give a raster of whole numbers, one for each "
    "class.",
)
def _(desk):
    values = np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    return desk.finetune(desk.raster("share.tif", values))


@TABLE.refused(
    "a raster of labels that holds its nodata value alone",
    "none.tif holds no class on the series, only its nodata value. Give a raster whose labels lie on the "
    "series.",
)
def _(desk):
    return desk.finetune(desk.raster("none.tif", np.zeros((SIDE, SIDE), np.uint8), nodata=0))


@TABLE.warned(
    "a picture of the classes, in red, green and blue, as labels",
    "rgb.tif has 3 bands: the first one's values were taken as the classes.\n"
    "Class '1' of rgb.tif was taken as 'field' of model 'woods': both have the value 1.\n"
    "Class '2' of rgb.tif was taken as 'woods' of model 'woods': both have the value 2.",
)
def _(desk):
    values = np.stack([desk.good.truth, desk.good.truth * 0, desk.good.truth * 0]).astype(np.uint8)
    return desk.evaluate(desk.raster("rgb.tif", values))


@TABLE.refused(
    "a picture of labels of another size than the pictures of the series",
    "labels.png has another size than the series, and neither has a coordinate system. Give labels of the "
    "series' size.",
)
def _(desk):
    bare = {"crs": None, "transform": Affine.identity(), "driver": "PNG"}
    for date in ("20200401", "20200601"):
        desk.raster(f"photos/photo_{date}.png", np.full((3, 64, 64), 90, np.uint8), **bare)
    labels = desk.raster("labels.png", np.ones((65, 64), np.uint8), **bare)
    return desk.finetune(labels, series=desk.folder / "photos" / "*.png")


@TABLE.refused(
    "dates are asked for, and no field says them",
    "No field of labels.gpkg was named that holds the dates of its labels. Name the field of dates, or give "
    "a CSV "
    "with columns path,date.",
)
def _(desk):
    return desk.finetune(None, "--per-date")


@TABLE.refused(
    "labels of days on which there is no image",
    "No label of when.gpkg is of a date of the series. The series has 2020-04-01, 2020-06-01, 2020-08-01, "
    "2020-10-01: give labels the dates of its frames.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    layer = desk.layer("when.gpkg", shapes, kind=classes, day=["2020-04-02"] * len(shapes))
    return desk.finetune(layer, "--per-date", "--date-field", "day")


@TABLE.refused(
    "a split that calls its parts otherwise",
    "Field 'part' of parts.gpkg has the value 'calibration', which is no part of a split. Write train, "
    "validation "
    "or test into the field.",
)
def _(desk):
    parts = desk.layer(
        "parts.gpkg", [square(0, 0, 60, 128), square(68, 0, 60, 128)], part=["calibration", "test"]
    )
    return desk.finetune(None, "--split", parts)


@TABLE.refused(
    "a shapefile that was sent alone",
    "parcels.shp lies there without parcels.shx and parcels.dbf. Copy all files of the shapefile, or save it "
    "as a GeoPackage.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    layer = desk.layer("parcels.shp", shapes, kind=classes)
    for end in (".shx", ".dbf"):
        layer.with_suffix(end).unlink()
    return desk.finetune(layer)


@TABLE.refused(
    "a download of labels that broke off",
    "parcels.geojson can't be read as labels: …. Give polygons, points, or a raster of class values.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    layer = desk.layer("parcels.geojson", shapes, kind=classes)
    layer.write_bytes(layer.read_bytes()[:900])
    return desk.finetune(layer)


@TABLE.refused(
    "a field of dates that holds seasons",
    "Field 'day' of seasons.gpkg holds no dates: the first value is 'spring'. Name the field of dates, or "
    "write them as 2020-08-01.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    layer = desk.layer("seasons.gpkg", shapes, kind=classes, day=["spring"] * len(shapes))
    return desk.finetune(layer, "--per-date", "--date-field", "day")


@TABLE.refused(
    "a raster of labels in the coordinates of a building site",
    "site.tif can't be brought to the coordinate system of the series: one of the two tells no place on "
    "Earth. Save the labels in the coordinate system of the series.",
)
def _(desk):
    return desk.finetune(desk.raster("site.tif", desk.good.truth.astype(np.uint8), crs=SITE))
