# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vector layer shows, as a file for a job: unsaved edits, filters and memory layers, too."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Sequence

from qgis.core import (
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsFeatureSink,
    QgsFields,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from ..i18n import tr

FORMAT = "GPKG"


class LayerCopy:
    """Takes what it needs of the layer at once; writing it may happen in another thread.

    Args:
        layer: The layer.
        fields: Names of the fields to keep.
    """

    def __init__(self, layer: QgsVectorLayer, fields: Sequence[str]) -> None:
        self.name = layer.name()
        self._source = QgsVectorLayerFeatureSource(layer)
        self._crs = layer.crs()
        self._geometry = layer.wkbType()
        self._indices: List[int] = [
            index for index in map(layer.fields().lookupField, dict.fromkeys(fields)) if index >= 0
        ]
        self._fields = QgsFields()
        for index in self._indices:
            self._fields.append(layer.fields().at(index))

    def write(self, path: Path, feedback: QgsProcessingFeedback) -> None:
        """Write the features as a GeoPackage.

        Raises:
            QgsProcessingException: It cannot be written: one sentence.
        """
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = FORMAT
        options.layerName = "labels"
        options.layerOptions = ["FID=timo_fid"]  # a field of the layer may be named fid
        writer = QgsVectorFileWriter.create(
            str(path), self._fields, self._geometry, self._crs, QgsCoordinateTransformContext(), options
        )
        self._check(writer)
        for feature in self._source.getFeatures():
            if feedback.isCanceled():
                break
            kept = QgsFeature(self._fields)
            kept.setGeometry(feature.geometry())
            kept.setAttributes([feature.attribute(index) for index in self._indices])
            if not writer.addFeature(kept, QgsFeatureSink.Flag.FastInsert):
                break
        self._check(writer)
        del writer  # it is complete when the writer is gone

    def _check(self, writer: Optional[QgsVectorFileWriter]) -> None:
        if writer is None or writer.hasError():
            why = writer.errorMessage().strip().rstrip(".") if writer is not None else tr("no writer")
            raise QgsProcessingException(
                tr("The features of layer '{name}' could not be copied: {why}.", name=self.name, why=why)
            )
