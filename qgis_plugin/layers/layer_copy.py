# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vector layer shows, as a file for a job: unsaved edits, filters and memory layers, too."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Sequence

from qgis.core import (
    QgsFeature,
    QgsFeatureRequest,
    QgsFields,
    QgsProject,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from ..i18n import tr
from .geopackage import GeoPackageError, write_features
from .raster_blocks import StoppedError, Tick

LAYER = "labels"
COPIES = "copies"
"""The home's folder of copies: the backend removes them with the jobs they were made for."""


class CopyError(Exception):
    """The copy cannot be written; the text is the sentence to show."""


class LayerCopy:
    """Takes what it needs of the layer at once; writing it may happen in another thread.

    Args:
        layer: The layer.
        fields: Names of the fields to keep; those that it has not are left out.
        selected_only: Whether only selected features are copied.
    """

    def __init__(self, layer: QgsVectorLayer, fields: Sequence[str], selected_only: bool = False) -> None:
        self.name = layer.name()
        self._source = QgsVectorLayerFeatureSource(layer)
        self._crs, self._shape = layer.crs(), layer.wkbType()
        self._context = QgsProject.instance().transformContext()
        found = map(layer.fields().lookupField, dict.fromkeys(fields))
        self._indices = [index for index in found if index >= 0]
        self._fields = QgsFields()
        for index in self._indices:
            self._fields.append(layer.fields().at(index))
        self._request = QgsFeatureRequest().setSubsetOfAttributes(self._indices)
        if selected_only:
            self._request.setFilterFids(layer.selectedFeatureIds())

    def write(self, path: Path, tick: Tick) -> None:
        """Write the features as a GeoPackage.

        Raises:
            CopyError: It cannot be written.
            StoppedError: The analyst has stopped it; there is no file.
        """
        try:
            write_features(
                path, LAYER, self._fields, self._shape, self._crs, self._context, self._features(tick)
            )
        except GeoPackageError as error:
            raise CopyError(
                tr("The features of layer '{name}' could not be copied: {why}.", name=self.name, why=error)
            ) from error

    def _features(self, tick: Tick) -> Iterator[QgsFeature]:
        for feature in self._source.getFeatures(self._request):
            if not tick(0.0):  # how many there are is not known before
                raise StoppedError
            kept = QgsFeature(self._fields)
            kept.setGeometry(feature.geometry())
            kept.setAttributes([feature.attribute(index) for index in self._indices])
            yield kept
