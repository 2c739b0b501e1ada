# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels that can't be learnt from, or not all of them."""

import numpy as np
import pyogrio
import shapely
from affine import Affine

from tests.timo.bad_inputs.desk import SIDE, fields, real, square
from tests.timo.bad_inputs.rows import Table

TABLE = Table()


@TABLE.refused("the labels' name is misspelt", "The labels parcles.gpkg do not exist. Correct the path.")
def _(desk):
    return desk.finetune(desk.folder / "parcles.gpkg")


@TABLE.refused(
    "a layer that nothing was drawn in yet",
    "empty.gpkg has no features. Draw polygons or points first.",
)
def _(desk):
    return desk.finetune(desk.layer("empty.gpkg", [], kind=[]))


@TABLE.refused(
    "a text file as labels",
    "labels.txt can't be read as labels: …. Give polygons, points, or a raster of class values.",
)
def _(desk):
    (desk.folder / "labels.txt").write_text("wheat 12 40\n")
    return desk.finetune(desk.folder / "labels.txt")


@TABLE.refused(
    "a class field that the layer doesn't have",
    "labels.gpkg has no field 'crop'; labels.gpkg has the fields kind. Name the field that holds the class.",
)
def _(desk):
    return desk.finetune(field="crop")


@TABLE.refused(
    "no class field",
    "No class field was named; labels.gpkg has the fields kind. Name the field that holds the class.",
)
def _(desk):
    return desk.finetune(field=None)


@TABLE.refused(
    "the class field is empty on every polygon",
    "null.gpkg has no polygons or points with a class in 'kind'. Draw polygons, and fill in the field.",
)
def _(desk):
    shapes, _ = fields("")
    return desk.finetune(desk.layer("null.gpkg", shapes, kind=np.array([None] * len(shapes), object)))


@TABLE.warned(
    "the class field is empty on some polygons",
    "4 features of some.gpkg have no class in 'kind': not used.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    classes[2:6] = [None, "", " ", None]
    return desk.evaluate(desk.layer("some.gpkg", shapes, kind=np.array(classes, object)))


@TABLE.refused(
    "one class alone",
    "woods.gpkg has only one class on the series: 'woods'. Label a second class, such as everything else.",
)
def _(desk):
    shapes, classes = fields("woods")
    return desk.finetune(desk.layer("woods.gpkg", shapes, kind=classes))


@TABLE.refused(
    "an identifier in place of the class",
    "Field 'kind' of parcels.gpkg has 300 different values: more than 254. Name the field that holds the "
    "class, "
    "not an identifier.",
)
def _(desk):
    shapes = [square(row, col, 5) for row in range(0, 120, 8) for col in range(0, 120, 6)]
    return desk.finetune(desk.layer("parcels.gpkg", shapes, kind=np.arange(len(shapes))))


@TABLE.refused(
    "measured numbers in place of the class",
    "Field 'kind' of yields.gpkg has decimal numbers, which are no classes. Name the field that holds the "
    "class.",
)
def _(desk):
    shapes, _ = fields("")
    return desk.finetune(desk.layer("yields.gpkg", shapes, kind=np.linspace(1.5, 9, len(shapes))))


@TABLE.refused(
    "labels of another place",
    "No label of far.gpkg lies on the series. Give labels of the same place, and check both coordinate "
    "systems.",
)
def _(desk):
    shapes = [square(9000, 9000), square(9000, 9100)]
    return desk.finetune(desk.layer("far.gpkg", shapes, kind=["field", "woods"]))


@TABLE.refused(
    "labels in degrees that are said to be metres",
    "No label of degrees.gpkg lies on the series. Give labels of the same place, and check both coordinate "
    "systems.",
)
def _(desk):
    shapes = [shapely.box(4.4, 50.5, 4.5, 50.6), shapely.box(4.6, 50.5, 4.7, 50.6)]
    return desk.finetune(desk.layer("degrees.gpkg", shapes, kind=["field", "woods"]))


@TABLE.refused(
    "labels without a coordinate system",
    "lost.shp has no coordinate system, but the series has one. Set the missing coordinate system.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    return desk.finetune(desk.layer("lost.shp", shapes, crs=None, kind=classes))


@TABLE.warned(
    "a polygon that crosses itself",
    "1 polygons of bow.gpkg cross themselves and were repaired.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    (left, bottom, right, top) = shapes[0].bounds
    shapes[0] = shapely.Polygon([(left, bottom), (right, top), (right, bottom), (left, top)])
    return desk.evaluate(desk.layer("bow.gpkg", shapes, kind=classes))


@TABLE.warned(
    "polygons of two classes overlap",
    "40 pixels of over.gpkg carry two classes and are not used.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    shapes.append(square(4, 24, 20, 4))
    shapes.append(square(4, 22, 20, 2))
    return desk.evaluate(desk.layer("over.gpkg", shapes, kind=[*classes, "field", "woods"]))


@TABLE.warned(
    "polygons smaller than a pixel",
    "3 polygons of small.gpkg are smaller than a pixel: they count only where they hold its centre.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    shapes[:3] = [square(row + 0.6, 4, 0.3) for row in (4, 36, 68)]
    return desk.evaluate(desk.layer("small.gpkg", shapes, kind=classes))


@TABLE.warned(
    "a class whose only polygon is smaller than a pixel",
    "1 polygons of small.gpkg are smaller than a pixel: they count only where they hold its centre.\nNo "
    "pixel of the series has class pond of small.gpkg: left out.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    shapes.append(square(60.6, 60.6, 0.3))
    return desk.evaluate(desk.layer("small.gpkg", shapes, kind=[*classes, "pond"]))


@TABLE.warned(
    "a class of one pixel",
    "The validation part has no label of class pond.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    shapes.append(square(60, 60, 1))
    return desk.finetune(desk.layer("one.gpkg", shapes, kind=[*classes, "pond"]))


@TABLE.warned(
    "polygons outside of the image, and one on its edge",
    "2 features of partly.gpkg lie outside of the series: not used.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    shapes += [square(-10, 52, 12, 8), square(500, 500), square(-50, 50)]
    return desk.evaluate(desk.layer("partly.gpkg", shapes, kind=[*classes, "woods", "field", "field"]))


@TABLE.warned(
    "a class that is written in two ways",
    "Classes 'Woods' and 'woods' of twice.gpkg differ in capital letters alone: they count as two.",
)
def _(desk):
    shapes, classes = fields("field", "woods", "Woods", "woods ")
    return desk.finetune(desk.layer("twice.gpkg", shapes, kind=classes))


@TABLE.warned(
    "a class with odd characters in its name, of which the model knows nothing",
    "Model 'woods' does not know '[/b] <i>\"wóods\" = ½ :tree:' (3…200 pixels) of odd.gpkg: these count in "
    "no figure, though the map can only be wrong there.",
)
def _(desk):
    shapes, classes = fields("field", '[/b] <i>"wóods" = ½ :tree:')
    return desk.evaluate(desk.layer("odd.gpkg", shapes, kind=classes))


@TABLE.refused(
    "outlines in place of polygons",
    "lines.gpkg has no polygons or points with a class in 'kind'. Draw polygons, and fill in the field.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    lines = [shapely.LineString(shape.exterior) for shape in shapes]
    return desk.finetune(desk.layer("lines.gpkg", lines, kind=classes))


@TABLE.refused(
    "two polygons of one pixel are all labels",
    "The labels of few.gpkg are too few to be parted into training and validation. Label more places, some "
    "distance apart.",
)
def _(desk):
    shapes = [square(10, 10, 1), square(10, 11, 1)]
    return desk.finetune(desk.layer("few.gpkg", shapes, kind=["field", "woods"]))


@TABLE.refused(
    "all labels lie where no date has data",
    "No label of sea.gpkg lies where the series has data on any date. Give labels where the series has data.",
)
def _(desk):
    shapes, classes = fields("field", "woods", count=8)
    return desk.evaluate(desk.layer("sea.gpkg", shapes, kind=classes), series=desk.half_empty())


@TABLE.refused(
    "points in a sea of nodata, to train on",
    "No label of sea.gpkg lies where the series has data on any date. Give labels where the series has data.",
    gap="timo/tasks/finetune.py learns from what stands there in place of data",
)
def _(desk):
    shapes, classes = fields("field", "woods", count=8)
    points = [shape.centroid for shape in shapes]
    return desk.finetune(desk.layer("sea.gpkg", points, kind=classes), series=desk.half_empty())


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
    "polygons beside a Sentinel-2 scene, some outside, and the wrong field (awkward_s2_l1c_jp2_multires)",
    "s2l1c_ref.gpkg has no field 'kind'; s2l1c_ref.gpkg has the fields …. Name the field that holds the "
    "class.",
)
def _(desk):
    folder = real("awkward_s2_l1c_jp2_multires")
    return desk.finetune(folder / "s2l1c_ref.gpkg", series=folder / "IMG_DATA")


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
