# SPDX-License-Identifier: GPL-3.0-or-later
"""From vector layers to the labels of a job: counts, and a copy where the file will not do."""

from __future__ import annotations

import codecs
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from qgis.core import QgsProject, QgsProviderRegistry, QgsVectorLayer
from qgis.PyQt import sip

from ..i18n import tr
from ..timing import slot
from .label_classes import too_many
from .label_parts import LabelPart, Naming, PartReader, readers, why_not_together
from .labels_copy import LabelsCopy
from .layer_copy import LayerCopy
from .raster_blocks import Tick
from .sources import layer_file, safe_name
from .task import RasterTask

MOST_COUNTED = 100_000
"""Features of a layer whose class is looked at; of more, the first so many."""
COPY_PROPERTY = "timo/labels"
"""Custom property of a labels layer: the copy made of it last, its place there and of how many, its field."""


@dataclass(frozen=True)
class Counted:
    """Features by class.

    Attributes:
        more: Whether there are features that were not looked at.
        naming: What the first layer calls the classes of the others.
        trouble: Why the layers cannot be used together, as a sentence; empty if they can.
    """

    classes: Dict[str, int]
    more: bool = False
    naming: Naming = field(default_factory=Naming)
    trouble: str = ""


def counter(parts: Sequence[LabelPart], wanted: Callable[[], bool] = lambda: True) -> Callable[[], Counted]:
    """A function that counts the features of each class; it may be called in another thread.

    Args:
        parts: The labels.
        wanted: Whether the count is still waited for; else it stops.
    """
    first, *others = readers(parts, shapes=False)
    apart = why_not_together(parts)

    def count() -> Counted:
        names, more = _count(first, Naming(), wanted)
        naming = Naming({**names, **first.told}, first.told)
        troubles = [apart]
        for reader in others:
            found, cut = _count(reader, naming, wanted)
            names.update(found)
            more |= cut
            odd = naming.odd(sorted(found))
            troubles.append(_unmatched(reader, odd[0], first, naming) if odd else "")
        return Counted(_sorted(names), more, naming, next(filter(None, troubles), ""))

    return count


def _count(reader: PartReader, naming: Naming, wanted: Callable[[], bool]) -> Tuple[Counter[str], bool]:
    """Features by class of one layer, and whether some were not looked at."""
    names: Counter[str] = Counter()
    for number, (_, name) in enumerate(reader.features(naming)):
        if number == MOST_COUNTED or not wanted():
            return names, True
        if name:
            names[name] += 1
    return names, False


def _unmatched(reader: PartReader, name: str, first: PartReader, naming: Naming) -> str:
    return tr(
        "Class '{name}' in field '{field}' of layer '{layer}' matches none of layer '{first}' ({classes}): "
        "give both names or both numbers, or untick the layer.",
        name=name, field=reader.field, layer=reader.name, first=first.name,
        classes=", ".join(sorted(naming.names)[:4]),
    )  # fmt: skip


def _sorted(names: Mapping[str, int]) -> Dict[str, int]:
    return {name: names[name] for name in sorted(names)}


def why_copy_of(parts: Sequence[LabelPart], fields: Sequence[str] = ()) -> str:
    """Why a job needs a copy of labels; empty where it can read the layer's file.

    Args:
        parts: The labels.
        fields: What the job reads beside the class.
    """
    if len(parts) > 1:
        return tr("several layers are used together")
    return why_copy(parts[0].layer, parts[0].selected_only, [parts[0].field, *fields])


def why_copy(layer: QgsVectorLayer, selected_only: bool, fields: Sequence[str] = ()) -> str:
    """Why the layer's file is not what the layer shows; empty where it is, and no copy is needed.

    Args:
        layer: The layer.
        selected_only: Whether only selected features are wanted.
        fields: What is read of them; those that the layer has not do not count.
    """
    if selected_only:
        return tr("only the selected features are used")
    if layer.isEditable():
        return tr("the layer is being edited")
    if layer.subsetString():
        return tr("the layer is filtered")
    if layer_file(layer) is None or layer.providerType() != "ogr":
        return tr("the layer is no file")
    parts = QgsProviderRegistry.instance().decodeUri("ogr", layer.source())
    if parts.get("geometryType"):
        return tr("the layer shows one kind of the file's shapes")
    if layer.dataProvider().subLayerCount() > 1 or parts.get("layerId") is not None:
        return tr("the file holds several layers")
    file = layer_file(layer)
    if file is not None and file.suffix.lower() not in (".gpkg", ".shp", ".geojson", ".fgb"):
        return tr("the file is of a format that only QGIS is sure to read")
    if file is not None and file.suffix.lower() == ".shp" and not _tells_encoding(file, layer):
        return tr("the Shapefile doesn't say in which encoding QGIS reads its texts")
    return _why_not_as_shown(layer, fields)


def _tells_encoding(file: Path, layer: QgsVectorLayer) -> bool:
    """Whether a Shapefile's .cpg names the encoding in which QGIS reads it: the job goes by that file."""
    try:
        told = file.with_suffix(".cpg").read_text("ascii").strip()
        return codecs.lookup(told) == codecs.lookup(layer.dataProvider().encoding())
    except (OSError, ValueError, LookupError):  # none, or a name of which only GDAL knows the meaning
        return False


def _why_not_as_shown(layer: QgsVectorLayer, fields: Sequence[str]) -> str:
    """What QGIS adds to the file: a coordinate system that was set, a field that is computed or joined."""
    if layer.crs().isValid() and layer.crs() != layer.dataProvider().crs():
        return tr("the layer's coordinate system was set in QGIS")
    own = layer.dataProvider().fields()
    added = [name for name in fields if layer.fields().lookupField(name) >= 0 > own.lookupField(name)]
    return tr("field '{field}' is not in the file", field=added[0]) if added else ""


def provide(
    parts: Sequence[LabelPart],
    naming: Naming,
    fields: Sequence[str],
    folder: Path,
    done: Callable[[Path, str], None],
) -> Optional[RasterTask]:
    """Give a job the file of a layer, or a copy where that is not what the layers show.

    Args:
        parts: The labels.
        naming: What the first layer calls the classes of the others.
        fields: What the job reads beside the class; a copy has no more.
        folder: Where a copy goes.
        done: Called on the interface's thread with the path, and a sentence about what went wrong, which is
            empty if nothing did.

    Returns:
        The task that makes the copy, to be kept; None if there is none, and ``done`` was called.
    """
    first = parts[0]
    if not why_copy_of(parts, fields):
        done(Path(layer_file(first.layer) or "").absolute(), "")
        return None
    name = first.layer.name()
    path = folder / f"{safe_name(name)}-{uuid.uuid4().hex[:8]}.gpkg"
    copy = (
        LayerCopy(first.layer, [first.field, *fields], first.selected_only)
        if len(parts) == 1
        else LabelsCopy(parts, naming, fields)
    )

    def write(tick: Tick) -> Path:
        copy.write(path, tick)
        return path

    @slot
    def ended(made: Optional[Path], problem: str) -> None:
        stopped = tr("The copy of layer '{name}' was stopped: start again.", name=name)
        if made is not None:
            _remember(parts, made)
        done(path, problem or ("" if made else stopped))

    task = RasterTask(tr("Copy of layer '{name}'", name=name), write)
    task.ended.connect(ended)
    task.start()
    return task


def _remember(parts: Sequence[LabelPart], copy: Path) -> None:
    """Write onto the layers which copy was made of them, and which of its parts each one is."""
    for number, part in enumerate(parts):
        if part.alive:
            told = [str(copy), str(number), str(len(parts)), part.field]
            part.layer.setCustomProperty(COPY_PROPERTY, told)


def parts_of(spec: Mapping[str, Any]) -> List[LabelPart]:
    """The project's layers of a job's labels: that of its file, or those of which its copy was made.

    None where not all of them are there any more, or one is known by a later copy.

    Args:
        spec: Of the job.
    """
    name, file = str(spec.get("class_field") or ""), str(spec.get("labels") or "")
    copied: List[Tuple[int, LabelPart]] = []
    whole = 0
    for layer in QgsProject.instance().mapLayers().values():
        if not isinstance(layer, QgsVectorLayer) or not file:
            continue
        if layer_file(layer) == Path(file) and layer.fields().lookupField(name) >= 0:
            return [LabelPart(layer, name)]
        told = layer.customProperty(COPY_PROPERTY)
        if isinstance(told, list) and told[:1] == [file] and layer.fields().lookupField(told[-1]) >= 0:
            copied.append((int(told[1]), LabelPart(layer, told[-1])))
            whole = int(told[2])
    parts = dict(copied)  # a layer that was duplicated has the same place
    return [parts[number] for number in sorted(parts)] if len(parts) == whole else []


def likely_parts(spec: Mapping[str, Any], likely: Optional[QgsVectorLayer]) -> List[LabelPart]:
    """The project's layers of a job's labels; else a likely one with the class field.

    Args:
        spec: Of the job.
        likely: The layer that is chosen now: the job may have got a copy of it.
    """
    found, name = parts_of(spec), str(spec.get("class_field") or "")
    if found or likely is None or sip.isdeleted(likely) or likely.fields().lookupField(name) < 0:
        return found
    return [LabelPart(likely, name)]


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
