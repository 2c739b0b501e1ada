# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a series, and what is worth knowing, before a job reads it: row by row and as a list."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace
from itertools import combinations, groupby
from typing import Any, Dict, FrozenSet, Iterable, List, Sequence, Tuple

from ..i18n import tr, trn
from .finding import Finding
from .frames import Row, backend_keys, dates, recalled, ticked
from .raster_facts import Box

NO_FILE, STACKED, NO_DATE, DUPLICATE, NO_CRS, APART, NODATA, TWO_NODATA, BANDS, ROLES, RECALLED, GRIDS = (
    "no_file", "stacked", "no_date", "duplicate", "no_crs", "apart", "nodata", "two_nodata", "bands", "roles",
    "recalled", "grids",
)  # fmt: skip
GAP, FEW = "gap", "few"
SERIOUS = (NO_FILE, STACKED, NO_DATE, DUPLICATE, NO_CRS, APART)
"""What keeps the series, or a layer, from being used."""
_FILLED = 0.005
"""Of the pixels; fewer that are 0 in all bands may be measured."""
_SHOWN = 2
_SAME_SIZE = 1.01
"""Pixels whose sides differ by less are of one size, as in ``timo.series.tiles``."""


def check(rows: Sequence[Row]) -> List[Row]:
    """The rows with what is wrong, seen together: only ticked rows disturb each other."""
    by_date: Dict[dt.date, List[Row]] = {}
    for row in rows:
        if row.ticked and row.date and row.path and not row.steps:
            by_date.setdefault(row.date, []).append(row)
    lost, bare = _apart(rows), _without_crs(rows)
    checked, first = [], _first_twins(by_date.values())
    for row in rows:
        others = [other for other in by_date.get(row.date, []) if other is not row] if row.date else []
        twin = first.get(row.layer_id)
        fault, problem, note = (tr("Two dates") if row.note else ""), "", row.note
        if row.steps:
            fault = tr("Several dates")
            problem = tr("It holds {count} dates in its bands: make a layer of each.", count=len(row.steps))
        elif row.path is None and not row.scenes:
            fault, problem = tr("No file"), tr("It is no file that the backend could read: untick it.")
        elif row.date is None:
            fault = tr("No date")
            problem = tr("Neither its name nor its file tells a date: double-click its Date and type one.")
        elif twin is not None:
            fault = tr("Duplicate")
            problem = _of_twins(row, twin)
        elif row.layer_id in bare:
            fault = tr("No CRS")
            problem = tr("It has no coordinate system, though others of the series do: set it.")
        elif row.layer_id in lost:
            fault = tr("Elsewhere")
            problem = tr("It does not overlap the other layers of the series: untick it.")
        elif row.ticked and others:
            fault = tr("Joined")
            note = tr("Makes one date with {names}.", names=", ".join(other.name for other in others))
        said = {"fault": fault, "problem": problem, "note": note, "twin": twin.layer_id if twin else ""}
        checked.append(replace(row, **said) if fault else row)
    return checked


def findings(rows: Sequence[Row]) -> List[Finding]:
    """What is wrong with checked rows first, then what is worth knowing; each kind once."""
    chosen = ticked(rows)
    found = _of_files(chosen) + _of_dates(chosen)
    files = [row for row in chosen if row.path is not None and not row.steps]
    found += _of_places(files) + _of_pixels(files)
    if chosen and not any(finding.serious for finding in found):
        days = dates(rows)
        if len(days) == 1:
            text = tr(
                "One date can do for land cover; clearings, floods and crops show by change alone: tick more "
                "layers, or add files."
            )
            found.append(_finding(FEW, text, tr("Add…")))
        found += _gap(days)
    return found


def _finding(kind: str, text: str, fix: str = "", layers: Tuple[str, ...] = ()) -> Finding:
    return Finding(kind, text, fix, layers, serious=kind in SERIOUS)


def _of_files(chosen: Sequence[Row]) -> List[Finding]:
    found = []
    gone = [row for row in chosen if row.path is None and not row.scenes and not row.steps]
    if gone:
        text = trn(
            "{names} is no file that can be read.", "{count} layers are no files that can be read: {names}.",
            len(gone), names=_names(gone),
        )  # fmt: skip
        found.append(_finding(NO_FILE, text, tr("Untick"), _ids(gone)))
    stacks = [row for row in chosen if row.steps]
    if stacks:
        text = trn(
            "{names} holds several dates in its bands.",
            "{count} layers hold several dates in their bands: {names}.",
            len(stacks), names=_names(stacks),
        )  # fmt: skip
        found.append(_finding(STACKED, text, tr("A layer for each date"), _ids(stacks)))
    return found


def _of_dates(rows: Sequence[Row]) -> List[Finding]:
    found = []
    undated = [row for row in rows if row.date is None and row.path is not None and not row.steps]
    if undated:
        text = trn(
            "{names} tells no date.", "{count} layers tell no date: {names}.",
            len(undated), names=_names(undated),
        )  # fmt: skip
        found.append(_finding(NO_DATE, text, tr("Type it…"), _ids(undated)))
    twins = [row for row in rows if row.twin]
    days = {row.date: [other for other in twins if other.date == row.date] for row in twins}
    if days:
        date, first = next(iter(days.items()))
        text = trn(
            "{names} have the same date and bands.", "{count} dates are there twice, first {date}: {names}.",
            len(days), names=_names(first), date=date,
        )  # fmt: skip
        extra = [row for same in days.values() for row in _beyond_first(same)]
        found.append(_finding(DUPLICATE, text, tr("Keep the first"), _ids(extra)))
    return found


def _of_places(chosen: Sequence[Row]) -> List[Finding]:
    found = []
    without = _without_crs(chosen)
    bare = [row for row in chosen if row.layer_id in without]
    if bare:
        text = trn(
            "{names} has no coordinate system.", "{count} layers have no coordinate system: {names}.",
            len(bare), names=_names(bare),
        )  # fmt: skip
        found.append(_finding(NO_CRS, text, tr("Set it…"), _ids(bare)))
    apart = _apart(chosen)
    lost = [row for row in chosen if row.layer_id in apart]
    if lost:
        text = trn(
            "{names} does not overlap the others.", "{count} layers do not overlap the others: {names}.",
            len(lost), names=_names(lost),
        )  # fmt: skip
        found.append(_finding(APART, text, tr("Untick"), _ids(lost)))
    if not lost and not bare and len({row.grid for row in chosen}) > 1:
        text = tr("The grids differ: the layers are brought to one grid while they are read.")
        found.append(_finding(GRIDS, text))
    return found


def _of_pixels(chosen: Sequence[Row]) -> List[Finding]:
    found = []
    filled = [row for row in chosen if (row.filler or 0) > _FILLED]
    if filled:
        most = max(row.filler or 0 for row in filled)
        text = trn(
            "{names} has pixels that are 0 in all bands ({share} %) and no nodata value.",
            "{count} layers have pixels that are 0 in all bands (up to {share} %), no nodata value: {names}.",
            len(filled), names=_names(filled), share=round(100 * most) or 1,
        )  # fmt: skip
        found.append(_finding(NODATA, text, tr("Nodata is…"), _ids(filled)))
    double = two_nodata(chosen)
    if double:
        found.append(_finding(TWO_NODATA, double))
    ground = sorted((row for row in chosen if not row.mask), key=lambda row: row.sensor)
    for sensor, of in groupby(ground, key=lambda row: row.sensor):
        same = list(of)
        found += _of_bands(sensor, same)
        known = [row for row in same if row.recalled]
        if known:
            found.append(_finding(RECALLED, recalled(known, _names(known)), tr("Map bands…"), _ids(known)))
    return found


def _of_bands(sensor: str, rows: Sequence[Row]) -> List[Finding]:
    """Of one sensor's rasters with more than one band; files of one band are joined by their dates."""
    several = [row for row in rows if len(row.bands) > 1]
    shapes = Counter(tuple(sorted(_known(row))) for row in several)
    whose = sensor or tr("these layers")
    if len(shapes) > 1:
        usual = shapes.most_common(1)[0][0]
        other = [row for row in several if tuple(sorted(_known(row))) != usual]
        text = tr("{names} has other bands than the rest of {sensor}.", names=_names(other), sensor=whose)
        return [_finding(BANDS, text, tr("Map bands…"), _ids(other))]
    unknown = [row for row in rows if row.roles and not any(_known(row))]
    if unknown:
        text = tr("The bands of {sensor} don't tell what they measure.", sensor=whose)
        return [_finding(ROLES, text, tr("Map bands…"), _ids(unknown))]
    return []


def _gap(days: Sequence[dt.date]) -> List[Finding]:
    gaps = [((days[n] - days[n - 1]).days, days[n - 1], days[n]) for n in range(1, len(days))]
    if len(gaps) < 2:
        return []
    length, first, last = max(gaps)
    usual = sorted(gap for gap, _, _ in gaps)[len(gaps) // 2]
    if length <= 2 * usual:
        return []
    text = tr(
        "The longest gap is of {days} days, from {first} to {last}.", days=length, first=first, last=last
    )
    return [_finding(GAP, text, tr("Add…"))]


def _known(row: Row) -> List[str]:
    """The roles that a row's bands have."""
    return [role for role in row.roles if role and role != "-"]


def _without_crs(rows: Sequence[Row]) -> List[str]:
    """Ids of the ticked layers without a coordinate system beside some that have one."""
    files = [row for row in rows if row.ticked and row.path is not None]
    bare = [row.layer_id for row in files if not row.crs]
    return bare if len(bare) < len(files) else []


def _apart(rows: Sequence[Row]) -> List[str]:
    """Ids of the ticked layers that don't touch the place that most of them show."""
    placed = [row for row in rows if row.ticked and row.box is not None]
    boxes = Counter(row.box for row in placed)
    if len(boxes) < 2:
        return []
    reach = {box: sum(count for other, count in boxes.items() if _touch(box, other)) for box in boxes}
    near, rest = {max(reach, key=lambda box: reach[box])}, set(boxes)
    while True:  # tiles in a row belong together, though the first does not touch the last
        rest -= near
        more = {box for box in rest if any(_touch(box, other) for other in near)}
        if not more:
            return [row.layer_id for row in placed if row.box in rest]
        near |= more


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _first_twins(dates: Iterable[Sequence[Row]]) -> Dict[str, Row]:
    """By layer id, the first of the other rows of its date that each clashes with."""
    found: Dict[str, Row] = {}
    for same in dates:
        for row, other in combinations(same, 2):
            if _clash(row, other):
                found.setdefault(row.layer_id, other)
                found.setdefault(other.layer_id, row)
    return found


def two_nodata(rows: Sequence[Row]) -> str:
    """That jobs do not know a nodata value that was added in QGIS beside the file's own; else empty."""
    double = [row for row in rows if row.added_nodata is not None]
    if not double:
        return ""
    return trn(
        "Jobs take {value} for ground in {names}, though QGIS hides it beside the file's own nodata "
        "value: export the layer, and use the new file.",
        "Jobs take {value} for ground in {count} layers, though QGIS hides it beside the files' own "
        "nodata values: export the layers, and use the new files ({names}).",
        len(double), names=_names(double),
        value=", ".join(dict.fromkeys(f"{row.added_nodata:.15g}" for row in double)),
    )  # fmt: skip


def _of_twins(row: Row, twin: Row) -> str:
    if _known(row) and _known(twin):
        return tr("It has the same date and bands as {name}: untick one of them.", name=twin.name)
    return tr(
        "It has the same date and bands as {name}: untick one of them, or map their bands if they differ.",
        name=twin.name,
    )


def _beyond_first(rows: Sequence[Row]) -> List[Row]:
    """What is left over of a date's rows if of those that clash the first is kept."""
    kept: List[Row] = []
    for row in rows:
        if not any(_clash(row, other) for other in kept):
            kept.append(row)
    return [row for row in rows if row not in kept]


def _clash(row: Row, other: Row) -> bool:
    """Whether the backend refuses two files of a date, as ``timo.series.tiles.check_bands`` does."""
    return not _are_tiles(row, other) and not _keys(row).isdisjoint(_keys(other))


def _keys(row: Row) -> FrozenSet[str]:
    return backend_keys(row.bands, row.roles)


def _are_tiles(row: Row, other: Row) -> bool:
    if row.sensor != other.sensor or not row.crs or not other.crs:
        return False
    size, its = row.pixel or 0.0, other.pixel or 0.0
    alike = size <= its * _SAME_SIZE and its <= size * _SAME_SIZE
    return alike and not _same_extent(row.grid, other.grid)


def _same_extent(grid: Tuple[Any, ...], other: Tuple[Any, ...]) -> bool:
    """Whether two grids cover the same ground, to a pixel."""
    if grid[0] != other[0]:
        return False
    side = max(_side(grid), _side(other))
    return (
        abs(grid[3] - other[3]) < side
        and abs(grid[4] - other[4]) < side
        and abs(grid[5] - other[5]) < side
        and abs(grid[6] - other[6]) < side
    )


def _side(grid: Tuple[Any, ...]) -> float:
    """The longer side of a grid's pixel, in units of its CRS."""
    _, width, height, west, south, east, north = grid
    return float(max((east - west) / width, (north - south) / height))


def _names(rows: Sequence[Row]) -> str:
    names = ", ".join(row.name for row in rows[:_SHOWN])
    return f"{names}, …" if len(rows) > _SHOWN else names


def _ids(rows: Sequence[Row]) -> Tuple[str, ...]:
    return tuple(row.layer_id for row in rows)
