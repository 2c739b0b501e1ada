# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running training makes of a piece of its validation: read from its file, and shown on the map."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Optional
from uuid import uuid4

from osgeo import gdal
from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.PyQt.QtGui import QColor, QImage
from qgis.PyQt.QtXml import QDomDocument, QDomElement

from ..i18n import tr
from ..timing import inside_qgis
from .result_files import Classes, open_file
from .sources import KIND_PROPERTY
from .styling import style

PREVIEW = "preview"


@dataclass(frozen=True)
class Preview:
    """One piece.

    Attributes:
        epoch: Whose map it is.
        date: Of the image, ISO 8601.
        classes: (value, name, #rrggbb).
        image, labels, map: Pictures of a pixel each; transparent where there is no label, or no data.
        file: The bytes of the GeoTIFF.
    """

    epoch: int
    date: str
    classes: Classes
    image: QImage
    labels: QImage
    map: QImage
    file: bytes


def read_preview(path: Path) -> Optional[Preview]:
    """Read a preview, for which no layer is touched; None where it is gone, or none."""
    try:
        data = path.read_bytes()  # once: it may be replaced meanwhile
    except OSError:
        return None
    memory = f"/vsimem/timo-{uuid4().hex}.tif"
    gdal.FileFromMemBuffer(memory, data)
    try:
        mapped, labels, image = (open_file(f"GTIFF_DIR:{page}:{memory}") for page in (1, 2, 3))
        if mapped is None or labels is None or image is None or image.RasterCount != 3:
            return None
        tags = mapped.GetMetadata() or {}
        told = json.loads(tags.get("TIMO_CLASSES", "[]"))
        classes = tuple((int(c["value"]), str(c["name"]), str(c["color"])) for c in told)
        return Preview(
            int(tags.get("TIMO_EPOCH", 0)),
            tags.get("TIMO_DATE", ""),
            classes,
            _picture(image),
            _painted(labels, classes),
            _painted(mapped, classes),
            data,
        )
    finally:
        mapped = labels = image = None
        gdal.Unlink(memory)


def _picture(dataset: gdal.Dataset) -> QImage:
    width, height = dataset.RasterXSize, dataset.RasterYSize
    data = dataset.ReadRaster(
        buf_type=gdal.GDT_Byte, buf_pixel_space=3, buf_line_space=3 * width, buf_band_space=1
    )
    return QImage(bytes(data), width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def _painted(dataset: gdal.Dataset, classes: Classes) -> QImage:
    width, height = dataset.RasterXSize, dataset.RasterYSize
    values = array("i", bytes(dataset.GetRasterBand(1).ReadRaster(buf_type=gdal.GDT_Int32)))
    colors = {value: QColor(color).rgba() for value, _, color in classes}
    pixels = array("I", [colors.get(value, 0) for value in values]).tobytes()
    return QImage(pixels, width, height, 4 * width, QImage.Format.Format_ARGB32).copy()


class PreviewLayer:
    """The one layer of a project that shows a preview: it is in memory, and in no project's file."""

    def __init__(self) -> None:
        self._id = ""
        self._path = ""

    @property
    def layer(self) -> Optional[QgsRasterLayer]:
        """The layer, while it is in the project."""
        return QgsProject.instance().mapLayer(self._id) if self._id else None

    def show(self, preview: Preview, title: str) -> None:
        """Put a preview into the project, or in the place of the last."""
        layer, last = self.layer, self._path
        self._path = f"/vsimem/timo-preview-{uuid4().hex}.tif"
        gdal.FileFromMemBuffer(self._path, preview.file)
        name = tr("{name}, epoch {epoch} (preview)", name=title, epoch=preview.epoch)
        with inside_qgis():
            if layer is None:
                layer = QgsRasterLayer(self._path, name, "gdal")
                layer.setCustomProperty(KIND_PROPERTY, PREVIEW)
                style(layer, PREVIEW, preview.classes)
                self._id = QgsProject.instance().addMapLayer(layer).id()
            else:  # where the analyst has put it, and as it was styled
                layer.setDataSource(self._path, name, "gdal")
                layer.triggerRepaint()
        _forget(last)

    def leave_out_of_tree(self, document: QDomDocument) -> None:
        """Take it out of a project's file that is being written: there would be nothing to show later."""
        found = document.elementsByTagName("layer-tree-layer")
        for element in [found.at(number).toElement() for number in range(found.count())]:
            if self._id and element.attribute("id") == self._id:
                element.parentNode().removeChild(element)

    def leave_out(self, layer: QgsMapLayer, element: QDomElement) -> None:
        """Likewise of the file's layers, which QGIS writes later, each with this chance to change it."""
        if self._id and layer.id() == self._id:
            element.clear()  # what is none is not appended

    def remove(self) -> None:
        """Take it out of the project."""
        layer, path, self._id, self._path = self.layer, self._path, "", ""
        if layer is not None:
            with inside_qgis():
                QgsProject.instance().removeMapLayer(layer)
        _forget(path)


def _forget(path: str) -> None:
    if path:
        gdal.Unlink(path)
