# SPDX-License-Identifier: GPL-3.0-or-later
"""From a vector layer to the labels of a job: counts, and a copy where the file will not do."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from qgis.core import (
    QgsFeatureRequest,
    QgsProject,
    QgsProviderRegistry,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)
from qgis.PyQt import sip

from ..i18n import tr
from ..timing import slot
from .label_classes import class_name, too_many
from .layer_copy import LayerCopy
from .raster_blocks import Tick
from .sources import layer_file, safe_name
from .task import RasterTask

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


def provide(
    layer: QgsVectorLayer,
    fields: Sequence[str],
    selected_only: bool,
    folder: Path,
    done: Callable[[Path, str], None],
) -> Optional[RasterTask]:
    """Give a job the file of a layer, or a copy where the file is not what the layer shows.

    Args:
        layer: The labels.
        fields: The class field, and others that the job reads; a copy has no more.
        selected_only: Whether only selected features are given.
        folder: Where a copy goes.
        done: Called on the interface's thread with the path, and a sentence about what went wrong, which is
            empty if nothing did.

    Returns:
        The task that makes the copy, to be kept; None if there is none, and ``done`` was called.
    """
    if not why_copy(layer, selected_only):
        done(Path(layer_file(layer) or "").absolute(), "")
        return None
    name = layer.name()
    path = folder / f"{safe_name(name)}-{uuid.uuid4().hex[:8]}.gpkg"
    copy = LayerCopy(layer, fields, selected_only)

    def write(tick: Tick) -> Path:
        copy.write(path, tick)
        return path

    @slot
    def ended(made: Optional[Path], problem: str) -> None:
        stopped = tr("The copy of layer '{name}' was stopped: start again.", name=name)
        done(path, problem or ("" if made else stopped))

    task = RasterTask(tr("Copy of layer '{name}'", name=name), write)
    task.ended.connect(ended)
    task.start()
    return task


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
