# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of labels that are learnt from together: what is read of each, and what it calls the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
    QgsWkbTypes,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QDate, QDateTime, Qt

from ..compat import is_null
from ..i18n import tr
from ..timing import inside_qgis
from .label_classes import class_name, is_number, names_told, value_map

FIELDS = ("class", "classname", "class_name", "label", "landcover", "lc", "crop", "type", "code")
MOST_FLASHED = 200
"""Features that flash in one go; more would hold the interface up."""
SHAPES = (QgsWkbTypes.GeometryType.PolygonGeometry, QgsWkbTypes.GeometryType.PointGeometry)


Key = Tuple[str, int]
"""A feature: its layer's id, and its own."""


@dataclass(frozen=True)
class LabelPart:
    """One layer of labels. What several call a class, the first one says.

    Attributes:
        field: Holds the class.
        selected_only: Whether only selected features are used.
    """

    layer: QgsVectorLayer
    field: str
    selected_only: bool = False

    @property
    def alive(self) -> bool:
        """Whether the layer is still in the project."""
        return not sip.isdeleted(self.layer) and self.layer.project() is not None


class Naming:
    """What the classes of further layers are called in the first one.

    Args:
        names: The first layer's classes.
        told: What its value map calls them.
    """

    def __init__(self, names: Iterable[str] = (), told: Optional[Mapping[str, str]] = None) -> None:
        self.names = list(names)
        self._told = {_folded(text): name for name, text in (told or {}).items()}
        self._known = {name: name for name in self.names}
        for name in self.names:
            self._known.setdefault(_folded(name), name)
        for text, name in self._told.items():
            self._known.setdefault(text, name)

    def of(self, name: str, told: Mapping[str, str]) -> str:
        """The first layer's name of a class: that of its value, or of what the own value map calls it."""
        text = _folded(told.get(name, ""))
        if text and self._told and is_number(name):  # in another list the number may be another class
            return self._known.get(text, told[name])
        for one in (name, _folded(name), text):
            if one in self._known:
                return self._known[one]
        return name

    def odd(self, names: Iterable[str]) -> List[str]:
        """Those that are numbers where the first layer has names, or names where it has numbers."""
        kinds = {is_number(name) for name in self.names}
        return [name for name in names if name not in self._known and kinds and is_number(name) not in kinds]


class PartReader:
    """Takes what it needs of a layer at once; reading may happen in another thread.

    Args:
        part: The layer.
        fields: Those to be read beside the class; some may not be there.
        shapes: Whether the geometries are wanted.
        like: The layer in whose coordinates they are; the own one's without.
    """

    def __init__(
        self,
        part: LabelPart,
        fields: Sequence[str] = (),
        *,
        shapes: bool = True,
        like: Optional[QgsVectorLayer] = None,
    ) -> None:
        layer = part.layer
        self.ident, self.name, self.field = layer.id(), layer.name(), part.field
        self.told = value_map(layer, part.field)
        self.called = names_told(layer, part.field)
        self.crs = layer.crs()
        self._index = layer.fields().lookupField(part.field)
        self._others = [layer.fields().lookupField(name) for name in fields]
        wanted = [index for index in (self._index, *self._others) if index >= 0]
        self._request = QgsFeatureRequest().setSubsetOfAttributes(wanted)
        if not shapes:
            self._request.setFlags(QgsFeatureRequest.Flag.NoGeometry)
        if part.selected_only:
            self._request.setFilterFids(layer.selectedFeatureIds())
        self._source = QgsVectorLayerFeatureSource(layer)
        context = QgsProject.instance().transformContext()
        there = like.crs() if like is not None else self.crs
        self._transform = QgsCoordinateTransform(self.crs, there, context) if there != self.crs else None

    def features(self, naming: Naming) -> Iterator[Tuple[QgsFeature, str]]:
        """The features, each with the first layer's name of its class, which is empty where it has none."""
        for feature in self._source.getFeatures(self._request):
            name = class_name(feature.attribute(self._index))
            yield feature, naming.of(name, self.told) if name else ""

    def others(self, feature: QgsFeature) -> List[str]:
        """The values of the further fields as texts, empty where there is none."""
        return [text_of(feature.attribute(index)) if index >= 0 else "" for index in self._others]

    def shape(self, feature: QgsFeature) -> QgsGeometry:
        """Where a feature lies, in the coordinates asked for; none where it has no place in them."""
        there = QgsGeometry(feature.geometry())
        try:
            if self._transform is not None and not there.isNull():
                there.transform(self._transform)
        except QgsCsException:
            return QgsGeometry()
        return there


def readers(
    parts: Sequence[LabelPart], fields: Sequence[str] = (), *, shapes: bool = True
) -> List[PartReader]:
    """Readers of all layers, in the coordinates of the first."""
    return [PartReader(part, fields, shapes=shapes, like=parts[0].layer) for part in parts]


def all_features(read: Sequence[PartReader], naming: Naming) -> Iterator[Tuple[PartReader, QgsFeature, str]]:
    """The features of all layers, each with its reader and its class."""
    for number, reader in enumerate(read):
        for feature, name in reader.features(naming if number else Naming()):
            yield reader, feature, name


def by_layer(parts: Sequence[LabelPart], keys: Iterable[Key]) -> List[Tuple[QgsVectorLayer, List[int]]]:
    """Features by the layer that they are of, which is one of these and has any."""
    wanted = list(keys)
    found = [
        (part.layer, [fid for ident, fid in wanted if ident == part.layer.id()])
        for part in parts
        if not sip.isdeleted(part.layer)
    ]
    return [(layer, features) for layer, features in found if features]


def select(parts: Sequence[LabelPart], keys: Iterable[Key], iface: Any, *, flash: bool = False) -> int:
    """Select these features and no others, and bring those of the first layer that has some into view.

    Args:
        parts: The layers that they are of.
        keys: The features.
        iface: QGIS.
        flash: Leave all selections as they are: the features only flash.

    Returns:
        How many of them there are.
    """
    about = by_layer(parts, keys)
    with inside_qgis():
        canvas = iface.mapCanvas()
        if flash:
            for layer, features in about:
                canvas.flashFeatureIds(layer, features[:MOST_FLASHED])
        else:
            chosen = {layer.id(): features for layer, features in about}
            for layer in (part.layer for part in parts if not sip.isdeleted(part.layer)):
                layer.selectByIds(chosen.get(layer.id(), []))  # an old selection would look like the answer
        if about:
            iface.setActiveLayer(about[0][0])
            canvas.zoomToFeatureIds(*about[0])
    return sum(len(features) for _, features in about)


def why_not_together(parts: Sequence[LabelPart]) -> str:
    """Why layers cannot be laid on each other, in a sentence that says what to do; empty if they can."""
    crs: List[QgsCoordinateReferenceSystem] = [part.layer.crs() for part in parts]
    lost = next((part for part, one in zip(parts, crs) if not one.isValid()), None)
    if lost is None or not any(one.isValid() for one in crs):
        return ""
    return tr("Layer '{name}' has no coordinate system: set it in the layer's properties.",
              name=lost.layer.name())  # fmt: skip


def usual_field(layer: QgsVectorLayer, wanted: str = "") -> str:
    """The field that is named like a class: the wanted one, the style's, or a usual one; else empty.

    Args:
        layer: The labels.
        wanted: What the field is called in another layer.
    """
    fields, renderer = layer.fields(), layer.renderer()
    style = renderer.classAttribute().strip('"') if isinstance(renderer, QgsCategorizedSymbolRenderer) else ""
    found = (fields.lookupField(name) for name in (wanted, style, *FIELDS) if name)
    return next((str(fields.at(index).name()) for index in found if index >= 0), "")


def likely_field(layer: Optional[QgsMapLayer]) -> str:
    """The likeliest field of the class: the usual one, else the first text, else the first."""
    if not isinstance(layer, QgsVectorLayer):
        return ""
    texts = [
        field.name() for field in layer.fields() if field.typeName().lower() in ("string", "text", "varchar")
    ]
    names = [field.name() for field in layer.fields()]
    return usual_field(layer) or (texts or names or [""])[0]


def text_of(value: Any) -> str:
    """An attribute's value as text, a date as 2020-08-01; empty if there is none."""
    if is_null(value):
        return ""
    if isinstance(value, (QDate, QDateTime)):
        return str(value.toString(Qt.DateFormat.ISODate))
    return str(value).strip()


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
