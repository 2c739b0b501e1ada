# SPDX-License-Identifier: GPL-3.0-or-later
"""From a job's output files to layers of the project: a group a job, and in time what has a date."""

from __future__ import annotations

import datetime as dt
import os
from collections import defaultdict
from pathlib import Path
from typing import DefaultDict, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from qgis.core import (
    Qgis,
    QgsDataProvider,
    QgsDateTimeRange,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime

from ..i18n import tr
from ..timing import inside_qgis
from .provenance import metadata
from .result_files import (
    CHANGE,
    CONFIDENCE,
    DATED,
    MAP,
    POLYGONS,
    PROBABILITIES,
    Result,
    read_results,
)
from .sources import JOB_PROPERTY, KIND_PROPERTY, is_result, layer_file
from .styling import style

__all__ = [
    "Result",
    "add_results",
    "dress",
    "layer_of",
    "layers_by_file",
    "layers_of_job",
    "read_results",
    "renew",
    "reopen",
    "true_path",
]

TITLES = {
    MAP: tr("Map"),
    CONFIDENCE: tr("Confidence"),
    PROBABILITIES: tr("Probabilities"),
    POLYGONS: tr("Polygons"),
    DATED: tr("Map of a date"),
    CHANGE: tr("Change"),
}
Ranges = Dict[dt.date, Tuple[dt.date, dt.date]]


def add_results(
    project: QgsProject, results: Sequence[Result], job: str, title: str
) -> Iterator[QgsMapLayer]:
    """Add the results as a group at the top of the layer tree, the map visible and unfolded.

    Maps of each date stand in a group of their own, which is shown when the analyst ticks it. Opening a layer
    takes its time: each is added when the next one is asked for. Where a file has replaced that of a former
    result, the layer of that one shows it, and there is no second one.

    Args:
        project: The project.
        results: What ``read_results`` gave.
        job: The job's id, kept with the layers.
        title: The group's name.

    Yields:
        The layers; those of this job that are in the project already are not added again.
    """
    by_file = layers_by_file(project, [result.path for result in results])
    ranges = _ranges([result.date for result in results if result.date is not None])
    group = _group_of(project, job)
    added = False
    for result in results:
        there = [layer for layer in by_file.get(true_path(result.path), ()) if not sip.isdeleted(layer)]
        if any(layer.customProperty(JOB_PROPERTY) == job for layer in there):
            continue
        renew(there, result, job, title)
        layers = [layer for layer in there if is_result(layer)]
        if not layers:
            layer = layer_of(result, title)
            if not layer.isValid():
                continue
            if group is None or sip.isdeleted(group):  # it may be taken away meanwhile
                group = project.layerTreeRoot().insertGroup(0, title)
                group.setCustomProperty(JOB_PROPERTY, job)
            dress(layer, result, job, title)
            _place(project, layer, result, group)
            layers = [layer]
        for layer in layers:
            if result.date is not None and isinstance(layer, QgsRasterLayer):
                _place_in_time(layer, ranges[result.date])
        added = True
        yield layers[0]
    if added and ranges and project.timeSettings().temporalRange().isInfinite():
        first, last = min(ranges), ranges[max(ranges)][1]
        project.timeSettings().setTemporalRange(QgsDateTimeRange(_moment(first), _moment(last)))


def layer_of(result: Result, title: str) -> QgsMapLayer:
    """A layer of a result, not styled and in no project yet."""
    with inside_qgis():
        if result.kind == POLYGONS:
            return QgsVectorLayer(str(result.path), _layer_name(result, title), "ogr")
        return QgsRasterLayer(str(result.path), _layer_name(result, title), "gdal")


def dress(layer: QgsMapLayer, result: Result, job: str, title: str) -> None:
    """Style the layer of a result, and say in it how it was made."""
    style(layer, result.kind, result.classes)
    layer.setMetadata(metadata(result.tags, f"{title} ({TITLES[result.kind].lower()})", job))
    layer.setCustomProperty(JOB_PROPERTY, job)
    layer.setCustomProperty(KIND_PROPERTY, result.kind)


def reopen(layer: QgsMapLayer) -> None:
    """Have a layer show what its file holds now: what it has opened may be a file that was replaced."""
    with inside_qgis():
        if isinstance(layer, QgsRasterLayer):  # reload() would keep the former file's extent
            options = QgsDataProvider.ProviderOptions()
            layer.setDataSource(layer.source(), layer.name(), layer.providerType(), options)
        else:
            layer.reload()


def renew(layers: Iterable[QgsMapLayer], result: Result, job: str, title: str) -> None:
    """Have layers of a result's file show what it holds now; those that the analyst made keep their style."""
    for layer in layers:
        reopen(layer)
        if is_result(layer):
            dress(layer, result, job, title)
        layer.triggerRepaint()


def layers_by_file(project: QgsProject, files: Iterable[Path]) -> Dict[str, List[QgsMapLayer]]:
    """The layers in the project that show one of these files, by its true path."""
    names = {os.path.normcase(file.name) for file in files}
    found: DefaultDict[str, List[QgsMapLayer]] = defaultdict(list)
    for layer in project.mapLayers().values():
        file = layer_file(layer)
        if file is not None and os.path.normcase(file.name) in names:  # the others' paths need no disk
            found[true_path(file)].append(layer)
    return found


def layers_of_job(project: QgsProject, job: str) -> List[QgsMapLayer]:
    """The layers in the project that show a job's results."""
    return [layer for layer in project.mapLayers().values() if layer.customProperty(JOB_PROPERTY) == job]


def true_path(file: Path) -> str:
    """The same for all ways to write a path: links, slashes and, on Windows, capitals."""
    return os.path.normcase(os.path.realpath(file))


def _group_of(project: QgsProject, job: str) -> Optional[QgsLayerTreeGroup]:
    groups = project.layerTreeRoot().findGroups(True)
    return next((group for group in groups if group.customProperty(JOB_PROPERTY) == job), None)


def _place(project: QgsProject, layer: QgsMapLayer, result: Result, group: QgsLayerTreeGroup) -> None:
    """Add a new layer to the project, in its job's group."""
    with inside_qgis():
        project.addMapLayer(layer, False)
        node = (group if result.kind != DATED else _dated_group(group)).addLayer(layer)
    node.setItemVisibilityChecked(result.kind in (MAP, DATED))
    node.setExpanded(result.kind == MAP)


def _dated_group(group: QgsLayerTreeGroup) -> QgsLayerTreeGroup:
    """The group in a job's group for the maps of each date: unticked, as they lie on one another."""
    name = tr("Every date")
    for child in group.children():
        if isinstance(child, QgsLayerTreeGroup) and child.name() == name:
            return child
    made = group.addGroup(name)
    made.setItemVisibilityChecked(False)
    made.setExpanded(False)
    return made


def _layer_name(result: Result, title: str) -> str:
    if result.kind == MAP:
        return title
    if result.date is not None:
        return result.date.isoformat()
    return f"{title} – {TITLES[result.kind].lower()}"


def _ranges(dates: Sequence[dt.date]) -> Ranges:
    """Each date's time, until the next date; the last lasts as long as the one before it, or a day."""
    days = sorted(set(dates))
    ends = days[1:]
    if days:
        ends.append(days[-1] + (days[-1] - days[-2] if len(days) > 1 else dt.timedelta(days=1)))
    return {day: (day, end) for day, end in zip(days, ends)}


def _place_in_time(layer: QgsRasterLayer, span: Tuple[dt.date, dt.date]) -> None:
    properties = layer.temporalProperties()
    properties.setMode(Qgis.RasterTemporalMode.FixedTemporalRange)
    properties.setFixedTemporalRange(QgsDateTimeRange(_moment(span[0]), _moment(span[1]), True, False))
    properties.setIsActive(True)


def _moment(day: dt.date) -> QDateTime:
    return QDateTime(QDate(day.year, day.month, day.day), QTime(0, 0), Qt.TimeSpec.UTC)
