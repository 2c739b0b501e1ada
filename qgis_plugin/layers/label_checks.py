# SPDX-License-Identifier: GPL-3.0-or-later
"""What is doubtful in labels before anything is learnt from them: looked for off the interface's thread."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from osgeo import osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSpatialIndex,
    QgsWkbTypes,
)

from ..i18n import tr, trn
from .finding import Finding
from .hectares import hectares_in
from .label_parts import Key, LabelPart, Naming, all_features, readers

MOST_CHECKED = 20_000
"""Features whose shapes are looked at; of more, the first so many."""
NAMED = 4
# Two polygons that share less of the smaller one's area only touch.
TOUCHING = 1e-4

Places = Sequence[Tuple[QgsRectangle, QgsCoordinateReferenceSystem]]


@dataclass
class Findings:
    """What was found.

    Attributes:
        lines: ``invalid``, ``no_class``, ``outside``, ``overlap``, ``stab``, ``few``, ``alike`` or ``many``.
        areas: Square metres of polygons by class; empty where not all features were looked at, or where
            they have no coordinate system.
        inside: Features by class that lie on the series, or all where there is none; empty likewise.
    """

    lines: List[Finding] = field(default_factory=list)
    areas: Dict[str, float] = field(default_factory=dict)
    inside: Dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Shape:
    key: Key
    name: str
    geometry: QgsGeometry
    shown: str
    """What the class is called."""

    @property
    def is_polygon(self) -> bool:
        return bool(self.geometry.type() == QgsWkbTypes.GeometryType.PolygonGeometry)


@dataclass
class _Pairs:
    """Pairs of features by their classes, and the features."""

    counts: Counter[Tuple[str, str]] = field(default_factory=Counter)
    features: Set[Key] = field(default_factory=set)

    def add(self, one: _Shape, other: _Shape) -> None:
        self.counts[one.shown, other.shown] += 1
        self.features |= {one.key, other.key}

    def most(self) -> Tuple[str, str]:
        return max(self.counts.items(), key=lambda entry: entry[1])[0]


def series_places(layers: Sequence[QgsRasterLayer]) -> Places:
    """Where rasters lie, each place once."""
    found = {(layer.extent().toString(3), layer.crs().authid()): layer for layer in layers if layer.isValid()}
    return [(QgsRectangle(layer.extent()), layer.crs()) for layer in found.values()]


def checker(
    parts: Sequence[LabelPart], naming: Naming, places: Places, called: Mapping[str, str]
) -> Callable[[], Findings]:
    """A function that looks at the labels; it may be called in another thread.

    Args:
        parts: The labels.
        naming: What the first layer calls the classes of the others.
        places: Of ``series_places``; none if there is no series yet.
        called: Names of the classes that are codes.

    Returns:
        The function; what its findings are about are ``Key``s.
    """
    read = readers(parts)
    crs, context = parts[0].layer.crs(), QgsProject.instance().transformContext()

    def check() -> Findings:
        found, whole = Findings(), True
        shapes, without = [], []
        for number, (reader, feature, name) in enumerate(all_features(read, naming)):
            if number >= MOST_CHECKED:
                found.lines.append(Finding("many", tr(
                    "Only the first {count} features were looked at here; all are used. Areas are not "
                    "measured, and the share is of the features.",
                    count=MOST_CHECKED), serious=False))  # fmt: skip
                whole = False
                break
            key = reader.ident, feature.id()
            if name:
                shapes.append(_Shape(key, name, reader.shape(feature), called.get(name, name)))
            else:
                without.append(key)
        here = _extents(places, crs, context)
        inside = [one for one in shapes if _lies_in(one.geometry, here)]
        broken = _invalid([one for one in shapes if one.is_polygon])
        found.lines += broken
        if without:
            found.lines.append(Finding("no_class", trn(
                "{count} feature has no class: it is not used.",
                "{count} features have no class: they are not used.", len(without)),
                about=tuple(without)))  # fmt: skip
        found.lines += _outside(shapes, inside, whole)
        bad = {key for finding in broken for key in finding.about}
        found.lines += _two_classes([one for one in inside if one.key not in bad])
        if whole:  # else a class may be met later
            found.inside = dict(Counter(one.name for one in inside))
            found.areas = _areas([one for one in inside if one.is_polygon], crs)
            found.lines += _few(inside)
        found.lines += _alike(shapes)
        return found

    return check


def _extents(
    places: Places, crs: QgsCoordinateReferenceSystem, context: QgsCoordinateTransformContext
) -> Optional[List[QgsRectangle]]:
    """The places in the labels' system; None where that is not known, so that nothing is outside."""
    found = []
    for extent, of in places:
        if not of.isValid() or not crs.isValid():
            return None
        try:
            found.append(QgsCoordinateTransform(of, crs, context).transformBoundingBox(extent))
        except QgsCsException:
            return None
    return found or None


def _lies_in(geometry: QgsGeometry, here: Optional[List[QgsRectangle]]) -> bool:
    if geometry.isNull() or geometry.isEmpty():
        return False
    return here is None or any(geometry.boundingBox().intersects(one) for one in here)


def _invalid(shapes: Sequence[_Shape]) -> List[Finding]:
    bad = tuple(one.key for one in shapes if not one.geometry.isNull() and not one.geometry.isGeosValid())
    if not bad:
        return []
    text = trn(
        "{count} polygon crosses itself or is broken: it may be left out.",
        "{count} polygons cross themselves or are broken: they may be left out.",
        len(bad),
    )
    tip = tr("Repairs these shapes in an editing session: save the layer, or undo it.")
    return [Finding("invalid", text, tr("Repair"), bad, tip=tip)]


def _outside(shapes: Sequence[_Shape], inside: Sequence[_Shape], whole: bool) -> List[Finding]:
    known = {one.key for one in inside}
    away = tuple(one.key for one in shapes if one.key not in known)
    if not away:
        return []
    if whole and not inside:
        return [Finding("outside", tr(
            "No feature lies on the series: tick rasters of the same place, or check the systems of both."),
            about=away)]  # fmt: skip
    text = trn(
        "{count} feature lies outside of the series: it is not used.",
        "{count} features lie outside of the series: they are not used.",
        len(away),
    )
    return [Finding("outside", text, about=away)]


def _two_classes(inside: Sequence[_Shape]) -> List[Finding]:
    """Polygons over ground of another class, and points in such polygons: those pixels carry two classes."""
    polygons = [one for one in inside if one.is_polygon]
    index = QgsSpatialIndex()
    for number, one in enumerate(polygons):
        index.addFeature(number, one.geometry.boundingBox())
    overlaps, stabs = _Pairs(), _Pairs()
    for one in inside:
        engine = None
        for other in (polygons[near] for near in index.intersects(one.geometry.boundingBox())):
            if other.name == one.name or (one.is_polygon and other.key <= one.key):
                continue
            if engine is None:
                engine = QgsGeometry.createGeometryEngine(one.geometry.constGet())
                engine.prepareGeometry()
            if not engine.intersects(other.geometry.constGet()):
                continue
            if not one.is_polygon:
                stabs.add(one, other)
                continue
            shared = one.geometry.intersection(other.geometry).area()
            if shared > TOUCHING * min(one.geometry.area(), other.geometry.area()):
                overlaps.add(*sorted((one, other), key=lambda shape: shape.name))
    return _overlaps(overlaps) + _stabs(stabs)


def _overlaps(pairs: _Pairs) -> List[Finding]:
    if not pairs.counts:
        return []
    first, second = pairs.most()
    text = trn(
        "{count} pair of polygons of different classes overlaps ('{first}' and '{second}'): the pixels under "
        "both are not used.",
        "{count} pairs of polygons of different classes overlap (most: '{first}' and '{second}'): the pixels "
        "under both are not used.",
        sum(pairs.counts.values()), first=first, second=second,
    )  # fmt: skip
    return [Finding("overlap", text, about=tuple(sorted(pairs.features)))]


def _stabs(pairs: _Pairs) -> List[Finding]:
    if not pairs.counts:
        return []
    first, second = pairs.most()
    text = trn(
        "{count} point lies in a polygon of another class ('{first}' in '{second}'): the pixel under it is "
        "not used. Correct one of the two.",
        "{count} points lie in polygons of another class (most: '{first}' in '{second}'): the pixels under "
        "them are not used. Correct one of the two.",
        sum(pairs.counts.values()), first=first, second=second,
    )  # fmt: skip
    return [Finding("stab", text, about=tuple(sorted(pairs.features)))]


def _few(inside: Sequence[_Shape]) -> List[Finding]:
    """Classes of one feature, which may lie in the training part or in the one that judges."""
    by_class = defaultdict(list)
    for one in inside:
        by_class[one.shown].append(one.key)
    single = {name: keys for name, keys in sorted(by_class.items()) if len(keys) == 1}
    if not single:
        return []
    text = trn(
        "{names} has one feature: it is learnt or judged, seldom both. Draw more, far apart.",
        "{names} have one feature each: they are learnt or judged, seldom both. Draw more, far "
        "apart.",
        len(single), names=_names(list(single)),
    )  # fmt: skip
    return [Finding("few", text, about=tuple(key for keys in single.values() for key in keys))]


def _alike(shapes: Sequence[_Shape]) -> List[Finding]:
    spellings = defaultdict(set)
    for one in shapes:
        spellings[" ".join(one.name.casefold().split())].add(one.name)
    twins = [names for names in spellings.values() if len(names) > 1]
    if not twins:
        return []
    first = sorted(twins[0])
    odd = {name for names in twins for name in names}
    text = tr("{names} are spelt alike, and count as classes of their own.", names=_names(first))
    return [Finding("alike", text, about=tuple(one.key for one in shapes if one.name in odd))]


def _areas(shapes: Sequence[_Shape], crs: QgsCoordinateReferenceSystem) -> Dict[str, float]:
    measure = hectares_in(osr.SpatialReference(crs.toWkt(crs.WKT_PREFERRED))) if crs.isValid() else None
    if measure is None:
        return {}
    found: Dict[str, float] = defaultdict(float)
    for one in shapes:
        found[one.name] += 1e4 * measure(one.geometry)
    return dict(found)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:NAMED])
    return (
        shown
        if len(names) <= NAMED
        else tr("{names} and {count} more", names=shown, count=len(names) - NAMED)
    )
