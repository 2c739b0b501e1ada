# SPDX-License-Identifier: GPL-3.0-or-later
"""Several layers of labels as one file for a job, their classes called as in the first layer."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from osgeo import gdal, ogr, osr
from qgis.core import QgsCoordinateReferenceSystem

from ..i18n import tr
from .geopackage import GeoPackageError, create
from .label_parts import LabelPart, Naming, all_features, readers
from .layer_copy import LAYER, CopyError
from .raster_blocks import StoppedError, Tick, flush, whole


class LabelsCopy:
    """Takes what it needs of the layers at once; writing them may happen in another thread.

    Args:
        parts: The labels; the first one's coordinates and fields are the copy's.
        naming: What the first layer calls the classes of the others.
        fields: Names of the fields to keep beside the class.
    """

    def __init__(self, parts: Sequence[LabelPart], naming: Naming, fields: Sequence[str]) -> None:
        self._class, self._fields = parts[0].field, [name for name in fields if name != parts[0].field]
        self._readers, self._naming = readers(parts, self._fields), naming
        self.name, self._crs = parts[0].layer.name(), QgsCoordinateReferenceSystem(parts[0].layer.crs())

    def write(self, path: Path, tick: Tick) -> None:
        """Write the features that have a class as a GeoPackage of one layer.

        All fields are texts, as one that is a number here may be a text there; the library reads whole
        numbers and dates from texts, too. It also reads points and polygons from one layer, so that each
        feature keeps its shape: a point is the pixel under it.

        Raises:
            CopyError: It cannot be written.
            RasterError: The same, said of the whole file.
            StoppedError: The analyst has stopped it; there is no file.
        """
        reference = osr.SpatialReference(self._crs.toWkt()) if self._crs.isValid() else None
        fields = dict.fromkeys([self._class, *self._fields], ogr.OFTString)
        with whole(path) as part:
            try:
                made, into = create(part, LAYER, reference, ogr.wkbUnknown, fields)
            except GeoPackageError as error:
                raise self._failed(str(error)) from error
            try:
                self._fill(into, tick)
                flush(made, path)
            finally:
                into = made = None  # closed before it is put in place

    def _fill(self, into: ogr.Layer, tick: Tick) -> None:
        into.StartTransaction()
        for reader, feature, name in all_features(self._readers, self._naming):
            if not tick(0.0):  # how many there are is not known before
                raise StoppedError
            shape = reader.shape(feature)
            if not name or shape.isNull():
                continue
            kept = ogr.Feature(into.GetLayerDefn())
            kept.SetField(self._class, name)
            for field, value in zip(self._fields, reader.others(feature)):
                if value:
                    kept.SetField(field, value)
            kept.SetGeometry(ogr.CreateGeometryFromWkb(bytes(shape.asWkb())))
            if into.CreateFeature(kept):
                raise self._failed(gdal.GetLastErrorMsg().rstrip("."))
        into.CommitTransaction()

    def _failed(self, why: str) -> CopyError:
        return CopyError(
            tr("The features of layer '{name}' could not be copied: {why}.", name=self.name, why=why)
        )
