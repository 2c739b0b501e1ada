# SPDX-License-Identifier: GPL-3.0-or-later
"""Polygons and points that can't be learnt from, or not all of them."""

import numpy as np
import rasterio
import shapely

from tests.timo.bad_inputs.desk import SITE, fields, real, square
from tests.timo.bad_inputs.rows import Table

TABLE = Table()


@TABLE.refused(
    "a layer that nothing was drawn in yet",
    "empty.gpkg has no features. Draw polygons or points first.",
)
def _(desk):
    return desk.finetune(desk.layer("empty.gpkg", [], kind=[]))


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
    "1 polygon of bow.gpkg crosses itself and was repaired.",
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
    "1 polygon of small.gpkg is smaller than a pixel: it counts only where it holds its centre.\nNo "
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
)
def _(desk):
    shapes, classes = fields("field", "woods", count=8)
    points = [shape.centroid for shape in shapes]
    return desk.finetune(desk.layer("sea.gpkg", points, kind=classes), series=desk.half_empty())


@TABLE.refused(
    "one class lies in a sea of nodata, to train on",
    "No label but those of class 'woods' of sea.gpkg lies where the series has data on any date. Give labels "
    "where the series has data.",
)
def _(desk):
    shapes, _ = fields("")
    layer = desk.layer("sea.gpkg", shapes, kind=["field"] * 8 + ["woods"] * 8)
    return desk.finetune(layer, series=desk.half_empty())


@TABLE.warned(
    "some labels to train on lie where no date has data",
    "400 labelled pixels of sea.gpkg lie where no date has data: not used.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    folder = desk.series()
    for path in folder.glob("*.tif"):
        with rasterio.open(path, "r+") as file:
            values = file.read()
            values[:, :32, :32] = 0
            file.write(values)
    return desk.finetune(desk.layer("sea.gpkg", shapes, kind=classes), series=folder)


@TABLE.refused(
    "polygons beside a Sentinel-2 scene, some outside, and the wrong field (awkward_s2_l1c_jp2_multires)",
    "s2l1c_ref.gpkg has no field 'kind'; s2l1c_ref.gpkg has the fields …. Name the field that holds the "
    "class.",
)
def _(desk):
    folder = real("awkward_s2_l1c_jp2_multires")
    return desk.finetune(folder / "s2l1c_ref.gpkg", series=folder / "IMG_DATA")


@TABLE.refused(
    "polygons in the coordinates of a building site",
    "site.gpkg can't be brought to the coordinate system of the series: one of the two tells no place on "
    "Earth. Save the labels in the coordinate system of the series.",
)
def _(desk):
    shapes, classes = fields("field", "woods")
    return desk.finetune(desk.layer("site.gpkg", shapes, crs=SITE, kind=classes))
