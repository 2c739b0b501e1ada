# SPDX-License-Identifier: GPL-3.0-or-later
"""From a job's output files to styled layers: colours, names, a group, and how they were made."""

from __future__ import annotations

import datetime as dt
import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from osgeo import gdal
from qgis.core import (
    QgsLayerMetadata,
    QgsLayerTreeGroup,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtGui import QColor

from ..compat import RESOURCES
from ..timing import inside_qgis
from .sources import JOB_PROPERTY

TITLES = {"map": "Map", "confidence": "Confidence", "probabilities": "Probabilities"}
ORDER = ("map", "confidence", "probabilities")


@dataclass(frozen=True)
class Result:
    """One output raster as its file describes it.

    Attributes:
        classes: (value, name, #rrggbb), empty if the file has no colour table.
        tags: The file's metadata.
    """

    kind: str
    path: Path
    classes: Tuple[Tuple[int, str, str], ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def read_results(
    outputs: Mapping[str, str], known: Sequence[Mapping[str, Any]] = ()
) -> Tuple[List[Result], List[str]]:
    """Read what the output files say about themselves. Touches no layer: may be called in another thread.

    Args:
        outputs: Paths by kind.
        known: The classes in the job's summary, for a map whose values have no room in a colour table.

    Returns:
        The rasters in the order of the legend, and a sentence for each file that cannot be read.
    """
    results, problems = [], []
    for kind in ORDER:
        if kind not in outputs:
            continue
        path = Path(outputs[kind])
        try:
            dataset = gdal.Open(str(path))
        except RuntimeError:  # GDAL with exceptions on, as the user or another plugin may have set it
            dataset = None
        if dataset is None:
            problems.append(f"{path} cannot be opened: it was moved or deleted since it was made.")
            continue
        classes = _classes(dataset.GetRasterBand(1)) if kind == "map" else ()
        if kind == "map" and not classes:
            classes = tuple((int(c["value"]), str(c["name"]), str(c["color"])) for c in known)
        results.append(Result(kind, path, classes, dict(dataset.GetMetadata() or {})))
        dataset = None
    return results, problems


def add_results(project: QgsProject, results: Sequence[Result], job: str, title: str) -> List[QgsRasterLayer]:
    """Add the results as a group at the top of the layer tree, the map visible and unfolded.

    Args:
        project: The project.
        results: What ``read_results`` gave.
        job: The job's id, kept with the layers.
        title: The group's name.

    Returns:
        The layers; those of this job that are in the project already are not added again.
    """
    there = {
        layer.source() for layer in project.mapLayers().values() if layer.customProperty(JOB_PROPERTY) == job
    }
    new = [result for result in results if str(result.path) not in there]
    if not new:
        return []
    root = project.layerTreeRoot()
    group = _group_of(project, job) or root.insertGroup(0, title)
    added = []
    for result in new:
        with inside_qgis():
            layer = QgsRasterLayer(str(result.path), _layer_name(result, title), "gdal")
        if not layer.isValid():
            continue
        dress(layer, result, job, title)
        with inside_qgis():
            project.addMapLayer(layer, False)
            node = group.addLayer(layer)
        node.setItemVisibilityChecked(result.kind == "map")
        node.setExpanded(result.kind == "map")
        added.append(layer)
    return added


def dress(layer: QgsRasterLayer, result: Result, job: str, title: str) -> None:
    """Style the layer of a result, and say in it how it was made."""
    _style(layer, result)
    layer.setMetadata(_metadata(result, job, title))
    layer.setCustomProperty(JOB_PROPERTY, job)


def _group_of(project: QgsProject, job: str) -> Optional[QgsLayerTreeGroup]:
    for node in project.layerTreeRoot().findLayers():
        layer = node.layer()
        if layer is not None and layer.customProperty(JOB_PROPERTY) == job:
            parent = node.parent()
            return parent if isinstance(parent, QgsLayerTreeGroup) else None
    return None


def _layer_name(result: Result, title: str) -> str:
    return title if result.kind == "map" else f"{title} – {TITLES[result.kind].lower()}"


def _classes(band: gdal.Band) -> Tuple[Tuple[int, str, str], ...]:
    """The classes of a band with a colour table and category names: those that have a name."""
    table, names = band.GetColorTable(), band.GetCategoryNames() or []
    if table is None:
        return ()
    found = []
    for value, name in enumerate(names[: table.GetCount()]):
        if name:
            found.append((value, name, "#{:02x}{:02x}{:02x}".format(*table.GetColorEntry(value)[:3])))
    return tuple(found)


def _style(layer: QgsRasterLayer, result: Result) -> None:
    if result.kind == "map" and result.classes:
        classes = [
            QgsPalettedRasterRenderer.Class(v, QColor(color), name) for v, name, color in result.classes
        ]
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    style = RESOURCES / "styles" / f"{result.kind}.qml"
    if style.is_file():
        with inside_qgis():
            layer.loadNamedStyle(str(style))


def _metadata(result: Result, job: str, title: str) -> QgsLayerMetadata:
    """How the layer was made, for its properties' Metadata page, which reads HTML: all names are escaped."""
    tags = result.tags
    facts: Dict[str, str] = {
        "Model": tags.get("TIMO_MODEL", ""),
        "Checksum of the model": tags.get("TIMO_MODEL_SHA256", ""),
        "Dates": tags.get("TIMO_DATES", ""),
        "Sources": tags.get("TIMO_SOURCES", ""),
        "Made by": tags.get("TIFFTAG_SOFTWARE", ""),
        "Job": job,
    }
    metadata = QgsLayerMetadata()
    metadata.setTitle(f"{title} ({TITLES[result.kind].lower()})")
    metadata.setType("dataset")
    metadata.setAbstract("\n".join(f"{name}: {html.escape(value)}" for name, value in facts.items() if value))
    metadata.setHistory(
        [
            f"{dt.datetime.now().astimezone().isoformat(timespec='seconds')} "
            f"predicted by TiMo for QGIS, job {html.escape(job)}",
            *([f"Parameters: {html.escape(tags['TIMO_SPEC'])}"] if tags.get("TIMO_SPEC") else []),
        ]
    )
    return metadata
