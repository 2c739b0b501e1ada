# SPDX-License-Identifier: GPL-3.0-or-later
"""Which labels a cell of the confusion matrix is about: looked for in rasters, off the interface's thread."""

from __future__ import annotations

from array import array
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

from osgeo import gdal, ogr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsGeometry,
    QgsProject,
)

from .label_parts import Key, LabelPart, Naming, all_features, readers

SIDE = 512
"""Most pixels a side that are looked at of one polygon: of a larger one, every so many."""
MAP, ERRORS, SPLIT, NONE = "map", "errors", "split", ""


@dataclass(frozen=True)
class Evidence:
    """A file that tells where a cell's pixels lie, the surest first.

    Attributes:
        kind: A ``map`` of the model, an evaluation's ``errors``, or a training's ``split``.
        value: Of the pixels that count; not for a split, of which the validation part counts.
        model: The checksum that a map must carry; empty if it need not.
    """

    kind: str
    path: Path
    value: int = 0
    model: str = ""


Found = Tuple[Tuple[Key, ...], str]


def finder(parts: Sequence[LabelPart], name: str, evidence: Sequence[Evidence]) -> Callable[[], Found]:
    """A function that finds features of a class by the first evidence that there is; for another thread.

    Args:
        parts: The labels.
        name: The class: what the first of them holds, or calls that.
        evidence: Where to look.

    Returns:
        The function; it returns the features, and the kind of the evidence, empty if there was none.
    """
    read = readers(parts)
    naming = Naming([name], read[0].told)
    crs, context = parts[0].layer.crs(), QgsProject.instance().transformContext()

    def find() -> Found:
        shapes = [
            ((reader.ident, feature.id()), reader.shape(feature))
            for reader, feature, found in all_features(read, naming)
            if name in (found, reader.called.get(found))
        ]
        features = [(key, shape) for key, shape in shapes if not shape.isNull()]
        for kind in (MAP, ERRORS, SPLIT):
            tests = [test for one in evidence if one.kind == kind for test in _tests(one, crs, context)]
            if tests:
                hit = tuple(key for key, geometry in features if any(test(geometry) for test in tests))
                return hit, kind
        return (), NONE

    return find


Test = Callable[[QgsGeometry], bool]


def _tests(
    one: Evidence, crs: QgsCoordinateReferenceSystem, context: QgsCoordinateTransformContext
) -> List[Test]:
    return _by_split(one, crs, context) if one.kind == SPLIT else _by_raster(one, crs, context)


def _by_raster(
    one: Evidence, crs: QgsCoordinateReferenceSystem, context: QgsCoordinateTransformContext
) -> List[Test]:
    """Whether a pixel under a geometry has the value."""
    dataset = None
    with suppress(RuntimeError):
        dataset = gdal.OpenEx(str(one.path), gdal.OF_RASTER)
    if dataset is None or (one.model and dataset.GetMetadataItem("TIMO_MODEL_SHA256") != one.model):
        return []
    of = QgsCoordinateReferenceSystem()
    of.createFromWkt(dataset.GetProjection())
    transform = QgsCoordinateTransform(crs, of, context) if of.isValid() and crs.isValid() else None

    def test(geometry: QgsGeometry) -> bool:
        there = QgsGeometry(geometry)
        try:
            if transform is not None:
                there.transform(transform)
        except QgsCsException:
            return False
        return _holds(dataset, there, one.value)

    return [test]


def _holds(dataset: gdal.Dataset, geometry: QgsGeometry, value: int) -> bool:
    """Whether a pixel of the first band whose centre lies in a polygon, or under a point, has a value."""
    x0, width, _, y0, _, height = dataset.GetGeoTransform()
    box = geometry.boundingBox()
    columns = sorted(((box.xMinimum() - x0) / width, (box.xMaximum() - x0) / width))
    rows = sorted(((box.yMinimum() - y0) / height, (box.yMaximum() - y0) / height))
    left, top = max(int(columns[0]), 0), max(int(rows[0]), 0)
    across = min(int(columns[1]) + 1, dataset.RasterXSize) - left
    down = min(int(rows[1]) + 1, dataset.RasterYSize) - top
    if across <= 0 or down <= 0 or columns[1] < 0 or rows[1] < 0:
        return False
    size = min(across, SIDE), min(down, SIDE)
    data = dataset.GetRasterBand(1).ReadRaster(
        left, top, across, down, size[0], size[1], buf_type=gdal.GDT_Int32
    )
    values = array("i", data)
    if value not in values:
        return False
    if geometry.boundingBox().isEmpty():  # a point
        return True
    step = width * across / size[0], height * down / size[1]
    mask = gdal.GetDriverByName("MEM").Create("", size[0], size[1], 1, gdal.GDT_Byte)
    mask.SetGeoTransform((x0 + left * width, step[0], 0, y0 + top * height, 0, step[1]))
    shapes = ogr.GetDriverByName("Memory").CreateDataSource("")
    drawn = shapes.CreateLayer("shape", None, ogr.wkbUnknown)
    feature = ogr.Feature(drawn.GetLayerDefn())
    feature.SetGeometry(ogr.CreateGeometryFromWkb(bytes(geometry.asWkb())))
    drawn.CreateFeature(feature)
    gdal.RasterizeLayer(mask, [1], drawn, burn_values=[1])
    inside = mask.GetRasterBand(1).ReadRaster()
    return any(here and found == value for here, found in zip(inside, values))


def _by_split(
    one: Evidence, crs: QgsCoordinateReferenceSystem, context: QgsCoordinateTransformContext
) -> List[Test]:
    """Whether a geometry lies where the training's validation or test labels do."""
    source = None
    with suppress(RuntimeError):
        source = ogr.Open(str(one.path))
    parts = source.GetLayer(0) if source is not None else None
    if parts is None or parts.GetLayerDefn().GetFieldIndex("part") < 0:
        return []
    of = QgsCoordinateReferenceSystem()
    if parts.GetSpatialRef() is not None:
        of.createFromWkt(parts.GetSpatialRef().ExportToWkt())
    transform = QgsCoordinateTransform(of, crs, context) if of.isValid() and crs.isValid() else None
    judged: Dict[str, List[QgsGeometry]] = {}
    for feature in parts:
        place = QgsGeometry()
        if feature.GetGeometryRef() is not None:
            place.fromWkb(bytes(feature.GetGeometryRef().ExportToWkb()))
        with suppress(QgsCsException):
            if transform is not None:
                place.transform(transform)
        judged.setdefault(str(feature.GetField("part")), []).append(place)
    places = judged.get("test") or judged.get("validation") or []
    return [lambda geometry: any(place.intersects(geometry) for place in places)] if places else []
