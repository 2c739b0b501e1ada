# SPDX-License-Identifier: GPL-3.0-or-later
"""From a vector layer to the labels of a job: counts, and a copy where the file will not do."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

from qgis.core import (
    QgsApplication,
    QgsFeatureRequest,
    QgsProject,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorFileWriterTask,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)
from qgis.PyQt import sip

from ..i18n import tr
from ..timing import slot
from .label_classes import class_name, too_many
from .sources import layer_file, safe_name

MOST_COUNTED = 100_000
"""Features whose class is looked at; of more, the first so many."""


@dataclass(frozen=True)
class Counted:
    """Features by class.

    Attributes:
        more: Whether there are features that were not looked at.
    """

    classes: Dict[str, int]
    more: bool = False


def counter(
    layer: QgsVectorLayer, field: str, selected_only: bool, wanted: Callable[[], bool] = lambda: True
) -> Callable[[], Counted]:
    """A function that counts the features of each class; it may be called in another thread.

    Args:
        layer: The labels.
        field: The class field.
        selected_only: Whether only selected features count.
        wanted: Whether the count is still waited for; else it stops.
    """
    index = layer.fields().lookupField(field)
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry).setSubsetOfAttributes([index])
    request.setLimit(MOST_COUNTED + 1)
    if selected_only:
        request.setFilterFids(layer.selectedFeatureIds())
    source = QgsVectorLayerFeatureSource(layer)

    def count() -> Counted:
        names: Counter[str] = Counter()
        for number, feature in enumerate(source.getFeatures(request)):
            if number == MOST_COUNTED or not wanted():
                return Counted(_sorted(names), more=True)
            names[class_name(feature.attribute(index))] += 1
        return Counted(_sorted(names))

    return count


def _sorted(names: Mapping[str, int]) -> Dict[str, int]:
    return {name: names[name] for name in sorted(names) if name}


def why_copy(layer: QgsVectorLayer, selected_only: bool) -> str:
    """Why the layer's file is not what the layer shows; empty where it is, and no copy is needed."""
    if selected_only:
        return tr("only the selected features are used")
    if layer.isEditable():
        return tr("the layer is being edited")
    if layer.subsetString():
        return tr("the layer is filtered")
    if layer_file(layer) is None or layer.providerType() != "ogr":
        return tr("the layer is no file")
    parts = QgsProviderRegistry.instance().decodeUri("ogr", layer.source())
    if layer.dataProvider().subLayerCount() > 1 or parts.get("layerId") is not None:
        return tr("the file holds several layers")
    file = layer_file(layer)
    if file is not None and file.suffix.lower() not in (".gpkg", ".shp", ".geojson", ".fgb"):
        return tr("the file is of a format that only QGIS is sure to read")
    return ""


class LabelCopy:
    """Writes a layer as a GeoPackage in a background task.

    Args:
        layer: The labels.
        field: The class field, the only one that is kept.
        selected_only: Whether only selected features are written.
        path: Where to.
        done: Called with the path, and a sentence about what went wrong, which is empty if nothing did.
    """

    def __init__(
        self,
        layer: QgsVectorLayer,
        field: str,
        selected_only: bool,
        path: Path,
        done: Callable[[Path, str], None],
    ) -> None:
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = "GPKG"
        options.layerName = "labels"
        options.onlySelectedFeatures = selected_only
        options.attributes = [layer.fields().lookupField(field)]
        self._path = path
        self._done = done
        self._name = layer.name()
        self._task: Optional[QgsVectorFileWriterTask] = QgsVectorFileWriterTask(layer, str(path), options)
        self._task.setObjectName("timoLabelCopy")  # by which it is found when the plugin is unloaded
        self._task.writeComplete.connect(self._on_complete)
        self._task.errorOccurred.connect(self._on_error)

    def start(self) -> None:
        """Begin; ``done`` is called on the interface's thread."""
        QgsApplication.taskManager().addTask(self._task)

    @slot
    def _on_complete(self, *_: object) -> None:
        self._task = None
        self._done(self._path, "")

    @slot
    def _on_error(self, _code: int, message: str) -> None:
        self._task = None
        why = message.strip().rstrip(".") or tr("it was stopped")
        self._done(
            self._path,
            tr("The labels of layer '{layer}' could not be copied: {why}.", layer=self._name, why=why),
        )


def provide(
    layer: QgsVectorLayer, field: str, selected_only: bool, folder: Path, done: Callable[[Path, str], None]
) -> Optional[LabelCopy]:
    """Give a job the file of a layer, or a copy where the file is not what the layer shows.

    Args:
        layer: The labels.
        field: The class field.
        selected_only: Whether only selected features are given.
        folder: Where a copy goes.
        done: See ``LabelCopy``.

    Returns:
        The copy while it is made; None if there is none, and ``done`` was called.
    """
    if not why_copy(layer, selected_only):
        done(Path(layer_file(layer) or "").absolute(), "")
        return None
    path = folder / f"{safe_name(layer.name())}-{uuid.uuid4().hex[:8]}.gpkg"
    copy = LabelCopy(layer, field, selected_only, path, done)
    copy.start()
    return copy


def layer_of(spec: Mapping[str, Any], likely: Optional[QgsVectorLayer]) -> Optional[QgsVectorLayer]:
    """The project's layer of a job's labels: that of its file, else a likely one that has the class field.

    Args:
        spec: Of the job.
        likely: The layer that is chosen now: the job may have got a copy of it.
    """
    field, file = str(spec.get("class_field") or ""), str(spec.get("labels") or "")
    for layer in QgsProject.instance().mapLayers().values():
        if isinstance(layer, QgsVectorLayer) and file and layer_file(layer) == Path(file):
            return layer
    if likely is None or sip.isdeleted(likely) or likely.fields().lookupField(field) < 0:
        return None
    return likely


def why_not(counts: Dict[str, int], fewest: int = 2) -> str:
    """Why features of these classes cannot be used, where so many classes are needed; empty if they can."""
    if not counts:
        return tr("The labels layer has no features with a class in this field.")
    if len(counts) < fewest:
        return tr(
            "All features have the class '{name}'. Pick a field with at least two classes.",
            name=next(iter(counts)),
        )
    return too_many(len(counts))
